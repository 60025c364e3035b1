"""The YOLO-seg route from labelled photos to nails: convert, train, export, decode (`make test-yolo`)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")

from nails.perception.masks import iou
from nails.perception.nail_decode import decode_yolo_seg
from nails.photo.preprocess import Letterbox, nail_seg_input
from tests.training.synthetic_photos import write_synthetic_photos
from training.kit.export.model import run_onnx
from training.seg import yolo
from training.seg.yolo_data import convert

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]
SIZE = 64


def test_suppression_keeps_the_best_of_what_overlaps_and_all_that_does_not() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30], [5, 0, 15, 10]])
    scores = torch.tensor([0.6, 0.9, 0.3, 0.5])
    assert yolo.greedy_nms(boxes, scores, 0.5).tolist() == [1, 3, 2]
    assert yolo.greedy_nms(boxes, scores, 0.3).tolist() == [1, 2]
    assert yolo.greedy_nms(boxes[:0], scores[:0], 0.5).tolist() == []


def test_without_ultralytics_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(yolo.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="make yolo-env"):
        yolo.load_ultralytics(tmp_path)


def test_weights_that_are_not_there_are_asked_for_and_never_fetched(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: {0: nail}\n")
    with pytest.raises(FileNotFoundError, match="nothing is fetched"):
        yolo.train(tmp_path, tmp_path / "run", weights=tmp_path / "yolo11n-seg.pt")
    with pytest.raises(FileNotFoundError, match="convert"):
        yolo.train(tmp_path / "nowhere", tmp_path / "run")


def test_a_folder_with_a_model_of_another_licence_is_left_alone(tmp_path: Path) -> None:
    checkpoint = tmp_path / "best.pt"
    checkpoint.write_bytes(b"not read")
    ours = tmp_path / "nail_seg"
    ours.mkdir()
    (ours / "model.toml").write_text('[model]\nlicence = "Apache-2.0"\n')
    with pytest.raises(ValueError, match=r"Apache-2\.0"):
        yolo.export(checkpoint, ours, size=SIZE, data="", seed=0, command="")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder after one epoch on ten tiny synthetic photos."""
    pytest.importorskip("ultralytics", reason="needs ultralytics: make test-yolo")
    folder = tmp_path_factory.mktemp("yolo")
    synthetic = write_synthetic_photos(folder / "synthetic", count=10)
    convert([], [synthetic], folder / "data")
    checkpoint = yolo.train(folder / "data", folder / "run", epochs=1, size=SIZE, batch=5, workers=0)
    yolo.export(
        checkpoint,
        folder / "models" / "nail_seg",
        size=SIZE,
        data=yolo.digest_labels(folder / "data"),
        seed=0,
        command="test",
    )
    return folder / "models" / "nail_seg"


@pytest.mark.yolo
@pytest.mark.filterwarnings("ignore")  # ultralytics' own
def test_a_run_becomes_a_model_folder_that_says_its_licence(exported: Path) -> None:
    facts = tomllib.loads((exported / "model.toml").read_text(encoding="utf-8"))
    assert facts["model"]["licence"] == "AGPL-3.0"
    assert facts["parameters"]["decoder"] == "yolo_seg"
    assert "ultralytics" in facts["provenance"]["licence_of_origin"]
    places = (SIZE // 8) ** 2 + (SIZE // 16) ** 2 + (SIZE // 32) ** 2
    shapes = {tensor["name"]: tensor["shape"] for tensor in facts["outputs"]}
    assert shapes == {"boxes": [37, places], "protos": [32, SIZE // 4, SIZE // 4]}
    assert (exported / "config.pbtxt").exists()


@pytest.mark.yolo
@pytest.mark.filterwarnings("ignore")
def test_the_export_takes_any_batch_and_its_output_decodes(exported: Path) -> None:
    image = np.full((96, 128, 3), 120, np.uint8)
    cv2.ellipse(image, (60, 50), (12, 20), 0, 0, 360, (200, 30, 60), -1)
    tensor, placed = nail_seg_input(image, SIZE)
    for count in (1, 3):
        outputs = run_onnx(exported / "1" / "model.onnx", {"images": np.stack([tensor] * count)})
        assert outputs["boxes"].shape == (count, 37, 84)
        assert outputs["protos"].shape == (count, 32, SIZE // 4, SIZE // 4)
    scores = outputs["boxes"][0, 4]
    assert ((scores >= 0) & (scores <= 1)).all()
    found = decode_yolo_seg(outputs["boxes"][0], outputs["protos"][0], placed, (128, 96), min_score=0.0)
    for nail in found:
        assert nail.area == nail.full_mask((128, 96)).sum() > 0
        assert 0 <= nail.score <= float(scores.max())


@pytest.mark.yolo
@pytest.mark.filterwarnings("ignore")
def test_masks_are_those_that_ultralytics_itself_would_draw(tmp_path: Path) -> None:
    pytest.importorskip("ultralytics", reason="needs ultralytics: make test-yolo")
    yolo.load_ultralytics(tmp_path)
    from ultralytics.utils.ops import process_mask

    rng = np.random.default_rng(4)
    side = 256
    protos = np.stack([cv2.GaussianBlur(layer, (0, 0), 4) for layer in rng.normal(size=(32, 64, 64))])
    protos = (protos / protos.std()).astype(np.float32)
    corners = np.array([[20, 30, 120, 110], [130, 40, 240, 200], [30, 140, 110, 230]], np.float32)
    coefficients = rng.normal(size=(3, 32)).astype(np.float32)
    columns = np.concatenate(
        [
            (corners[:, :2] + corners[:, 2:]) / 2,
            corners[:, 2:] - corners[:, :2],
            np.array([[0.9], [0.8], [0.7]], np.float32),
            coefficients,
        ],
        axis=1,
    )
    found = decode_yolo_seg(columns.T, protos, Letterbox(1.0, 0, 0), (side, side))
    theirs = process_mask(
        *(torch.from_numpy(array) for array in (protos, coefficients, corners)), (side, side), upsample=True
    )
    assert len(found) == 3
    for nail, mask in zip(found, theirs.numpy() > 0, strict=True):
        assert iou(nail.full_mask((side, side)), mask) > 0.97
