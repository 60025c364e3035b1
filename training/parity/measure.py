"""What a precision changes: outputs, rankings, hit rates, time; and whether it may be promoted."""

from __future__ import annotations

import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import hit_at_k, mean_reciprocal_rank
from nails.encoders import ENCODERS
from training.kit.ranking import best_ranks
from training.parity.chain import REFERENCE, Chain, Chosen, Difference, Feeds, Session
from training.parity.precision import (
    CONVOLUTIONAL,
    FP16,
    INT8,
    INT8_CPU,
    PRECISIONS,
    PrecisionError,
    check_source,
    rounded,
    weights_file,
    widened,
)
from training.parity.probe import Probe

LEAST_COSINE = 0.999  # of the worst item of every output, for fp16
LEAST_OVERLAP = 0.98  # of the first ten designs of a ranking, mean over requests
LEAST_ALONE = 0.99999  # cosine of an item alone and beside others
TOP = 10
ROUNDS = 21  # timed calls of each variant, in turns with the reference
ALL = "all"


@dataclass
class Row:
    """One variant in the place of its model, or with model "all" one precision of every model."""

    model: str
    variant: str
    outputs: dict[str, dict[str, float]] = field(default_factory=dict)
    file_cosine: float | None = None  # worst, of the file itself as this machine runs it
    alone_cosine: float | None = None  # worst, an item alone against the same among others
    overlap: dict[str, float] = field(default_factory=dict)  # by probe
    lost: int = 0  # requests and designs of all probes whose vector is not finite
    figures: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)  # probe, language, figure
    milliseconds: float | None = None
    time_ratio: float | None = None
    megabytes: float | None = None
    refusals: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As --only takes it."""
        return f"{self.model}.{self.variant}"


def refusals(row: Row, probe: str) -> list[str]:
    """Why a variant is not promoted; nothing when it may be. `probe`: the one that decides."""
    found = []
    if row.variant == FP16:
        cosines = {name: figures["cosine_worst"] for name, figures in row.outputs.items()}
        if row.file_cosine is not None:
            cosines["the file itself"] = row.file_cosine
        found += [
            f"{name}: worst cosine {cosine:.5f} is below {LEAST_COSINE}"
            for name, cosine in cosines.items()
            if not cosine >= LEAST_COSINE
        ]
    if row.lost:
        found.append(f"{row.lost} vectors are not finite")
    if not row.overlap[probe] >= LEAST_OVERLAP:
        found.append(f"top-{TOP} overlap {row.overlap[probe]:.4f} is below {LEAST_OVERLAP}")
    if row.alone_cosine is not None and not row.alone_cosine >= LEAST_ALONE:
        found.append(f"an item changes with its batch: cosine {row.alone_cosine:.6f}, needed {LEAST_ALONE}")
    return found


def overlap(ranking: NDArray[np.float32], reference: NDArray[np.float32], top: int = TOP) -> float:
    """Share of the first `top` designs of a request that stay, mean over requests. Cosines f32 [Q,N] both."""
    top = min(top, reference.shape[1])
    first = [np.argsort(-cosines, axis=1, kind="stable")[:, :top] for cosines in (ranking, reference)]
    return float(np.mean([len(np.intersect1d(a, b)) / top for a, b in zip(*first, strict=True)]))


def figures_of(probe: Probe, ranking: NDArray[np.float32]) -> dict[str, dict[str, float]]:
    """MRR and hit rates of a ranking over all requests and by language."""
    ranks = best_ranks(ranking, probe.targets)
    langs = np.array([request.lang for request in probe.requests])
    parts = {ALL: np.ones(len(ranks), np.bool_)} | {
        lang: langs == lang for lang in sorted(set(langs.tolist()))
    }
    return {
        name: {"mrr": mean_reciprocal_rank(ranks[part])}
        | {f"hit@{k}": hit_at_k(ranks[part], k) for k in (1, 5, 10)}
        for name, part in parts.items()
    }


def milliseconds(sessions: Mapping[str, Session], examples: Sequence[Feeds]) -> dict[str, float]:
    """Median CPU time of a call with one item, taken in turns so that all meet the same machine."""
    spent: dict[str, list[float]] = {name: [] for name in sessions}
    for turn in range(-2, ROUNDS):  # the first two warm up
        feeds = examples[turn % len(examples)]
        for name, session in sessions.items():
            start = time.process_time()
            session(feeds)
            if turn >= 0:
                spent[name].append(1000 * (time.process_time() - start))
    return {name: float(np.median(values)) for name, values in spent.items()}


def alone_cosine(session: Session, examples: Sequence[Feeds], most: int) -> float | None:
    """Worst cosine of any output of an item alone and among others; None where `most` is one at a time."""
    shapes = [tuple(array.shape for array in feeds.values()) for feeds in examples]
    common = Counter(shapes).most_common(1)[0][0]
    items = [feeds for feeds, shape in zip(examples, shapes, strict=True) if shape == common][: min(most, 8)]
    if len(items) < 2:
        return None
    together = session({name: np.concatenate([item[name] for item in items]) for name in items[0]})
    worst = 1.0
    for index, item in enumerate(items):
        for name, alone in session(item).items():
            difference = Difference()
            difference.add(together[name][index : index + 1], alone)
            worst = min(worst, *difference.cosines)
    return worst


class Bench:
    """The models, their variants, and the probes in every choice of them."""

    def __init__(self, models: Path, variants: Path, only: Sequence[str], probes: Sequence[Probe]) -> None:
        self.folders = {model: models / model for model in ENCODERS}
        self.made = list(self._made(variants, only))
        if not self.made:
            wanted = f" of {', '.join(only)}" if only else ""
            raise PrecisionError(f"{variants}: no variants{wanted} there: run `make` first")
        self.files = {m: {REFERENCE: Session(weights_file(f))} for m, f in self.folders.items()}
        self.compared = {model: dict(sessions) for model, sessions in self.files.items()}
        self.sizes: dict[str, float] = {}
        self.batches: dict[str, int] = {}
        for model, variant, folder in self.made:
            check_source(folder, self.folders[model])
            file = Session(weights_file(folder))
            self.files[model][variant] = file
            self.sizes[f"{model}.{variant}"] = weights_file(folder).stat().st_size / 1e6
            about = tomllib.loads((folder / "model.toml").read_text("utf-8"))["model"]
            self.batches[f"{model}.{variant}"] = int(about["max_batch_size"])
            twin = variant == FP16
            reference = weights_file(self.folders[model])
            self.compared[model][variant] = (
                Session(rounded(widened(reference)).SerializeToString()) if twin else file
            )
        self.chains = [Chain(probe, self.compared) for probe in probes]

    @staticmethod
    def _made(variants: Path, only: Sequence[str]) -> Iterator[tuple[str, str, Path]]:
        for model in ENCODERS:
            for variant in PRECISIONS:
                if (variants / variant / model).is_dir() and (not only or f"{model}.{variant}" in only):
                    yield model, variant, variants / variant / model

    def rows(self) -> Iterator[Row]:
        """The reference, each variant, and each precision of all models where there are several."""
        yield self._ranked(Row(ALL, REFERENCE), {})
        for model in ENCODERS:
            variants = [variant for made, variant, _ in self.made if made == model]
            if variants:
                times = milliseconds(self.files[model], self.chains[0].examples[model])
            for variant in variants:
                row = self._single(model, variant)
                row.milliseconds, row.time_ratio = times[variant], times[variant] / times[REFERENCE]
                yield row
        for precision in PRECISIONS:
            chosen = self._all(precision)
            if len(chosen) > 1:
                yield self._ranked(Row(ALL, precision), chosen)

    def _all(self, precision: str) -> Chosen:
        """Every model in `precision`; int8-cpu is int8 of the models that have but one int8."""
        made = {(model, variant) for model, variant, _ in self.made}
        if precision == INT8_CPU and not any(variant == INT8_CPU for _, variant in made):
            return {}
        chosen = {}
        for model in ENCODERS:
            own = INT8 if precision == INT8_CPU and model not in CONVOLUTIONAL else precision
            if (model, own) in made:
                chosen[model] = own
        return chosen

    def _single(self, model: str, variant: str) -> Row:
        chain = self.chains[0]
        row = self._ranked(Row(model, variant), {model: variant})
        row.outputs = {name: d.shown() for name, d in chain.difference(model, variant).items()}
        row.megabytes = self.sizes[row.name]
        examples = chain.examples[model]
        if self.compared[model][variant] is not self.files[model][variant]:
            own = Difference()
            for feeds in examples[:8]:
                got, wanted = self.files[model][variant](feeds), self.files[model][REFERENCE](feeds)
                for name in wanted:
                    own.add(got[name], wanted[name])
            row.file_cosine = min(own.cosines)
        row.alone_cosine = alone_cosine(self.compared[model][variant], examples, self.batches[row.name])
        return row

    def _ranked(self, row: Row, chosen: Chosen) -> Row:
        for chain in self.chains:
            ranking = chain.ranking(chosen)
            row.overlap[chain.probe.name] = overlap(ranking, chain.ranking({}))
            row.figures[chain.probe.name] = figures_of(chain.probe, ranking)
            row.lost += chain.lost(chosen)
        return row


def table(rows: Sequence[Row], probes: Sequence[Probe]) -> str:
    """The report as text: hit rates in percent of the first probe, hit@10 of the others by language."""
    head = ["variant", "output", "cosine", "worst", "max error", "alone", "top-10", "MRR", "hit@1", "hit@5"]
    head += ["hit@10", "CPU ms", "ratio", "MB"]
    others = [(p.name, lang) for p in probes[1:] for lang in sorted({request.lang for request in p.requests})]
    head += [f"real {lang} hit@10" for _, lang in others]
    lines = [head]
    for row in rows:
        found = row.figures[probes[0].name][ALL]
        shared = [
            _number(row.alone_cosine, ".6f"),
            f"{row.overlap[probes[0].name]:.4f}",
            *(f"{100 * found[name]:.1f}" for name in ("mrr", "hit@1", "hit@5", "hit@10")),
            _number(row.milliseconds, ".2f"),
            _number(row.time_ratio, ".2f"),
            _number(row.megabytes, ".1f"),
            *(f"{100 * row.figures[probe][lang]['hit@10']:.1f}" for probe, lang in others),
        ]
        for index, (output, figures) in enumerate(row.outputs.items() or [("", {})]):
            own = [_number(figures.get(key), ".5f") for key in ("cosine_mean", "cosine_worst")]
            own.append(_number(figures.get("max_error"), ".1e"))
            lines.append([row.name if not index else "", output, *own, *(shared if not index else [])])
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(len(head))]
    title = "; ".join(probe.name for probe in probes)
    body = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)) for line in lines]
    return "\n".join([title, *(line.rstrip() for line in body)])


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
