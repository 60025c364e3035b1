"""`lunula eval rerank`: costs and gains of the aesthetic score at several weights, and the default."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.console import console, errors, errors_as_exit_codes, progress
from cli.errors import RequestError
from cli.evaluate.aesthetic.rerank_measuring import measure, read_measurement
from cli.evaluate.aesthetic.rerank_page import weights_table, write_rerank_page
from cli.evaluate.extra import require_evaluate_extra
from cli.stack.own_stack import EmptyRank
from evaluation.aesthetic.rerank_labels import LEVELS, Labels, read_pool
from evaluation.aesthetic.rerank_weights import (
    WEIGHTS,
    choose,
    compare_weights,
    measure_weight,
)
from nails.aesthetic.rerank import DEFAULT_WEIGHT, MAX_WEIGHT

SPLITS = ("val", "test")
_WEIGHTS = ",".join(f"{weight:g}" for weight in WEIGHTS)


def rerank(
    data: Annotated[Path, typer.Option(help="A folder of `lunula data synth --kind aesthetics`.")],
    split: Annotated[
        str, typer.Option(metavar="|".join(SPLITS), help="val to choose the default on; test to report.")
    ] = "val",
    weights: Annotated[str, typer.Option(help="Aesthetic weights to try, the first 0.")] = _WEIGHTS,
    levels: Annotated[str, typer.Option(help=f"Levels of the requests, of {', '.join(LEVELS)}.")] = ",".join(
        LEVELS[:3]
    ),
    each: Annotated[int, typer.Option(min=1, max=8, help="Requests for each photo.")] = 1,
    limit: Annotated[int, typer.Option(min=0, help="Only so many photos; 0 takes all.")] = 0,
    check: Annotated[
        int,
        typer.Option(min=0, help="Requests for which the service's own order is compared, at all weights."),
    ] = 12,
    terms: Annotated[
        Path | None,
        typer.Option(
            help="File for the answers of the service: read where it exists and the models are the same, "
            "else written; an interrupted run goes on where it stopped."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with the plot, and the plot as PNG beside it.")
    ] = None,
    rank_address: EmptyRank = "",
) -> None:
    """Measure how often the right photo is found, and how good and well rated the first ten are, by weight.

    Indexes the photos of a split without any text and asks requests that were written for them. nDCG@10 has
    the gain 2^(grade + aesthetic) - 1: the grade says how much of the request a design meets (0 to 3, none
    without a half of it), aesthetic is the share of photos with a lower mean vote. On val, the weight with
    the largest nDCG@10 that costs less than 0.5 points of hit@10 is named as the default to be.
    """
    with errors_as_exit_codes():
        require_evaluate_extra()
        if split not in SPLITS:
            raise RequestError(f"--split {split}: not one of {', '.join(SPLITS)}")
        tried = _weights(weights)
        pool = read_pool(data, split, levels=_levels(levels), each=each, limit=limit)
        measured = read_measurement(pool, terms, rank_address) or measure(
            pool, terms, rank_address, check, tried
        )
        labels = Labels(pool)
        with progress() as bar:
            task = bar.add_task("Reranking", total=2 * len(tried))
            lines, people = [], []
            for weight in tried:
                lines.append(measure_weight(labels, measured.rankings, weight))
                bar.advance(task)
                people.append(measure_weight(labels, measured.rankings, weight, people=True))
                bar.advance(task)
        gains = [compare_weights(line, lines[0]) for line in lines]
        best = choose(lines)
        facts: dict[str, Any] = {
            "split": split,
            "photos": len(pool.photos),
            "requests": len(measured.rankings),
            "met by one photo alone": labels.alone,
            "data": pool.digest,
            "default": DEFAULT_WEIGHT,
            "chosen": best.weight if split == "val" else None,
            "checked": measured.checked,
            "wrong": measured.wrong,
        }
        if page is not None:
            for path in write_rerank_page(page, lines, gains, people, facts):
                errors.print(f"wrote {escape(str(path))}")
    if as_json:
        rows = [
            {
                "weight": line.weight,
                "people": line.people,
                "hit@10": line.hit_at_10,
                "nDCG@10": line.ndcg_at_10,
                "mrr": line.mrr,
                "aesthetic": line.aesthetic,
                "grade": line.grade,
            }
            for line in (*lines, *people)
        ]
        over = {
            f"{line.weight:g}": {k: asdict(v) for k, v in gain.items()}
            for line, gain in zip(lines, gains, strict=True)
        }
        typer.echo(json.dumps(facts | {"rows": rows, "gains": over}, ensure_ascii=False, indent=2))
    else:
        title = f"{len(measured.rankings):,} requests, {len(pool.photos):,} photos of split {split}"
        console.print(weights_table(lines, gains, f"{title}: by the model's aesthetic score"))
        console.print(
            weights_table(people, [compare_weights(line, people[0]) for line in people], "by people's votes")
        )
        console.print(f"{labels.alone:,} requests are met in full by one photo alone", highlight=False)
        if measured.checked:
            same = measured.checked - len(measured.wrong)
            console.print(
                f"{same} of {measured.checked} orders of the service are as computed", highlight=False
            )
        console.print(_verdict(split, best.weight), highlight=False)
    if measured.wrong:
        for line_ in measured.wrong[:5]:
            errors.print(f"not as computed: {line_}", markup=False)
        raise typer.Exit(1)


def _verdict(split: str, best: float) -> str:
    served = f"nails.aesthetic.rerank serves {DEFAULT_WEIGHT:g}"
    if split != "val":
        return f"{served}; a default is chosen on val"
    return f"chosen: {best:g}, the largest nDCG@10 for less than 0.5 points of hit@10; {served}"


def _weights(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise RequestError(f"--weights {text}: not numbers with commas between them") from None
    if found[0] != 0 or any(not 0 <= weight <= MAX_WEIGHT for weight in found):
        raise RequestError(f"--weights {text}: the first must be 0, the others in 0 to {MAX_WEIGHT:g}")
    if list(found) != sorted(set(found)):
        raise RequestError(f"--weights {text}: must rise")
    return found


def _levels(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(","))
    if unknown := [level for level in found if level not in LEVELS]:
        raise RequestError(f"--levels {text}: {unknown[0]!r} is none of {', '.join(LEVELS)}")
    return found
