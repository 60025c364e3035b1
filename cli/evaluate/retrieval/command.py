"""`lunula eval retrieval`: how often a request written for a photo finds that photo."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli.console import console, errors, errors_as_exit_codes, progress, run
from cli.evaluate.retrieval import questions as asked
from cli.evaluate.retrieval.page import render_results
from cli.evaluate.tables import build_table
from cli.stack.own_stack import EmptyRank, own_stack
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from services.kit.client import connect


def retrieval(
    data: Annotated[Path, typer.Option(help="A folder with requests.jsonl and its photos.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    page: Annotated[Path | None, typer.Option(help="Write a page with every request and its hits.")] = None,
    rank_address: EmptyRank = "",
    triton: Annotated[bool, typer.Option("--triton", help="Serve the models from the real Triton.")] = False,
    aesthetic_weight: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.5,
            help="How much the aesthetic score counts among the designs that fit; 0 is off.",
            show_default="the server's",
        ),
    ] = None,
) -> None:
    """Index the photos of a folder, send every request, and count how often the right photo is found.

    The photos are indexed without any text. hit@k is the share of requests whose photo is among the first k.
    """
    with errors_as_exit_codes(), ExitStack() as resources:
        questions = asked.read_questions(data)
        if not rank_address:
            rank_address = resources.enter_context(own_stack(triton=triton)).rank

        async def work() -> tuple[list[asked.Result], int]:
            async with connect(rank_address) as channel:
                stub = rank_grpc.RankServiceStub(channel)
                with progress() as bar:
                    indexing = bar.add_task("Indexing", total=len(asked.build_records(questions)))
                    asking = bar.add_task("Searching", total=len(questions))
                    outcome, results = await asked.evaluate(
                        stub,
                        questions,
                        aesthetic_weight=aesthetic_weight,
                        on_indexed=lambda _: bar.advance(indexing),
                        on_asked=lambda _: bar.advance(asking),
                    )
                for design_id, error in outcome.failed.items():
                    errors.print(f"not indexed: {design_id}: {error.message} [{error.reason}]", markup=False)
                return results, len(outcome.failed)

        results, failed = run(work())
        scores = asked.score(results)
        if as_json:
            typer.echo(asked.as_json(scores, results))
        else:
            console.print(_table(scores))
        if page is not None:
            asyncio.run(asyncio.to_thread(page.write_text, render_results(results), encoding="utf-8"))
            errors.print(f"wrote {page}")
        if failed:
            raise typer.Exit(1)


def _table(scores: list[asked.Scores]) -> Table:
    depths = (f"hit@{depth}" for depth in asked.DEPTHS)
    columns = ("language", "requests", "designs", *depths, "MRR")
    table = build_table("hit@k by language, chance in brackets", *columns, left=("language",))
    for item in scores:
        cells = [f"{100 * item.hit[k]:.1f} % ({100 * item.chance[k]:.1f})" for k in asked.DEPTHS]
        table.add_row(item.language, str(item.requests), str(item.designs), *cells, f"{item.mrr:.3f}")
    return table
