"""The design models learn, repeat, and leave the graph that serving runs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")

from tests.training.designs import write_designs
from training.backbone import EfficientNetLite0
from training.design.corpus import Corpus, build_corpus
from training.design.encoders import EncoderConfig, Encoders, train_encoders
from training.design.export import export_encoders, export_fusions
from training.design.features import Features, embed_designs
from training.design.fusions import FusionConfig, Fusions, tabulate, train_fusions
from training.design.judge import asked, confidence
from training.design.ranking import best_ranks, figures
from training.design.records import SLOT_INDEX, Request, read_designs
from training.design.sentences import Sentences
from training.design.views import PLAIN, ViewConfig, distorted_view, plain_view, read_mask, read_photo
from training.export import Provenance

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]
PROVENANCE = Provenance(command="a test", data="drawn ellipses", seed=0, licence_of_origin="Apache-2.0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_designs(tmp_path_factory.mktemp("designs") / "drawn")


@pytest.fixture(scope="module")
def sentences() -> Sentences:
    return Sentences()


@pytest.fixture(scope="module")
def corpus(folder: Path, sentences: Sentences) -> Corpus:
    return build_corpus(read_designs(folder), sentences)


def random_features(count: int) -> Features:
    rng = np.random.default_rng(0)

    def unit(size: int) -> np.ndarray:
        x = rng.normal(size=(count, 2, size))
        return (x / np.linalg.norm(x, axis=2, keepdims=True)).astype(np.float16)

    names = np.array([str(i) for i in range(count)])
    return Features(names, align=unit(512), style=unit(256), crop_align=unit(512), crop_style=unit(256))


def test_a_record_gives_what_the_vocabulary_knows_and_passes_over_bare_nails(folder: Path) -> None:
    design = read_designs(folder, 1)[0]
    assert design.attributes == {("colour", "white"), ("shape", "almond"), ("pattern", "plain")}
    assert [request.lang for request in design.requests] == ["en", "ja"]


def test_an_unfinished_last_line_of_an_index_is_not_read(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "index.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "index.jsonl").write_text(lines[0] + lines[1][:40])
    assert len(read_designs(tmp_path)) == 1


def test_photo_and_mask_are_distorted_together(folder: Path) -> None:
    design = read_designs(folder, 8)[7]
    photo = np.zeros_like(read_photo(design))
    mask = read_mask(design, photo.shape[:2])
    photo[mask > 0] = 255
    geometry = ViewConfig(
        turn=40, quarter_turns=1, gain=0, exposure=0, contrast=0, saturation=0, noise=0, patch=0
    )
    for seed in range(4):
        view, share = distorted_view(photo, mask, design.crop, 96, np.random.default_rng(seed), geometry)
        seen = ((view[0] + 1) / 2).reshape(12, 8, 12, 8).mean(axis=(1, 3))
        inside = share > 0.9
        assert inside.any() and seen[inside].min() > 0.7 and seen[share == 0].mean() < 0.2


def test_the_plain_view_of_a_crop_is_the_serving_cut(folder: Path) -> None:
    from nails.crop_rules import cut, expand_square
    from nails.preprocess import backbone_input

    design = read_designs(folder, 1)[0]
    photo = read_photo(design)
    wanted = backbone_input(cut(photo, expand_square(design.crop, (100, 120))), 224)
    np.testing.assert_array_equal(plain_view(photo, design.crop, 224), wanted)


def test_the_judge_counts_wanted_and_unwanted_attributes() -> None:
    texts = ["red nails with glitter", "red nails, no glitter", "something nice"]
    wants = asked([Request("en", "plain", text) for text in texts])
    has = np.zeros((2, wants.shape[1]), np.float32)
    has[:, SLOT_INDEX[("colour", "red")]] = 1
    has[0, SLOT_INDEX[("finish", "glitter")]] = 1
    np.testing.assert_allclose(confidence(wants, has), [[1, 0.5], [0.5, 1], [0, 0]])


def test_the_claims_of_a_writer_come_before_the_reading_of_the_text() -> None:
    claims = (("colour", "red", True), ("finish", "glitter", False))
    wants = asked([Request("en", "plain", "blue nails", claims=claims)])[0]
    assert wants[SLOT_INDEX[("colour", "red")]] == 1 and wants[SLOT_INDEX[("finish", "glitter")]] == -1
    assert wants[SLOT_INDEX[("colour", "blue")]] == 0


def test_a_photo_that_satisfies_a_text_is_no_contrast_to_it(corpus: Corpus) -> None:
    photos = np.arange(4)
    texts = corpus.first[photos]
    ignored = corpus.ignored(photos, texts)
    assert ignored.diagonal().all()
    assert not ignored[0, 3]


def test_ranks_count_ties_against_the_target_and_take_the_best_of_several() -> None:
    similarity = np.array([[0.9, 0.5, 0.5], [0.1, 0.8, 0.3]], np.float32)
    targets = np.array([[False, True, False], [True, False, True]])
    ranks = best_ranks(similarity, targets)
    assert ranks.tolist() == [3, 2]
    assert figures(ranks, (1, 2, 3)) == pytest.approx(
        {"hit@1": 0, "hit@2": 50, "hit@3": 100, "mrr": 100 * (1 / 3 + 1 / 2) / 2}
    )


def trained_encoders(corpus: Corpus, epochs: float) -> Encoders:
    config = EncoderConfig(size=64, large=64, epochs=epochs, batch=12, bank=16, warm_up=0.1)
    torch.manual_seed(3)
    return train_encoders(Encoders(EfficientNetLite0()), corpus, config, ViewConfig())


def test_a_few_steps_of_the_encoders_lower_their_loss(
    corpus: Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="training.design.encoders"):
        trained_encoders(corpus, epochs=15)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("step")]
    totals = [sum(float(word) for word in line.split(" s ")[1].split()[1::2]) for line in lines]
    assert totals[-1] < 0.8 * totals[0]


def test_the_same_seed_trains_the_same_encoders(corpus: Corpus) -> None:
    first, second = (trained_encoders(corpus, epochs=1.5) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_fusions_learn_a_few_designs_by_heart(corpus: Corpus, sentences: Sentences) -> None:
    features = random_features(len(corpus.designs))
    table = tabulate([(r.text, r.mdd, r.nnp) for r in corpus.requests], sentences)
    config = FusionConfig(epochs=120, batch=24, text_share=0, whole_share=0, weight_crc=0.02)
    model = train_fusions(corpus, features, table, config)
    from training.design.evaluate import fuse_designs, fuse_requests

    requests = fuse_requests(model, table, corpus.first[:-1], colours=False)
    ranks = best_ranks(requests @ fuse_designs(model, features).T, np.eye(len(corpus.designs), dtype=bool))
    assert (ranks == 1).mean() > 0.7


def test_exported_encoders_equal_torch_and_say_where_they_come_from(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reports = export_encoders(Encoders(EfficientNetLite0()).eval(), tmp_path, PROVENANCE)
    for name, report in reports.items():
        assert report.graph_error["embedding"] <= 1e-4
        assert report.half_cosine["embedding"] >= 0.999
        card = tomllib.loads((tmp_path / name / "model.toml").read_text())
        assert card["model"]["name"] == name and card["provenance"]["data"] == "drawn ellipses"


def test_exported_fusions_equal_torch_with_absent_tokens_in_the_batch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    for report in export_fusions(Fusions().eval(), tmp_path, PROVENANCE).values():
        assert report.graph_error["embedding"] <= 1e-4
        assert report.half_cosine["embedding"] >= 0.9999


def test_features_of_the_serving_view_do_not_depend_on_the_other_views(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Encoders(EfficientNetLite0()).eval()
    designs = read_designs(folder, 3)
    plain = embed_designs(model, designs, distorted=0, seed=0, config=PLAIN)
    many = embed_designs(model, designs, distorted=2, seed=0, config=ViewConfig(), batch=2)
    many.save(tmp_path / "features.npz")
    many = Features.load(tmp_path / "features.npz")
    assert many.align.shape == (3, 3, 512) and many.names.tolist() == plain.names.tolist()
    np.testing.assert_allclose(many.align[:, 0], plain.align[:, 0], atol=2e-3)
    np.testing.assert_allclose(many.crop_style[:, 0], plain.crop_style[:, 0], atol=2e-3)
