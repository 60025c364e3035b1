"""Which architecture for nail_seg: candidates trained on the same views of the same synthetic photos.

    python -m training.seg.compare --data DIR --clutter DIR --out runs/compare [--real DIR]

Every candidate sees the same batches in the same order (a batch is a pure function of seed and step), with
the same optimizer, schedule and one thread; its averaged weights after the last step are what is measured,
so nothing is chosen. Measured on the kept synthetic photos, letterboxed to the served size and decoded from
the ONNX export; real photos are for the report alone. Writes OUT/table.json and OUT/table.md; a candidate
that has its result is not trained again. `yolo11n` needs the environment of `make yolo-env`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from evaluation.perception.segmentation import evaluate, matched, union_mask
from nails.perception.masks import iou
from nails.perception.nail_decode import NailInstance
from nails.photo.preprocess import nail_seg_input
from training.kit.compute import CPU, Compute, set_memory_format
from training.kit.data.photos import (
    Clutter,
    Image,
    SyntheticPhoto,
    digest,
    read_image,
    read_mask,
    read_synthetic,
    split,
)
from training.kit.export.card import TensorCard
from training.kit.export.model import plain_graph, trace_onnx
from training.kit.fit import Averaged, Schedule, adamw, fit
from training.kit.flags import FLAT, Folders, names, parse
from training.kit.networks.blocks import to_tensor
from training.kit.run import Log, mean
from training.kit.training_command import choose_device, refuse
from training.seg.candidates import CANDIDATES, LEAST_SCORE, Candidate, Labels
from training.seg.data import ViewConfig, draw_view
from training.seg.yolo_data import numbered_nails

Batch = tuple[list[Image], list[Labels]]

SCORES = (LEAST_SCORE, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class Plan:
    """One comparison."""

    seed: int = 0
    """fixes views and weights"""
    views: int = 5000
    """views that each candidate sees"""
    side: int = 192
    """side of a view"""
    batch: int = 16
    """views a step"""
    rate: float = 2e-3
    """highest learning rate"""
    served: int = 512
    """side of the input it is measured at"""
    validation: int = 120
    """synthetic photos measured on"""

    @property
    def steps(self) -> int:
        return max(1, round(self.views / self.batch))


def comparison_views(plan: Plan) -> ViewConfig:
    """How photos are seen: as in training, at one size."""
    return replace(
        ViewConfig(), sizes=(plan.side,), size_chances=(1.0,), batch=plan.batch, model_size=plan.served
    )


def draw_batches(photos: Sequence[SyntheticPhoto], plan: Plan, clutter: Clutter | None) -> list[Batch]:
    """All batches of the plan, in order: views uint8 [S,S,3] and their instance labels uint8 [S,S].

    SyntheticPhoto once and kept, since every candidate sees them all.
    """
    config, batches = comparison_views(plan), []
    for step in track(range(plan.steps), description="views"):
        rng = np.random.default_rng((plan.seed, step))
        drawn = [
            draw_view(photos[int(rng.integers(len(photos)))], plan.side, rng, config, clutter)
            for _ in range(plan.batch)
        ]
        batches.append(([view for view, _ in drawn], [labels for _, labels in drawn]))
    return batches


def train(
    candidate: Candidate, batches: Sequence[Batch], plan: Plan, run: Path, compute: Compute = CPU
) -> nn.Module:
    """The candidate's averaged network after all batches."""
    torch.manual_seed(plan.seed)
    network = compute.network(set_memory_format(candidate.make(run), torch.channels_last))
    schedule = Schedule(
        steps=plan.steps,
        rate=plan.rate,
        warmup=min(50, plan.steps // 5 + 1),
        slow=0.25 if candidate.slow else 1.0,
    )
    averaged = Averaged(network)

    def loss(batch: Batch) -> Tensor:
        images = to_tensor(batch[0]).contiguous(memory_format=torch.channels_last)
        return candidate.loss(network, compute.batch(images), batch[1], compute)

    fit(
        network,
        adamw(network, candidate.slow(network) if candidate.slow else network, schedule),
        batches,
        loss,
        steps=plan.steps,
        factor=schedule.factor,
        averaged=averaged,
        log=Log(run),
        log_every=25,
    )
    return set_memory_format(averaged.network.cpu(), torch.contiguous_format)


def export(candidate: Candidate, network: nn.Module, plan: Plan, path: Path) -> None:
    """The candidate as ONNX at the served size, batch axis dynamic."""
    example = torch.rand(2, 3, plan.served, plan.served, generator=torch.Generator().manual_seed(0)) * 2 - 1
    served = candidate.served(network).eval()
    for parameter in served.parameters():
        parameter.requires_grad_(False)
    inputs = (TensorCard("images", "f32", (3, plan.served, plan.served)),)
    outputs = tuple(TensorCard(name, "f32", ()) for name in candidate.outputs)
    trace_onnx(served, [example], path, inputs=inputs, outputs=outputs)
    plain_graph(path)


class Exported:
    """A candidate's ONNX file with its decoder, on one thread."""

    def __init__(self, candidate: Candidate, path: Path, side: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.candidate, self.side = candidate, side

    def find(self, image: NDArray[np.uint8], *, min_score: float) -> list[NailInstance]:
        """The nails of a photo [H,W,3] whose score is at least `min_score`, best first."""
        tensor, placed = nail_seg_input(image, self.side)
        outputs = self.session.run(list(self.candidate.outputs), {"images": tensor[None]})
        named = {name: value[0] for name, value in zip(self.candidate.outputs, outputs, strict=True)}
        found = self.candidate.decode(named, placed, (image.shape[1], image.shape[0]))
        return [nail for nail in found if nail.score >= min_score]

    def cpu_ms(self, repeats: int = 15) -> float:
        """CPU milliseconds of the network for one photo: the least of `repeats`, other work only adds."""
        tensor = np.random.default_rng(0).uniform(-1, 1, (1, 3, self.side, self.side)).astype(np.float32)
        times = []
        for _ in range(repeats):
            begun = time.process_time()
            self.session.run(list(self.candidate.outputs), {"images": tensor})
            times.append(1000 * (time.process_time() - begun))
        return min(times)


def measure_synthetic(model: Exported, photos: Sequence[SyntheticPhoto]) -> dict[str, float]:
    """On synthetic photos, whose nails are numbered: mean IoU, precision, recall and F1 of single nails.

    Together with the score cut that gives the best F1 here, which then holds for real photos too.
    """
    best: dict[str, float] = {}
    seen = [
        (read_mask(photo.mask), model.find(read_image(photo.image), min_score=LEAST_SCORE))
        for photo in photos
    ]
    for cut in SCORES:
        ious, right, found_count, labelled = [], 0, 0, 0
        for mask, nails in seen:
            found = [nail for nail in nails if nail.score >= cut]
            truth = numbered_nails(mask)
            right += matched(found, truth)
            found_count, labelled = found_count + len(found), labelled + len(truth)
            if truth:
                ious.append(iou(union_mask(found, (mask.shape[0], mask.shape[1])), mask > 0))
        figures = {
            "min_score": cut,
            "iou": mean(ious),
            "precision": right / max(1, found_count),
            "recall": right / max(1, labelled),
            "f1": 2 * right / max(1, found_count + labelled),
        }
        if not best or figures["f1"] > best["f1"]:
            best = figures
    return best


def count_parameters(path: Path) -> int:
    """Numbers in the weights of an ONNX file."""
    return sum(int(np.prod(tensor.dims)) for tensor in onnx.load(path).graph.initializer)


def markdown(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The table, best on synthetic photos first."""
    lines = [
        "| candidate | synthetic IoU | synthetic F1 | real IoU | real F1 | parameters, M | MB | CPU ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["synthetic"]["iou"]):
        real = row.get("real")
        outside = [f"{real[key]:.3f}" if real else "–" for key in ("mean_iou", "nail_f1")]
        figures = [f"{row['synthetic']['iou']:.3f}", f"{row['synthetic']['f1']:.3f}", *outside]
        size = [f"{row['parameters'] / 1e6:.2f}", f"{row['megabytes']:.1f}", f"{row['cpu_ms']:.0f}"]
        lines.append(f"| `{name}`: {row['title']} | " + " | ".join([*figures, *size]) + " |")
    return "\n".join(lines) + "\n"


class Photos:
    """The synthetic photos of a comparison: those trained on with their views, and those kept."""

    def __init__(self, data: list[Path], clutter: list[Path], plan: Plan) -> None:
        self.data, self.clutter, self.plan = data, clutter, plan
        self.digest = digest(data)
        self.training: list[SyntheticPhoto] = []
        kept: list[SyntheticPhoto] = []
        for folder in data:
            ours, theirs = split(read_synthetic(folder))
            self.training += ours
            kept += theirs
        self.kept = kept[:: max(1, len(kept) // plan.validation)][: plan.validation]

    @cached_property
    def batches(self) -> list[Batch]:
        clutter = Clutter(self.clutter)
        return draw_batches(self.training, self.plan, clutter if len(clutter) else None)


def run_candidate(
    name: str, photos: Photos, out: Path, real: Path | None, compute: Compute = CPU
) -> dict[str, Any]:
    """Trains and measures one candidate; its row, which is also OUT/NAME/row.json."""
    candidate, run, plan = CANDIDATES[name], out / name, photos.plan
    facts = {"plan": asdict(plan), "data": photos.digest}
    weights, path = run / "model.onnx", run / "row.json"
    row: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if {key: row.get(key) for key in facts} != facts:
        batches = photos.batches
        begun = time.process_time()
        network = train(candidate, batches, plan, run, compute)
        spent = time.process_time() - begun
        export(candidate, network, plan, weights)
        model = Exported(candidate, weights, plan.served)
        row = facts | {
            "title": candidate.title,
            "photos": len(photos.training),
            "validation_photos": len(photos.kept),
            "synthetic": measure_synthetic(model, photos.kept),
            "parameters": count_parameters(weights),
            "megabytes": weights.stat().st_size / 1e6,
            "cpu_ms": model.cpu_ms(),
            "training_cpu_minutes": spent / 60,
        }
    if real is not None:
        find = partial(
            Exported(candidate, weights, plan.served).find, min_score=row["synthetic"]["min_score"]
        )
        report = evaluate(real, find)
        row["real"] = report.as_dict()
    path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    return row


@dataclass(frozen=True)
class Compare:
    """The command."""

    data: Folders
    """folder of synthetic photos; may be given several times"""
    clutter: Folders = ()
    """folder of photos without hands; may be given several times"""
    out: Path = Path("runs/compare")
    """folder of the results"""
    real: Path | None = None
    """labelled real photos, for the report alone"""
    only: Annotated[tuple[str, ...], names(tuple(CANDIDATES))] = tuple(CANDIDATES)
    """candidates, with commas between"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps"""
    plan: Annotated[Plan, FLAT] = field(default_factory=Plan)


def main() -> None:
    """The command line."""
    job: Compare = parse(Compare, program="python -m training.seg.compare", about=__doc__)
    if not job.data:
        refuse("--data DIR is required")
    torch.set_num_threads(1)
    photos = Photos(list(job.data), list(job.clutter), job.plan)
    rows = {}
    for name in job.only:
        rows[name] = run_candidate(name, photos, job.out, job.real, choose_device(job.device))
        (job.out / "table.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        (job.out / "table.md").write_text(markdown(rows), encoding="utf-8")
    print(markdown(rows))


if __name__ == "__main__":
    main()
