"""What each ingredient of the synthetic photos is worth to nail_seg, on real photos.

    python -m training.seg.ablate --clutter DIR --backgrounds DIR --real DIR --out RUNS

For the full generator and for each ingredient left out (`training.synth.ingredients`) one set of photos is
generated from the same seeds, one network is trained on it from ImageNet weights with the same number of
views and the same seed, and measured on the labelled real photos, decoded as in serving. The clutter that
training mixes in belongs to `clutter` and `real_backgrounds`: without those it is left out too. Rows that are
done are kept, so an interrupted run goes on. RUNS/table.md and RUNS/table.json hold the result. The runs are
small (thousands of views, not hundreds of thousands): differences are worth reading, levels are not.
`--repeats` trains the full row with further seeds, which shows how large a difference chance makes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.perception.segmentation import Predictor, evaluate
from nails.perception.nail_decode import NailInstance, decode_interior
from nails.photo.preprocess import nail_seg_input
from training.kit.fit import Schedule
from training.kit.flags import Folders, names, parse
from training.kit.run import load_checkpoint
from training.kit.training_command import choose_device
from training.seg.data import ViewConfig
from training.seg.model import NailMaps
from training.seg.train import SegConfig, build, train
from training.synth.ingredients import INGREDIENTS
from training.synth.run.writer import write

FULL = "everything"
# Not drawn: clutter pasted over views and shown alone (training.seg.data).
_MIXED_IN = {"clutter", "real_backgrounds"}


def predictor(run: Path, size: int) -> Predictor:
    """Photo -> nails with the checkpoint of a run."""
    network = build(pretrained=False)
    network.load_state_dict(load_checkpoint(run)["weights"])
    served = NailMaps(network.eval(), gated=True)

    def predict(image: NDArray[np.uint8]) -> list[NailInstance]:
        placed, letterbox = nail_seg_input(image, size)
        with torch.no_grad():
            maps = served(torch.from_numpy(placed)[None])[0].numpy()
        return decode_interior(maps, letterbox, (image.shape[1], image.shape[0]))

    return predict


@dataclass(frozen=True)
class Ablate:
    """The command."""

    real: Path
    """labelled photos; measured, never chosen by"""
    backgrounds: Path
    """photos that stand behind the hands"""
    out: Path
    """folder of the rows"""
    clutter: Folders = ()
    """folder of photos without hands; may be given several times"""
    without: Annotated[tuple[str, ...], names(tuple(sorted(INGREDIENTS)))] = tuple(sorted(INGREDIENTS))
    """ingredients that are left out, one for each row, with commas between"""
    photos: int = 1000
    """synthetic photos of a row"""
    size: int = 352
    """longer side of the synthetic photos"""
    steps: int = 350
    """updates of a training"""
    seed: int = 0
    """fixes the training"""
    drawing_seed: int = 901
    """fixes the synthetic photos"""
    repeats: int = 2
    """seeds of the full row"""
    served_size: int = 320
    """side at which photos are measured"""
    sides: tuple[int, ...] = (128, 160)
    """sides of the training views, equally often"""
    batch: int = 32
    """views of the smallest side in a step"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps"""


def row(name: str, seed: int, given: Ablate) -> dict[str, Any]:
    """Draws, trains and measures one row, or reads what an earlier call found."""
    folder = given.out / (name if seed == given.seed else f"{name}-{seed}")
    done = folder / "result.json"
    if done.exists():
        result: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return result
    without = () if name == FULL else (name,)
    photos = given.out / "photos" / name
    write(
        photos,
        given.photos,
        given.drawing_seed,
        kind="segmentation",
        workers=1,
        size=given.size,
        backgrounds=given.backgrounds,
        without=without,
    )
    config = SegConfig(
        seed=seed,
        validate_every=given.steps,
        schedule=replace(Schedule(), steps=given.steps),
        views=replace(
            ViewConfig(),
            sizes=given.sides,
            size_chances=tuple(1 / len(given.sides) for _ in given.sides),
            model_size=given.served_size,
            batch=given.batch,
        ),
        validation_size=given.served_size,
    )
    clutter = () if name in _MIXED_IN else given.clutter
    train(config, [photos], list(clutter), folder, start=None, compute=choose_device(given.device))
    report = evaluate(given.real, predictor(folder, given.served_size))
    result = {
        "row": name,
        "seed": seed,
        "real_iou": report.mean_iou,
        "real_f1": report.f1,
        "synthetic_iou": load_checkpoint(folder)["metrics"]["iou"],
    }
    done.write_text(json.dumps(result), encoding="utf-8")
    return result


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown, the costliest ingredient first."""
    full = [one for one in rows if one["row"] == FULL]
    iou = float(np.mean([one["real_iou"] for one in full]))
    f1 = float(np.mean([one["real_f1"] for one in full]))
    lines = [
        "| left out | IoU real | cost in IoU | F1 real | cost in F1 | IoU on its own synthetic photos |",
        "|---|---|---|---|---|---|",
    ]
    for one in sorted(rows, key=lambda one: (one["row"] != FULL, one["real_iou"])):
        label = "nothing" if one["row"] == FULL else one["row"]
        lines.append(
            f"| {label} (seed {one['seed']}) | {one['real_iou']:.3f} | {iou - one['real_iou']:+.3f} "
            f"| {one['real_f1']:.3f} | {f1 - one['real_f1']:+.3f} | {one['synthetic_iou']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """The command line."""
    given: Ablate = parse(Ablate, program="python -m training.seg.ablate", about=__doc__)
    torch.set_num_threads(1)
    plan = [(FULL, given.seed + index) for index in range(given.repeats)]
    plan += [(name, given.seed) for name in given.without]
    rows = []
    for name, seed in plan:
        rows.append(row(name, seed, given))
        (given.out / "table.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
        (given.out / "table.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
