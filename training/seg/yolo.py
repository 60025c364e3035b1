"""YOLO-seg as nail_seg, for people with labelled photos of their own; see docs/segmentation.md.

    python -m training.seg.yolo convert --photos DIR [--synthetic DIR] --out DATA
    python -m training.seg.yolo train --data DATA --out RUN [--weights FILE.pt]
    python -m training.seg.yolo export RUN --to MODELS/nail_seg
    lunula eval segmentation --data DIR --repository MODELS

ultralytics and weights trained with it are AGPL-3.0, which is why this is a route and not what we ship. It is
imported here and in `yolo_views` alone, never by what serves: an export needs ONNX Runtime and
`nails.perception.nail_decode.decode_yolo_seg`, no code of ultralytics.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import tomllib
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.kit.export.card import ModelCard, Provenance, TensorCard
from training.kit.export.model import ExportReport, export_model
from training.kit.flags import Folders, Positional, parse
from training.kit.training_command import choose_device, refuse
from training.seg.yolo_data import convert

ARCHITECTURE = "yolo11n-seg.yaml"
SIZE = 640
COEFFICIENTS = 32
STRIDES = (8, 16, 32)
LICENCE = "AGPL-3.0"
# Box coordinates are pixels of up to SIZE: float32 itself leaves 1e-4 of them, and a hundredth moves no mask.
TOLERANCE = 1e-2


def load_ultralytics(settings: Path) -> Any:
    """The module `ultralytics`, kept off the network and away from pip, its settings and font in `settings`.

    Has to be the first import of it in the process: it reads its switches once. Raises ModuleNotFoundError
    with what to install where it is absent.
    """
    if importlib.util.find_spec("ultralytics") is None:
        raise ModuleNotFoundError(
            "ultralytics is not installed; `make yolo-env` makes an environment with it"
        )
    os.environ |= {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_CONFIG_DIR": str(settings.resolve())}
    import matplotlib

    font = settings / "Ultralytics" / "Arial.ttf"  # it would fetch this one; any will do
    font.parent.mkdir(parents=True, exist_ok=True)
    if not font.exists():
        shutil.copyfile(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", font)
    _have_torchvision()
    ultralytics = importlib.import_module("ultralytics")
    ultralytics.settings.update({"sync": False})
    return ultralytics


def _have_torchvision() -> None:
    """Puts a module with the one function that training needs where torchvision's build does not fit torch's.

    Beside a CPU build of torch, torchvision's CUDA build (what a plain `pip install` gives) fails to load.
    Ultralytics imports it for `ops.nms` in validation and for nothing else on this route.
    """
    try:
        importlib.import_module("torchvision")
    except (ImportError, OSError, RuntimeError):
        stand_in = types.ModuleType("torchvision")
        stand_in.ops = types.SimpleNamespace(nms=greedy_nms)  # type: ignore[attr-defined]  # a stand-in
        sys.modules["torchvision"] = stand_in


def greedy_nms(boxes: Tensor, scores: Tensor, limit: float) -> Tensor:
    """Indices of the boxes [N,4] (x0, y0, x1, y1) to keep, best of `scores` [N] first: torchvision.ops.nms.

    A box goes when its IoU with a better one that stays exceeds `limit`.
    """
    order = scores.argsort(descending=True, stable=True)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        low = torch.maximum(boxes[best, :2], boxes[order, :2])
        high = torch.minimum(boxes[best, 2:], boxes[order, 2:])
        common = (high - low).clamp(min=0).prod(dim=1)
        order = order[common <= limit * (area[best] + area[order] - common)]
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)


def train(
    data: Path,
    run: Path,
    *,
    model: str = ARCHITECTURE,
    weights: Path | None = None,
    epochs: int = 100,
    size: int = SIZE,
    batch: int = 16,
    workers: int = 2,
    device: str = "cpu",
    seed: int = 0,
) -> Path:
    """Trains on the data set in the folder `data`; the path of the best checkpoint, RUN/weights/best.pt.

    `model`: an architecture of ultralytics, from scratch; `weights`: a checkpoint file to start from instead.
    Raises FileNotFoundError where `data` holds no data set or `weights` is not there: nothing is fetched.
    """
    if not (data / "data.yaml").exists():
        raise FileNotFoundError(
            f"{data} holds no data.yaml; `python -m training.seg.yolo convert` writes one"
        )
    if weights is not None and not weights.exists():
        raise FileNotFoundError(f"{weights}: no such checkpoint; nothing is fetched for you")
    ultralytics = load_ultralytics(run / "settings")
    network = ultralytics.YOLO(str(weights) if weights else model, task="segment")
    network.train(
        data=str((data / "data.yaml").resolve()),
        epochs=epochs,
        imgsz=size,
        batch=batch,
        workers=workers,
        device=device,
        seed=seed,
        pretrained=weights is not None,
        project=str(run.parent.resolve()),
        name=run.name,
        exist_ok=True,
        plots=False,
        amp=False,  # its check of mixed precision wants to fetch a model
    )
    best = run / "weights" / "best.pt"
    return best if best.exists() else run / "weights" / "last.pt"


class ServedYolo(nn.Module):
    """A YOLO-seg network behind the contract: images f32 [N,3,S,S] in (x-127)/128 like every other nail_seg.

    Gives boxes f32 [N,4+C+32,A] (centre x, centre y, width, height in input pixels, C scores in [0,1], mask
    coefficients) and protos f32 [N,32,S/4,S/4].
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.float().eval()
        layers: Any = self.network.model  # a Sequential
        head = layers[-1]
        if getattr(head, "nm", None) != COEFFICIENTS or getattr(head, "end2end", False):
            raise ValueError(
                f"{type(head).__name__} is no YOLO-seg head with {COEFFICIENTS} mask coefficients"
            )
        head.export, head.format = True, "onnx"

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, protos = self.network((images * 128 + 127) / 255)
        return boxes, protos


