"""`lunula eval aesthetic-sweep`: whether the aesthetic score rises with a setting of what makes images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli.console import console, errors, errors_as_exit_codes, progress, run
from cli.evaluate.aesthetic.sweep import (
    Images,
    Scores,
    find_images,
    score_images,
    summarise_scales,
    summarise_sweep,
)
from cli.evaluate.aesthetic.sweep_page import describe_trend, sweep_table, write_sweep_page
from cli.evaluate.extra import require_evaluate_extra
from cli.stack.own_stack import own_stack
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from services.kit.client import connect


def aesthetic_sweep(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder of images for each scale; its name is the scale.")
    ],
    tag: Annotated[
        list[str] | None,
        typer.Option(
            help="What all images are meant to be, such as nature; repeat for more. Without it: nothing "
            "in particular."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with the plot and some images, and the plot as PNG.")
    ] = None,
    rank_address: Annotated[
        str,
        typer.Option(
            "--rank",
            help="RankService; by default a stack of its own is started and stopped.",
            metavar="HOST:PORT",
        ),
    ] = "",
) -> None:
    """Score images that were made with different settings, such as guidance scales, and test for a trend.

    DIR/1, DIR/3, DIR/7.5 … hold the images; those of one file name were made from one seed. Prints mean and
    spread by scale, Spearman's correlation of scale and score over all images and for each seed, and the
    trend test of Jonckheere and Terpstra. `lunula data degraded` draws such a folder.
    """
    with errors_as_exit_codes(), ExitStack() as resources:
        require_evaluate_extra()
        images = find_images(folder)
        tags = tuple(tag or ())
        if not rank_address:
            rank_address = resources.enter_context(own_stack()).rank

        scores: dict[float, dict[str, float]] = {}

        async def work() -> None:
            async with connect(rank_address) as channel:
                stub = rank_grpc.RankServiceStub(channel)
                with progress() as bar:
                    scoring = bar.add_task("Scoring", total=sum(len(own) for own in images.values()))
                    await score_images(stub, images, tags, scores, lambda count: bar.advance(scoring, count))

        try:
            run(work())
        except typer.Exit as ended:
            scored = sum(len(own) for own in scores.values())
            if not scored:
                raise
            _show_part(images, scores, tags, as_json=as_json)
            errors.print(
                f"{sum(map(len, images.values())) - scored} images were not scored, so there is no trend"
            )
            raise typer.Exit(1) from ended
        facts = summarise_sweep(scores, tags)
        if page is not None:
            for path in write_sweep_page(page, images, scores, facts):
                errors.print(f"wrote {escape(str(path))}")
        if as_json:
            typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
            return
        console.print(sweep_table(summarise_scales(scores), facts))
        for line in describe_trend(facts):
            console.print(line, highlight=False, markup=False)


def _show_part(images: Images, scores: Scores, tags: Sequence[str], *, as_json: bool) -> None:
    """Print the scores before a call failed."""
    if as_json:
        by_scale = {f"{scale:g}": dict(own) for scale, own in scores.items()}
        typer.echo(json.dumps({"tags": list(tags), "scores": by_scale}, ensure_ascii=False, indent=2))
        return
    for scale, own in scores.items():
        for name, score in own.items():
            console.print(f"{images[scale][name]}: {score:.2f}", highlight=False, markup=False)
