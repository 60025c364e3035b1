"""`lunula eval segmentation`: how well the served nail_seg finds the nails of labelled photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.client.models import DEFAULT_REPOSITORY, Repository, entries
from cli.console import console, errors, errors_as_exit_codes, progress
from cli.errors import RequestError
from cli.evaluate.perception.nail_model import NAIL_SEG, nail_predictor
from cli.evaluate.perception.segmentation_page import FAR_BELOW, Drawing, draw, render
from cli.evaluate.tables import build_table
from evaluation.perception.groups import BY, GroupScore
from evaluation.perception.labelled import list_entries, read_entry
from evaluation.perception.segmentation import SegmentationReport, score_photo, summarise


def segmentation(
    data: Annotated[
        Path, typer.Option(help="A folder with images/ and masks/ of equal names, or one of `data synth`.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with every photo and what was found, the worst first.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Also by tone, family (of polish) or nude (nude and bare nails on each tone); may be "
            "repeated. For folders of `data synth`, whose index.jsonl says them.",
            metavar="|".join(BY),
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Only so many photos, the first by name; 0: all.")] = 0,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Nails below it are dropped; 0: as the model says.")
    ] = 0.0,
    repository: Repository = DEFAULT_REPOSITORY,
) -> None:
    """Find the nails in labelled photos with the served nail_seg, and count how well that went.

    Mean IoU and Dice are over photos, all nails of a photo together. A found nail is right when its IoU with
    a labelled one is at least 0.5. Runs in this process; no service is needed.
    """
    wanted = list(dict.fromkeys(by or ()))
    with errors_as_exit_codes():
        unknown = [name for name in wanted if name not in BY]
        if unknown:
            raise RequestError(f"cannot group by {unknown[0]!r}; there are {', '.join(BY)}")
        labelled = list_entries(data)
        labelled = labelled[:limit] if limit else labelled
        if wanted and any(entry.record is None for entry in labelled):
            raise RequestError(f"{data}: without an index.jsonl nothing is known to group by")
        predict = nail_predictor(repository, min_score=min_score)
        scores, drawings = [], {}
        with progress() as bar:
            task = bar.add_task("Finding nails", total=len(labelled))
            for entry in labelled:
                photo = read_entry(entry)
                found = predict(photo.image)
                scores.append(score_photo(photo, found))
                if page is not None:
                    drawings[photo.name] = draw(photo, found)
                bar.advance(task)
        report = summarise(scores)
        groups = {name: report.groups(name) for name in wanted}
        if page is not None:
            _write_segmentation(page, report, drawings, groups, data, repository)
        if as_json:
            typer.echo(json.dumps(report.as_dict(wanted), ensure_ascii=False, indent=2))
            return
        console.print(_segmentation_table(report))
        for name, rows in groups.items():
            console.print(_groups_table(name, rows))


def _write_segmentation(
    page: Path,
    report: SegmentationReport,
    drawings: dict[str, Drawing],
    groups: dict[str, list[GroupScore]],
    data: Path,
    repository: Path,
) -> None:
    model = next(entry for entry in entries(repository) if entry.name == NAIL_SEG)
    fingerprint = str(model.facts.get("model", {}).get("fingerprint", ""))[:12]
    page.parent.mkdir(parents=True, exist_ok=True)
    text = render(report, drawings, groups, data=data.name, model=f"{NAIL_SEG} {fingerprint}")
    page.write_text(text, encoding="utf-8")
    errors.print(f"wrote {escape(str(page))}")


def _segmentation_table(report: SegmentationReport) -> Table:
    table = build_table(
        "Nails in labelled photos; a nail is right at IoU 0.5",
        *("photos", "mean IoU", "mean Dice", "nail precision", "nail recall", "nail F1"),
    )
    figures = (report.mean_iou, report.mean_dice, report.precision, report.recall, report.f1)
    table.add_row(str(len(report.photos)), *(f"{figure:.3f}" for figure in figures))
    return table


def _groups_table(by: str, rows: list[GroupScore]) -> Table:
    what = {"tone": "Monk skin tone", "family": "polish family", "nude": "nude and bare nails by Monk tone"}[
        by
    ]
    table = build_table(
        f"By {what}; red: more than {FAR_BELOW} below the mean",
        *("group", "photos", "IoU", "to mean", "nails", "IoU of a nail", "to mean"),
        left=("group",),
    )
    for row in rows:
        iou = ("–", "–") if row.iou is None or row.iou_gap is None else (f"{row.iou:.3f}", _gap(row.iou_gap))
        table.add_row(
            row.name, str(row.photos), *iou, str(row.nails), f"{row.nail_iou:.3f}", _gap(row.nail_iou_gap)
        )
    return table


def _gap(value: float) -> str:
    return f"[red]{value:+.3f}[/red]" if value < -FAR_BELOW else f"{value:+.3f}"
