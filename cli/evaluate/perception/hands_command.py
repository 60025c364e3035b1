"""`lunula eval hands`: hands, joints, the target hand and the crop, measured or looked at."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.client.models import DEFAULT_REPOSITORY, Repository
from cli.client.page import templates
from cli.console import console, errors, errors_as_exit_codes, progress
from cli.evaluate.perception.hand_models import Perception
from cli.evaluate.tables import build_table
from evaluation.errors import DataError
from evaluation.perception.hands import Cropping, HandsReport, Joints, Seen, count_photo, look, read_truth
from evaluation.perception.labelled import list_entries
from nails.perception.crop_rules import expand_square
from nails.perception.overlay import draw_overlay
from nails.photo.codec import PhotoError, PhotoLimits, decode_photo, encode_jpeg

LONG_SIDE = 1600
"""At which photos are searched, as CropService does."""
_KINDS = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Card:
    """A photo on the page: the overlay as JPEG, base64, and the caption below it."""

    name: str
    overlay: str
    rule: str
    nails: int
    hands: int


def hands(
    data: Annotated[
        Path, typer.Option(help="A folder of `data synth`, or one with photos in images/ to look at.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with every photo: nails, hands, joints, rule, crop.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Only so many photos, the first by name; 0: all.")] = 0,
    repository: Repository = DEFAULT_REPOSITORY,
) -> None:
    """Find hands and their joints with the served models, apply the crop rules, and count how well that went.

    A folder with an index.jsonl is measured: hands at IoU 0.5, PCK@0.1 of the joints, the target hand on
    photos with two hands, and the crop. Without one the rules that applied are counted; see the page. Runs in
    this process; no service is needed.
    """
    with errors_as_exit_codes():
        perception = Perception(repository)
        if (data / "index.jsonl").is_file():
            report, cards = _measured(data, limit, perception, draws=page is not None)
            facts = report.as_dict()
        else:
            cards = _looked_at(data, limit, perception)
            rules = Counter(card.rule for card in cards)
            facts = {
                "photos": len(cards),
                "hands": dict(sorted(Counter(str(card.hands) for card in cards).items())),
                "rules": dict(sorted(rules.items())),
            }
            report = None
        if page is not None:
            page.parent.mkdir(parents=True, exist_ok=True)
            html = templates.get_template("hands.html.j2").render(cards=cards, data=data.name, facts=facts)
            page.write_text(html, encoding="utf-8")
            errors.print(f"wrote {escape(str(page))}")
        if as_json:
            typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        elif report is not None:
            for table in _tables(report):
                console.print(table)
        else:
            console.print(_counts(facts))


def _measured(
    data: Path, limit: int, perception: Perception, *, draws: bool
) -> tuple[HandsReport, list[Card]]:
    entries = list_entries(data)
    entries = entries[:limit] if limit else entries
    report, cards = HandsReport(), []
    with progress() as bar:
        task = bar.add_task("Finding hands", total=len(entries))
        for entry in entries:
            image = _read(entry.image)
            seen = count_photo(report, read_truth(entry), image, perception)
            if draws:
                cards.append(_card(entry.name, image, seen))
            bar.advance(task)
    return report, cards


def _looked_at(data: Path, limit: int, perception: Perception) -> list[Card]:
    folder = data / "images" if (data / "images").is_dir() else data
    if not folder.is_dir():
        raise DataError(f"{data}: no such folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _KINDS)
    if not paths:
        raise DataError(f"{folder}: no photos")
    paths = paths[:limit] if limit else paths
    cards = []
    with progress() as bar:
        task = bar.add_task("Finding hands", total=len(paths))
        for path in paths:
            image = _read(path)
            cards.append(_card(path.stem, image, look(perception, image)))
            bar.advance(task)
    return cards


def _read(path: Path) -> Any:
    try:
        return decode_photo(path.read_bytes(), limits=PhotoLimits(), max_side=LONG_SIDE)
    except (OSError, PhotoError) as error:
        raise DataError(f"{path}: not a readable photo: {error}") from error


def _card(name: str, image: Any, seen: Seen) -> Card:
    square = expand_square(seen.crop.box, (image.shape[1], image.shape[0]))
    overlay = encode_jpeg(draw_overlay(image, seen.nails, seen.hands, seen.crop, square), quality=80)
    return Card(
        name=name,
        overlay=base64.b64encode(overlay).decode(),
        rule=seen.crop.rule.name.lower().replace("_", " "),
        nails=len(seen.nails),
        hands=len(seen.hands),
    )


def _tables(report: HandsReport) -> list[Table]:
    boxes = build_table(
        "Hands; right at IoU 0.5",
        *("photos", "hands", "precision", "recall", "F1", "photos without a hand", "with a phantom"),
    )
    boxes.add_row(
        str(report.photos),
        str(report.labelled),
        *(f"{figure:.3f}" for figure in (report.precision, report.recall, report.f1)),
        str(report.empty),
        str(report.phantoms),
    )
    joints = build_table(
        "Joints; right within a tenth of the hand's longer side",
        *("", "PCK@0.1", "joints", "PCK@0.1 of visible", "visible"),
        left=("",),
    )
    joints.add_row("given the true box", *_cells(report.given_box))
    joints.add_row("end to end", *_cells(report.end_to_end))
    crops = build_table(
        "Target hand and crop",
        *("", "target hand right", "of photos", "crop IoU", "IoU ≥ 0.8", "same rule"),
        left=("",),
    )
    crops.add_row("true nails", *_crop_cells(report.true_nails))
    crops.add_row("found nails", *_crop_cells(report.found_nails))
    return [boxes, joints, crops]


def _cells(joints: Joints) -> list[str]:
    facts = joints.as_dict()
    return [f"{facts['pck']:.3f}", str(facts["joints"]), f"{facts['pck_visible']:.3f}", str(facts["visible"])]


def _crop_cells(crops: Cropping) -> list[str]:
    facts = crops.as_dict()
    shares = [f"{facts[name]:.3f}" for name in ("crop_iou", "crop_iou_at_least_0.8", "same_rule")]
    return [f"{100 * facts['target_hand']:.1f} %", str(facts["target_photos"]), *shares]


def _counts(facts: dict[str, Any]) -> Table:
    table = build_table(f"{facts['photos']} photos", "", "photos", left=("",))
    for number, photos in facts["hands"].items():
        table.add_row(f"{number} hands found", str(photos))
    for rule, photos in facts["rules"].items():
        table.add_row(f"rule: {rule}", str(photos))
    return table
