"""`lunula beauty`: how beautiful photos are, for what they are meant to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli import tables
from cli.console import console, errors_as_exit_codes, progress, run
from cli.ports import default_addresses
from cli.searching import RequestError
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from lunula.type.v1 import photo_pb2
from services.kit.client import call, connect

BATCH = 16
"""Photos of one call."""


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
    a cosine.
    """
    with errors_as_exit_codes():
        read = [_read(path) for path in photos]

    async def work() -> tuple[list[rank.ScoreAestheticsItem], rank.ScoreAestheticsResponse]:
        items: list[rank.ScoreAestheticsItem] = []
        async with connect(rank_address) as channel:
            stub = rank_grpc.RankServiceStub(channel)
            with progress() as bar:
                task = bar.add_task("Judging", total=len(read))
                for start in range(0, len(read), BATCH):
                    request = request_of(read[start : start + BATCH], tag or (), auto=auto)
                    response: rank.ScoreAestheticsResponse = await call(
                        stub.ScoreAesthetics, request, timeout=120.0
                    )
                    items += response.items
                    bar.advance(task, len(response.items))
        return items, response

    items, last = run(work())
    console.print(tables.beauty_table([str(path) for path in photos], items))
    console.print(f"[dim]{tables.timings_line(last.info)}[/dim]")
    if any(item.WhichOneof("outcome") == "error" for item in items):
        raise typer.Exit(1)


def request_of(photos: Sequence[bytes], tags: Sequence[str], *, auto: bool) -> rank.ScoreAestheticsRequest:
    """What is asked for photos (encoded files)."""
    return rank.ScoreAestheticsRequest(
        photos=[photo_pb2.Photo(data=data) for data in photos], tags=tags, without_auto_tags=not auto
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from error
