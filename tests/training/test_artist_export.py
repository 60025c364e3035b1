"""Models of five folds leave training as one, and the service reads what was written."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")
pytest.importorskip("fasttext", reason="needs the training environment")

from evaluation.artist.works import Work
from nails.artist.fusion import softmax
from nails.artist.labels import from_label, to_label
from nails.artist.openset import MODES, Coefficients, OpenSet
from training.artist.export import step as export
from training.artist.export import text as text_export
from training.artist.export.served import FoldedArtistImage
from training.artist.fold_step import deal
from training.artist.image.network import DESCRIPTION, ArtistHead
from training.artist.job import ArtistJob, ExportOptions
from training.artist.nested import Nest
from training.artist.openset.models import SPACES, Material, space_vectors, unit
from training.kit.export.images import example_images
from training.kit.export.model import run_onnx
from training.kit.networks.backbone import EfficientNetLite0
from training.kit.networks.encoders import Encoders
from training.kit.networks.image_align import ALIGN_DIM
from training.kit.networks.image_style import STYLE_DIM
from training.kit.stepwise import StepError

pytestmark = [pytest.mark.torch, pytest.mark.timeout(600)]
ARTISTS = ("abe 花", "ban%20", "chi", "dan")
# Small tables; fastText leaves a part of its first layer unset when it has fewer than eleven threads.
FEW = {**text_export.WORDS, "dim": 16, "bucket": 2_000, "thread": 12}
NUMBERS = OpenSet(dict.fromkeys(MODES, Coefficients((1.0, 0.5, 2.0, 3.0), (-1.0, 0.25, 4.0, 5.0))))


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    torch.manual_seed(0)
    return Encoders(EfficientNetLite0(), facts=3).eval()


def material_of(count: int = 60) -> Material:
    """Works of four artists with features that nobody computed; two have no photo and one no words."""
    rng = np.random.default_rng(0)
    works = [
        Work(
            f"{number:03}",
            None if number in (5, 6) else Path("x"),
            "" if number == 7 else f"{ARTISTS[number % 4][:3]}word and more {number % 7}",
            "",
            ARTISTS[number % 4],
            labels={"cup": 0.5, "vase": 0.1} if number < 4 else {"book": 0.9} if number == 9 else {},
        )
        for number in range(count)
    ]
    folds = deal(works, seed=1)
    place = {artist: index for index, artist in enumerate(folds.artists)}
    truth = np.array([place[work.artist] for work in works])
    photo = np.array([work.image is not None for work in works])
    centres = rng.normal(size=(4, DESCRIPTION))
    description = (centres[truth][:, None] + 0.5 * rng.normal(size=(count, 2, DESCRIPTION))).astype(
        np.float16
    )
    generic = np.concatenate(
        [unit(rng.normal(size=(count, size))) for size in (ALIGN_DIM, STYLE_DIM)], axis=1
    )
    description[~photo], generic[~photo] = 0, 0
    return Material(
        nest=Nest(folds, tuple(works), truth, "digest"),
        description=description,
        generic=generic,
        photo=photo,
        reader="words",
        lines=tuple(work.text.split() for work in works),
        texts=tuple(work.text for work in works),
    )


def test_the_five_heads_answer_as_one(encoders: Encoders) -> None:
    heads = [ArtistHead(4, hidden=8).eval() for _ in range(5)]
    images = example_images(3)
    centre = torch.linspace(-0.1, 0.1, ALIGN_DIM + STYLE_DIM)
    with torch.no_grad():
        for space in SPACES:
            network = FoldedArtistImage(encoders, heads, space, centre).eval()
            logits, vectors = network(images)
            description, align, style, _ = network.described(images)
            answers = [head(description) for head in heads]
            mean = np.mean([np.log(softmax(answer[0].numpy())) for answer in answers], axis=0)
            np.testing.assert_allclose(softmax(logits.numpy()), softmax(mean), atol=1e-5)
            embeddings = torch.cat([answer[1] for answer in answers], dim=1).numpy()
            generic = np.concatenate([unit(align.numpy()), unit(style.numpy())], axis=1)
            expected = space_vectors(space, embeddings, generic, centre.numpy())
            np.testing.assert_allclose(vectors.numpy(), expected, atol=1e-5)


def test_labels_keep_any_artist_id() -> None:
    for artist in (*ARTISTS, "a b  c", "%2520", "100% 花"):
        assert " " not in to_label(artist) and from_label(to_label(artist)) == artist


def test_everything_that_is_served_is_written_and_read_back(
    encoders: Encoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("grpc", reason="needs the service")
    from cli.client.models import ModelEntry
    from services.classify.features.references import read_references
    from services.classify.features.text_model import FastTextModel
    from services.classify.identify.calibration import Calibration
    from services.classify.identify.identifier import read_labels
    from services.classify.identify.label_evidence import LabelTable

    material = material_of()
    monkeypatch.setattr(export, "open_nest", lambda _: material.nest)
    monkeypatch.setattr(export, "read_material", lambda *_: material)
    monkeypatch.setattr(export, "load_encoders", lambda _: (encoders, {}))
    monkeypatch.setattr(export, "CONFIG", replace(export.CONFIG, epochs=20, batch=24, hidden=8))
    monkeypatch.setattr(text_export, "WORDS", FEW)
    (tmp_path / "encoders.pt").write_bytes(b"patched")
    found = {"space": {"chosen": "together"}, "parameters": NUMBERS.to_parameters()}
    (tmp_path / "openset.json").write_text(json.dumps(found))
    models = tmp_path / "triton_models"
    job = ArtistJob(tmp_path, tmp_path, encoders=tmp_path / "encoders.pt", command="a test")
    export.run(replace(job, export=ExportOptions(models=models)))

    for name in ("artist_image", "artist_text"):
        facts = tomllib.loads((models / name / "model.toml").read_text())
        assert ModelEntry(name, models / name, facts).state == "ok"
        assert facts["provenance"]["command"] == "a test" and facts["provenance"]["seed"] == 7
    image = tomllib.loads((models / "artist_image" / "model.toml").read_text())
    assert read_labels(models / "artist_image" / "labels.txt") == tuple(sorted(ARTISTS))
    calibration = Calibration.from_parameters(image["parameters"])
    assert calibration.pool is not None and calibration.openset == NUMBERS
    assert image["provenance"]["metrics"]["out-of-fold accuracy, text"] > 90

    references = read_references(models / "artist_image" / "prototypes.npz")
    assert references is not None
    assert references.image_fingerprint == image["model"]["fingerprint"]
    assert references.trained.artists == tuple(sorted(ARTISTS))
    shape = {output["name"]: output["shape"] for output in image["outputs"]}
    assert references.trained.image.shape == (4, *shape["embedding"])
    near = references.trained.text_cosines(references.text_vector("chiword"))
    assert near is not None and near.argmax() == sorted(ARTISTS).index("chi")

    found = LabelTable.read(models / "artist_image" / "label_combinations.json")
    cups, book = found.evidence({"cup": 0.3}), found.evidence({"book": 1.0})
    assert cups is not None and (cups.works, len(cups.artists)) == (4, 4)
    assert book is not None and book.works == 0  # a single work is no rule

    text = FastTextModel(models / "artist_text")
    facts = tomllib.loads((models / "artist_text" / "model.toml").read_text())
    assert len(list((models / "artist_text").glob("*.ftz"))) == 5
    assert text.artists == tuple(sorted(ARTISTS)) and text.fingerprint == facts["model"]["fingerprint"]
    prediction = text.predict("abeword and more")
    assert max(prediction.probabilities, key=lambda name: prediction.probabilities[name]) == "abe 花"
    assert sum(prediction.probabilities.values()) == pytest.approx(1)

    outputs = run_onnx(models / "artist_image" / "1" / "model.onnx", {"images": example_images(2).numpy()})
    np.testing.assert_allclose(np.linalg.norm(outputs["embedding"], axis=1), 1, atol=1e-4)
    assert (np.exp(outputs["logits"]).sum(axis=1) <= 1 + 1e-4).all()


def test_one_text_model_is_served_where_five_are_asked_not_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_export, "WORDS", FEW)
    lines = [(f"{artist[:3]}word again".split(), artist) for artist in ARTISTS] * 8
    model = text_export.fit_quantised(lines, 3, tmp_path / "all" / "model.ftz")
    about = {"command": "c", "data": "d", "seed": 3, "words": "words", "metrics": {}}
    folder = tmp_path / "artist_text"
    folder.mkdir()
    (folder / "model-4.ftz").write_bytes(b"of an earlier export")
    text_export.export_text([tmp_path / "all" / "model.ftz"], folder, about, {})
    assert [path.name for path in folder.glob("*.ftz")] == ["model.ftz"]
    table = text_export.ask_quantised(model, [["chiword"], ["nobody"], []], ARTISTS)
    assert table[0].argmax() == 2 and not table[1:].any()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "do the step openset"),
        ("{", "Expecting"),
        ("{}", "space"),
        ('{"space": {"chosen": "elsewhere"}, "parameters": {}}', "elsewhere"),
        ('{"space": {"chosen": "together"}, "parameters": {"unknown_both": "nan 1 1 1"}}', "unknown_both"),
    ],
)
def test_open_set_numbers_that_cannot_be_read_are_refused(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "openset.json").write_text(content)
    with pytest.raises(StepError, match=message):
        export.read_openset(tmp_path / "openset.json")


def test_export_needs_the_encoders(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="--encoders"):
        export.run(ArtistJob(tmp_path, tmp_path))
