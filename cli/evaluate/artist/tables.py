"""The tables of `lunula eval artist`, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from cli.evaluate.tables import build_table
from evaluation.artist.metrics import Transitions
from evaluation.artist.published import MODELS, PILOTS, RATIOS, SLICES, TRANSITIONS
from evaluation.artist.table import ArtistRow, ArtistTable, Figures, Gain, Slice
from evaluation.metrics import PairedDifference

OTHER_DATA = "OTHER DATA, for reference only: what the paper reports"
_STEPS = ("T → T", "F → F", "F → T", "T → F")


def models_table(table: ArtistTable) -> Table:
    """Single models."""
    return _figures_table("Single models", table.singles)


def ratios_table(table: ArtistTable) -> Table:
    """The nine ratios."""
    return _figures_table("Means of both", table.ratios)


def _figures_table(title: str, rows: Sequence[ArtistRow]) -> Table:
    averages = any(row.singles is not None for row in rows)
    output = build_table(
        f"{title}: accuracy, micro and macro F1, all works pooled; means over folds and models",
        *("model", "what it is", "acc", "micro", "macro", "folds\nacc", "\nmacro"),
        *(("models\nacc", "\nmacro") if averages else ()),
        "ECE",
        left=("model", "what it is"),
    )
    for row in rows:
        output.add_row(
            escape(row.name),
            escape(row.what),
            f"{row.pooled.accuracy:.4f}",
            f"{row.pooled.micro:.4f}",
            f"{row.pooled.macro:.4f}",
            *_pair(row.folds),
            *(_pair(row.singles) if averages else ()),
            _share(row.calibration_error),
        )
    return output


def ladder_table(table: ArtistTable, gains: Sequence[Gain]) -> Table:
    """The ladder against 5:5."""
    output = build_table(
        "The ladder, fitted and chosen on inner folds; Δ to 5:5 in points with its 95 % interval and p",
        *("fusion", "acc", "macro-F1", "Δ acc", "Δ macro-F1", "ECE", "ECE\ncalibrated", "-ln p\ncalibrated"),
        left=("fusion",),
    )
    by_name = {gain.name: gain for gain in gains}
    for row in table.rungs:
        gain, twin = by_name.get(row.name), table.calibrated(row)
        output.add_row(
            escape(row.name),
            *_pair(row.pooled),
            "" if gain is None else _difference(gain.accuracy),
            "" if gain is None else _difference(gain.macro),
            "" if twin is row else _share(row.calibration_error),
            _share(twin.calibration_error if twin else None),
            _share(twin.loss if twin else None),
        )
    return output


def transitions_table(found: dict[str, Transitions]) -> Table:
    """How answers change from single models to fusions, a column each; the paper's table 4 and more."""
    works = next(iter(found.values())).works
    title = f"Right (T) and wrong (F), before and after fusion; {works:,} works"
    output = build_table(title, "works", *map(escape, found), left=("works",))
    for modality in ("image", "text"):
        for step in _STEPS:
            cells = (f"{item.step(modality)[step]:,}" for item in found.values())
            output.add_row(f"{modality} → fusion: {step}", *cells)
        output.add_section()
    lines = {
        "both right": [item.both_right for item in found.values()],
        "  of them lost": [item.both_right_lost for item in found.values()],
        "both wrong": [item.both_wrong for item in found.values()],
        "  of them rescued": [item.rescued for item in found.values()],
        "image alone right, lost": [item.lost[0] for item in found.values()],
        "text alone right, lost": [item.lost[1] for item in found.values()],
    }
    for name, counts in lines.items():
        output.add_row(name, *(f"{count:,}" for count in counts))
    output.add_section()
    output.add_row("either right (oracle of a selector)", *(f"{item.oracle:.4f}" for item in found.values()))
    return output


def slices_table(slices: Sequence[Slice], base: str) -> Table:
    """By entropy of the combination of object labels."""
    names = list(slices[0].figures)
    output = build_table(
        f"Works whose combination of object labels has entropy H < θ (logarithm to base {base})\n"
        "H needs the artists of the works that are tested: an analysis, no gate",
        *("θ", "works", "artists", "most", "fewest", "sd"),
        *(f"{escape(name)}\nacc\nmacro" for name in names),
    )
    for item in slices:
        figures = [item.figures.get(name) for name in names]
        output.add_row(
            "all" if item.threshold is None else f"{item.threshold:g}",
            f"{item.works:,}",
            str(item.artists),
            f"{item.most:,}",
            str(item.fewest),
            f"{item.deviation:.1f}",
            *("–" if one is None else f"{one.accuracy:.4f}\n{one.macro:.4f}" for one in figures),
        )
    return output


def published_tables() -> list[Table]:
    """What paper A reports on its own works."""
    title = f"{OTHER_DATA} (109,685 works of 944 artists)"
    models = build_table(title, "model", "acc", "macro-F1", left=("model",))
    for name, (accuracy, macro) in MODELS.items():
        models.add_row(name, f"{accuracy:.4f}", f"{macro:.4f}")
    models.add_section()
    for tenths, (accuracy, macro) in enumerate(RATIOS, start=1):
        models.add_row(f"photo : words {tenths}:{10 - tenths}", f"{accuracy:.4f}", f"{macro:.4f}")
    models.add_section()
    for name, accuracy in PILOTS.items():
        models.add_row(f"pilot, other works: {name}", f"{accuracy:.4f}", "–")
    title = f"{OTHER_DATA}, by entropy (acc / macro-F1)"
    slices = build_table(title, "θ", "works", "image", "text", "5:5", "labels")
    for threshold, (works, *pairs) in SLICES.items():
        slices.add_row(f"{threshold:g}", f"{works:,}", *(f"{a:.4f} / {m:.4f}" for a, m in pairs))
    steps = (f"{modality} → 5:5" for modality in TRANSITIONS)
    changes = build_table(f"{OTHER_DATA}, its table 4", "works", *steps, left=("works",))
    for step in _STEPS:
        changes.add_row(step, *(f"{counts[step]:,}" for counts in TRANSITIONS.values()))
    return [models, slices, changes]


def _pair(figures: Figures | None) -> tuple[str, str]:
    return ("–", "–") if figures is None else (f"{figures.accuracy:.4f}", f"{figures.macro:.4f}")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _difference(found: PairedDifference) -> str:
    colour = "green" if found.low > 0 else "red" if found.high < 0 else "yellow"
    interval = f"{100 * found.low:+.2f} … {100 * found.high:+.2f}"
    return f"[{colour}]{100 * found.mean:+.2f}[/{colour}] p {found.p_value:.4f}\n{interval}"
