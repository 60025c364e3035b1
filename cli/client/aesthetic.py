"""`lunula aesthetic`: aesthetic scores of photos, for the tags that they are meant to show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.client import tables
from cli.client.batches import batches, read_photo_bytes
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
    app.command("aesthetic")(aesthetic)


def aesthetic(
    photos: Annotated[list[Path], typer.Argument(help="Photos to score.")],
    tag: Annotated[
        list[str] | None,
        typer.Option(help="What the photos are meant to be: wedding, marble, ...; repeat for more, up to 8."),
    ] = None,
    auto: Annotated[
        bool, typer.Option(help="Without --tag, score each photo for the tag that fits it best.")
    ] = True,
    rank_address: Annotated[
        str, typer.Option("--rank", help="Address of RankService.", metavar="HOST:PORT")
    ] = default_addresses().rank,
) -> None:
    """Score photos: the mean vote that is expected, from 1 to 10, and how the votes spread.

    The percentile is the share of photos that score lower. "tag fit" is the cosine of the photo and the tags
    that it is scored for. Where a call fails, the scores before it are printed.
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
                task = bar.add_task("Scoring", total=len(photos))
                for paths in calls:
                    request = build_request([read_photo_bytes(path) for path in paths], tag or (), auto=auto)
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
    console.print(tables.aesthetic_table([str(path) for path in photos[: len(items)]], items))
    console.print(f"[dim]{timings}[/dim]")
    if failed:
        errors.print(f"{len(photos) - len(items)} of {len(photos)} photos were not scored")
    if failed or any(item.WhichOneof("outcome") == "error" for item in items):
        raise typer.Exit(1)


def build_request(photos: Sequence[bytes], tags: Sequence[str], *, auto: bool) -> rank.ScoreAestheticsRequest:
    """The request that scores photos (encoded files) for tags."""
    return rank.ScoreAestheticsRequest(
        photos=[photo_pb2.Photo(data=data) for data in photos], tags=tags, disable_auto_tags=not auto
    )
