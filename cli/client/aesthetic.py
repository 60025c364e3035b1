"""`lunula beauty`: how beautiful photos are, for what they are meant to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.client import tables
from cli.client.batches import batches, bytes_of
from cli.console import console, errors, errors_as_exit_codes, progress, run
from cli.ports import default_addresses
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from lunula.type.v1 import photo_pb2
from services.kit.client import call, connect

BATCH = 16
"""Photos of one call, if they are not large."""


def register(app: typer.Typer) -> None:
    """Add the command of this module to `app`."""
    app.command("beauty")(beauty)


def beauty(
    photos: Annotated[list[Path], typer.Argument(help="Photos to judge.")],
    tag: Annotated[
        list[str] | None,
        typer.Option(help="What the photos are meant to be: wedding, marble, ...; repeat for more, up to 8."),
    ] = None,
    auto: Annotated[
        bool, typer.Option(help="Without --tag, judge each photo as what it looks most like.")
    ] = True,
    rank_address: Annotated[
        str, typer.Option("--rank", help="Address of RankService.", metavar="HOST:PORT")
    ] = default_addresses().rank,
) -> None:
    """Judge photos: the mean vote that is expected, from 1 to 10, and how the votes spread.

    Beauty is the share of photos that score lower. "is it?" is how much the photo is what it is judged as,
    a cosine. Where a call fails, what was judged before it is printed.
    """
    with errors_as_exit_codes():
        calls = list(batches(photos, BATCH))
    items: list[rank.ScoreAestheticsItem] = []
    timings = ""

    async def work() -> None:
        nonlocal timings
        async with connect(rank_address) as channel:
            stub = rank_grpc.RankServiceStub(channel)
            with progress() as bar:
                task = bar.add_task("Judging", total=len(photos))
                for paths in calls:
                    request = request_of([bytes_of(path) for path in paths], tag or (), auto=auto)
                    response: rank.ScoreAestheticsResponse = await call(
                        stub.ScoreAesthetics, request, timeout=120.0
                    )
                    items.extend(response.items)
                    timings = tables.timings_line(response.info)
                    bar.advance(task, len(response.items))

    try:
        run(work())
    except typer.Exit:
        if not items:
            raise
        failed = True
    else:
        failed = False
    console.print(tables.beauty_table([str(path) for path in photos[: len(items)]], items))
    console.print(f"[dim]{timings}[/dim]")
    if failed:
        errors.print(f"{len(photos) - len(items)} of {len(photos)} photos were not judged")
    if failed or any(item.WhichOneof("outcome") == "error" for item in items):
        raise typer.Exit(1)


def request_of(photos: Sequence[bytes], tags: Sequence[str], *, auto: bool) -> rank.ScoreAestheticsRequest:
    """What is asked for photos (encoded files)."""
    return rank.ScoreAestheticsRequest(
        photos=[photo_pb2.Photo(data=data) for data in photos], tags=tags, disable_auto_tags=not auto
    )
