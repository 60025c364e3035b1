"""The design models learn, repeat, and leave the graph that serving runs."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")

from tests.training.designs import write_designs
from training.design.data.corpus import Corpus, build_corpus
from training.design.data.features import Features, embed_designs
from training.design.data.photos import read_mask, read_photo
from training.design.data.records import read_designs
from training.design.data.requests import pick_palettes, tabulate
from training.design.data.written import written
from training.design.encoders import EncoderConfig, EncoderViews, liveliness, train_encoders
from training.design.export import export_encoders, export_fusions
from training.design.mining import mine
from training.design.rows import beit3 as beit3_row
from training.design.rows.models import ROWS, Row, RowNetwork
from training.design.rows.training import (
    RowConfig,
    Split,
    design_inputs,
    embed_questions,
    embed_split,
    mrr,
    train_row,
)
from training.kit.data.augment import PLAIN, ViewConfig, distorted_view, plain_view
from training.kit.data.mined_pairs import Mined
from training.kit.data.sentences import Sentences
from training.kit.export.card import Provenance
from training.kit.networks.backbone import EfficientNetLite0
from training.kit.networks.encoders import Encoders
from training.kit.ranking import best_ranks, figures

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
    return Features(
        names,
        align=unit(512),
        style=unit(256),
        crop_align=unit(512),
        crop_style=unit(256),
        facts=rng.random((count, 3)).astype(np.float16),
        tokens=rng.normal(size=(count, 49, 320)).astype(np.float16),
    )


def test_a_record_gives_facts_with_their_place(folder: Path) -> None:
    design = read_designs(folder, 1)[0]
    assert ("main", "colour", "white") in design.facts and ("set", "shape", "almond") in design.facts
    assert ("accent", "colour", "gold") in design.facts and ("main", "colour", "gold") not in design.facts
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
    from nails.perception.crop_rules import cut_square, expand_square
    from nails.photo.preprocess import backbone_input

    design = read_designs(folder, 1)[0]
    photo = read_photo(design)
    wanted = backbone_input(cut_square(photo, expand_square(design.crop, (100, 120))), 224)
    np.testing.assert_array_equal(plain_view(photo, design.crop, 224), wanted)


def test_a_photo_that_satisfies_a_text_is_no_contrast_to_it(corpus: Corpus) -> None:
    photos = np.arange(4)
    ignored = corpus.ignored(photos, corpus.first[photos])
    assert ignored.diagonal().all() and ignored.sum() == 4


def test_siblings_of_a_family_are_known_and_their_texts_are_contrasts(corpus: Corpus) -> None:
    assert corpus.siblings[0].tolist() == [1] and corpus.siblings[5].size == 0
    texts = corpus.sibling_texts(np.array([0, 5]), np.random.default_rng(0))
    assert corpus.owner[texts].tolist() == [1]


def test_a_picked_palette_lies_near_the_paints(corpus: Corpus) -> None:
    colours, mask = pick_palettes(corpus.designs, np.random.default_rng(0))
    assert mask[:, 0].all() and not mask[:, 1:].any()  # each design has one paint
    paints = np.array([design.palette[0][0] for design in corpus.designs])
    moved = colours[:, 0] - paints
    assert 1 < moved.std() < 8 and np.abs(moved).max() < 20


def test_ranks_count_ties_against_the_target_and_take_the_best_of_several() -> None:
    similarity = np.array([[0.9, 0.5, 0.5], [0.1, 0.8, 0.3]], np.float32)
    targets = np.array([[False, True, False], [True, False, True]])
    ranks = best_ranks(similarity, targets)
    assert ranks.tolist() == [3, 2]
    assert figures(ranks, (1, 2, 3)) == pytest.approx(
        {"hit@1": 0, "hit@2": 50, "hit@3": 100, "mrr": 100 * (1 / 3 + 1 / 2) / 2}
    )


def trained_encoders(corpus: Corpus, epochs: float) -> Encoders:
    config = EncoderConfig(size=64, large=64, epochs=epochs, batch=12, bank=16, warm_up=0.1, loaders=0)
    torch.manual_seed(3)
    return train_encoders(Encoders(EfficientNetLite0(), len(corpus.facts)), corpus, config, ViewConfig())


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


def test_two_processes_see_all_of_a_batch_and_nothing_twice(corpus: Corpus) -> None:
    config = EncoderConfig(size=64, large=64, epochs=1, batch=12, processes=2)
    shares = [EncoderViews(corpus.designs, config, ViewConfig(), rank)[0] for rank in range(2)]
    alone = EncoderViews(corpus.designs, EncoderConfig(size=64, large=64, batch=12), ViewConfig())[0]
    assert [len(share.rows) for share in shares] == [6, 6]
    together = torch.stack([share.rows for share in shares], dim=1).flatten()
    assert together.tolist() == alone.rows.tolist()


def test_a_level_that_says_the_same_of_every_photo_is_found_out() -> None:
    torch.manual_seed(0)
    model = Encoders(EfficientNetLite0(), facts=3).eval()
    images = torch.rand(6, 3, 64, 64) * torch.rand(6, 3, 1, 1)
    alive = liveliness(model, images)
    with torch.no_grad():
        model.backbone._blocks[-1]._project_conv.weight.zero_()
    dead = liveliness(model, images)
    assert alive[32] > 1e-3 and dead[32] == pytest.approx(0, abs=1e-6)
    assert dead[16] == pytest.approx(alive[16])


def learnt(row: Row, corpus: Corpus, sentences: Sentences, epochs: float = 100) -> tuple[RowNetwork, float]:
    """A row trained on the few designs by heart, and its MRR on them."""
    features = random_features(len(corpus.designs))
    texts = [request.text for request in corpus.requests]
    table = tabulate(texts, sentences)
    written = sentences([request.text for request in corpus.requests[::2]])
    split = Split(features, written)
    config = RowConfig(epochs=epochs, batch=24, bfloat16=False, whole_share=0, crc_threshold=0.9)
    targets = corpus.owner[:, None] == np.arange(len(corpus.designs))[None, :]
    mined = Mined(
        np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.float32),
        len(texts), len(corpus.designs),
    )  # fmt: skip

    def found(network: RowNetwork) -> float:
        return mrr(embed_questions(row, network, table, None), embed_split(row, network, split), targets)

    network, metrics = train_row(row, corpus, split, table, config, mined, found)
    assert metrics["val_mrr"] == found(network)
    return network, metrics["val_mrr"]


@pytest.mark.parametrize("name", ["clip", "nailia", "cvfim", "ours", "ours_info_nce"])
def test_rows_learn_a_few_designs_by_heart(name: str, corpus: Corpus, sentences: Sentences) -> None:
    assert learnt(ROWS[name], corpus, sentences)[1] > 60


def test_the_same_seed_trains_the_same_row(corpus: Corpus, sentences: Sentences) -> None:
    first, second = (learnt(ROWS["ours"], corpus, sentences, epochs=2)[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_a_row_reads_what_it_says_and_nothing_else() -> None:
    split = Split(random_features(3), np.ones((3, 512), np.float32))
    rows = np.arange(3)
    present = {
        name: [bool(x.any()) for x in design_inputs(ROWS[name], split, rows)]
        for name in ("clip", "nailia", "cvfim_no_crop", "cvfim", "cvfim_crop_only", "ours_no_text")
    }  # style, align, crop, text
    assert present == {
        "clip": [False, True, False, False],
        "nailia": [True, True, False, True],
        "cvfim_no_crop": [True, True, False, True],
        "cvfim": [True, True, True, True],
        "cvfim_crop_only": [True, False, True, True],
        "ours_no_text": [True, True, True, False],
    }
    style = design_inputs(ROWS["cvfim_crop_only"], split, rows)[0]
    np.testing.assert_array_equal(style, split.features.crop_style[:, 0].astype(np.float32))


def test_beit3_on_ready_tokens_learns_a_few_designs_by_heart(corpus: Corpus) -> None:
    tokens = random_features(len(corpus.designs)).tokens
    texts = [request.text for request in corpus.requests]
    pieces = beit3_row.Pieces(texts)
    ids = pieces(texts)
    targets = corpus.owner[:, None] == np.arange(len(corpus.designs))[None, :]

    def found(network: torch.nn.Module) -> float:
        queries, designs = beit3_row.embed(network, tokens, ids)
        return 100 * float((1 / best_ranks(queries @ designs.T, targets)).mean())

    config = beit3_row.Beit3RowConfig(width=48, layers=2, heads=4, feed=96, epochs=60, batch=24, drop=0)
    network, metrics = beit3_row.train(tokens, ids, corpus.first, pieces, config, found)
    assert metrics["val_mrr"] > 60
    stored = {"state": network.state_dict() | {"pieces": torch.from_numpy(pieces.used)}}
    stored["config"] = dataclasses.asdict(config)
    again, _ = beit3_row.embed_real(stored, tokens, texts)
    np.testing.assert_allclose(again, beit3_row.embed(network, tokens, ids)[0], atol=1e-5)


def test_a_piece_that_training_lacked_is_read_as_the_one_most_like_it() -> None:
    pieces = beit3_row.Pieces(["red blue", "nails"])
    known = set(pieces.place.values())
    for ids in pieces(["scarlet", "ベージュ"]):
        read = ids[ids > beit3_row.END].tolist()
        assert read and set(read) <= known
    # A piece in front of which only a space was added is the same word.
    bare, spaced = pieces.model.piece_to_id("red"), pieces.model.piece_to_id("▁red")
    assert pieces._nearest({bare})[bare] == pieces.place[spaced]


def test_mined_pairs_of_a_trained_row_stand_in_for_confidence(corpus: Corpus) -> None:
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(len(corpus.texts), 8)).astype(np.float32)
    designs = rng.normal(size=(len(corpus.designs), 8)).astype(np.float32)
    found = mine(queries, designs, corpus.owner, top=3)
    texts, photos = np.arange(6), np.arange(len(corpus.designs))
    assert found.mask(texts, photos).sum(axis=1).tolist() == [3] * 6


def test_what_is_written_of_a_photo_says_what_is_likely() -> None:
    facts = [("main", "colour", "red"), ("accent", "colour", "gold"), ("set", "shape", "almond")]
    assert written(np.array([0.9, 0.8, 0.1], np.float16), facts) == "Nails in red. Accent nail in gold."


def test_exported_encoders_equal_torch_and_say_where_they_come_from(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reports = export_encoders(Encoders(EfficientNetLite0(), facts=3).eval(), tmp_path, PROVENANCE)
    for name, report in reports.items():
        assert report.graph_error["embedding"] <= 1e-4
        assert report.half_cosine["embedding"] >= 0.999
        card = tomllib.loads((tmp_path / name / "model.toml").read_text())
        assert card["model"]["name"] == name and card["provenance"]["data"] == "drawn ellipses"


def test_exported_fusions_equal_torch_with_absent_tokens_in_the_batch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    for report in export_fusions(RowNetwork(ROWS["ours"]).eval(), tmp_path, PROVENANCE).values():
        assert report.graph_error["embedding"] <= 1e-4
        assert report.half_cosine["embedding"] >= 0.9999


def test_features_of_the_serving_view_do_not_depend_on_the_other_views(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Encoders(EfficientNetLite0(), facts=3).eval()
    designs = read_designs(folder, 3)
    plain = embed_designs(model, designs, distorted=0, seed=0, config=PLAIN)
    many = embed_designs(model, designs, distorted=2, seed=0, config=ViewConfig(), workers=1)
    many.save(tmp_path / "features.npz")
    many = Features.load(tmp_path / "features.npz")
    assert many.align.shape == (3, 3, 512) and many.names.tolist() == plain.names.tolist()
    np.testing.assert_allclose(many.align[:, 0], plain.align[:, 0], atol=2e-3)
    np.testing.assert_allclose(many.crop_style[:, 0], plain.crop_style[:, 0], atol=2e-3)