def card(*, size: int, classes: int, description: str) -> ModelCard:
    """The contract of a YOLO-seg nail_seg for square inputs of `size` pixels."""
    places = sum((size // stride) ** 2 for stride in STRIDES)
    return ModelCard(
        name="nail_seg",
        description=description,
        inputs=(TensorCard("images", "f32", (3, size, size)),),
        outputs=(
            TensorCard("boxes", "f32", (4 + classes + COEFFICIENTS, places)),
            TensorCard("protos", "f32", (COEFFICIENTS, size // 4, size // 4)),
        ),
        licence=LICENCE,
        max_batch_size=2,
        preferred=(2,),
        parameters={"decoder": "yolo_seg"},
    )


def export(checkpoint: Path, folder: Path, *, size: int, data: str, seed: int, command: str) -> ExportReport:
    """Exports a checkpoint of ultralytics to `folder`, laid out like triton_models/nail_seg.

    Raises FileNotFoundError for a missing checkpoint; ValueError for one that is no YOLO-seg, a size that is
    no multiple of 32, or a folder that holds a model under another licence (ours); ExportError where the
    graph disagrees with torch.
    """
    if not checkpoint.exists():
        raise FileNotFoundError(f"{checkpoint}: no such checkpoint")
    if (folder / "model.toml").exists():
        held = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))["model"].get("licence")
        if held != LICENCE:
            raise ValueError(f"{folder} holds a model under {held}; name a folder of its own")
    if size % 32:
        raise ValueError(f"the side {size} is no multiple of 32")
    ultralytics = load_ultralytics(checkpoint.parent / "settings")
    trained = ultralytics.YOLO(str(checkpoint))
    if trained.task != "segment":
        raise ValueError(f"{checkpoint} was trained for the task {trained.task!r}, not 'segment'")
    network = trained.model.fuse(verbose=False)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    version = importlib.metadata.version("ultralytics")
    name = Path(str(network.yaml.get("yaml_file", "YOLO-seg"))).stem
    classes = len(trained.names)
    description = f"Boxes and masks of nails: {name} trained with ultralytics {version}"
    provenance = Provenance(
        command=command,
        data=data,
        seed=seed,
        licence_of_origin=f"ultralytics {version}: AGPL-3.0, for the code and for weights trained with it",
    )
    generator = torch.Generator().manual_seed(0)
    return export_model(
        ServedYolo(network),
        card(size=size, classes=classes, description=description),
        folder,
        example=[torch.rand(2, 3, size, size, generator=generator) * 2 - 1],
        provenance=provenance,
        half=False,  # boxes are in pixels: fp16 weights would move them by more than a pixel
        tolerance=TOLERANCE,
    )


def digest_labels(data: Path) -> str:
    """sha256 over a data set's label files by name: says what a checkpoint was trained on."""
    total = hashlib.sha256()
    for path in sorted((data / "labels").rglob("*.txt")):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


@dataclass(frozen=True)
class Convert:
    """Write labelled and synthetic photos in ultralytics' form."""

    out: Path
    """folder of the data set"""
    photos: Folders = ()
    """folder of images/ and masks/; may be given several times"""
    synthetic: Folders = ()
    """folder of training.synth; may be given several times"""


@dataclass(frozen=True)
class Train:
    """Train a YOLO-seg network."""

    data: Path
    """what `convert` wrote"""
    out: Path
    """folder of the run"""
    model: str = ARCHITECTURE
    """architecture, from scratch"""
    weights: Path | None = None
    """checkpoint file to start from instead"""
    epochs: int = 100
    """passes over the photos"""
    size: int = SIZE
    """side of the input in pixels"""
    batch: int = 16
    """photos a step"""
    workers: int = 2
    """processes that read photos"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps"""
    seed: int = 0
    """fixes the training"""


@dataclass(frozen=True)
class Export:
    """Write a run as a model folder."""

    run: Positional[Path]
    """a run's folder, or a checkpoint file of ultralytics"""
    to: Path
    """folder to write; not our committed one"""
    size: int = SIZE
    """side of the served input"""
    data: Path | None = None
    """the data set it was trained on, for model.toml"""
    seed: int = 0
    """the seed it was trained with, for model.toml"""


def main() -> None:
    """The command line."""
    given: Convert | Train | Export = parse(
        Convert | Train | Export, program="python -m training.seg.yolo", about=__doc__
    )
    try:
        match given:
            case Convert():
                if not given.photos and not given.synthetic:
                    refuse("convert needs --photos or --synthetic")
                print(convert(list(given.photos), list(given.synthetic), given.out))
            case Train():
                device = str(choose_device(given.device).device)
                options = {name: value for name, value in vars(given).items() if name not in ("data", "out")}
                print(train(given.data, given.out, **options | {"device": device}))
            case Export():
                checkpoint = given.run / "weights" / "best.pt" if given.run.is_dir() else given.run
                data = f"labels, sha256 {digest_labels(given.data)}" if given.data else "unknown"
                command = f"python -m training.seg.yolo train --seed {given.seed}; from {checkpoint.name}"
                report = export(
                    checkpoint, given.to, size=given.size, data=data, seed=given.seed, command=command
                )
                print(report)
    except (FileNotFoundError, FileExistsError, ModuleNotFoundError, ValueError) as error:
        refuse(str(error))


if __name__ == "__main__":
    main()
