"""`lunula eval`: figures on labelled data."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli.console import console, errors, errors_as_exit_codes, progress, run
from cli.evaluate import (
    eval_aesthetic,
    eval_aesthetic_sweep,
    eval_artist,
    eval_channels,
    eval_design,
    eval_hands,
    eval_rerank,
    eval_segmentation,
)
from cli.evaluate import retrieval as evaluating
from cli.evaluate.retrieval_page import render_results
from cli.stack.own_stack import EmptyRank, own_stack
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from services.kit.client import connect


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    group = typer.Typer(help="Measure against labelled data.", no_args_is_help=True)
    group.command("retrieval")(retrieval)
    group.command("segmentation")(eval_segmentation.segmentation)
    group.command("hands")(eval_hands.hands)
    group.command("design")(eval_design.design)
    group.command("channels")(eval_channels.channels)
    group.command("artist")(eval_artist.artist)
    group.command("aesthetic")(eval_aesthetic.aesthetic)
    group.command("aesthetic-sweep")(eval_aesthetic_sweep.aesthetic_sweep)
    group.command("rerank")(eval_rerank.rerank)
    group.command("errors")(eval_design.error_counts)
    app.add_typer(group, name="eval")


def retrieval(
    data: Annotated[Path, typer.Option(help="A folder with requests.jsonl and its photos.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    page: Annotated[Path | None, typer.Option(help="Write a page with every request and its hits.")] = None,
    rank_address: EmptyRank = "",
    triton: Annotated[bool, typer.Option("--triton", help="Serve the models from the real Triton.")] = False,
    beauty: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.5,
            help="How much beauty counts among the designs that fit; 0 is off.",
            show_default="the server's",
        ),
    ] = None,
) -> None:
    """Index the photos of a folder, ask every request, and count how often the right photo is found.

    The photos are indexed without any text. hit@k is the share of requests whose photo is among the first k.
    """
    with errors_as_exit_codes(), ExitStack() as resources:
        questions = evaluating.read_questions(data)
        if not rank_address:
            rank_address = resources.enter_context(own_stack(triton=triton)).rank

        async def work() -> tuple[list[evaluating.Result], int]:
            async with connect(rank_address) as channel:
                stub = rank_grpc.RankServiceStub(channel)
                with progress() as bar:
                    indexing = bar.add_task("Indexing", total=len(evaluating.records_of(questions)))
                    asking = bar.add_task("Asking  ", total=len(questions))
                    outcome, results = await evaluating.evaluate(
                        stub,
                        questions,
                        beauty=beauty,
                        on_indexed=lambda _: bar.advance(indexing),
                        on_asked=lambda _: bar.advance(asking),
                    )
                for design_id, error in outcome.failed.items():
                    errors.print(f"not indexed: {design_id}: {error.message} [{error.reason}]", markup=False)
                return results, len(outcome.failed)

        results, failed = run(work())
        scores = evaluating.score(results)
        if as_json:
            typer.echo(evaluating.as_json(scores, results))
        else:
            console.print(_table(scores))
        if page is not None:
            asyncio.run(asyncio.to_thread(page.write_text, render_results(results), encoding="utf-8"))
            errors.print(f"wrote {page}")
        if failed:
            raise typer.Exit(1)


def _table(scores: list[evaluating.Scores]) -> Table:
    table = Table(title="hit@k by language, chance in brackets", title_justify="left")
    table.add_column("language")
    table.add_column("requests", justify="right")
    table.add_column("designs", justify="right")
    for depth in evaluating.DEPTHS:
        table.add_column(f"hit@{depth}", justify="right")
    table.add_column("MRR", justify="right")
    for item in scores:
        cells = [f"{100 * item.hit[k]:.1f} % ({100 * item.chance[k]:.1f})" for k in evaluating.DEPTHS]
        table.add_row(item.language, str(item.requests), str(item.designs), *cells, f"{item.mrr:.3f}")
    return table
