"""`lunula index` and `lunula search`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli.client import indexing, searching, tables
from cli.client.page import render_html, render_png
from cli.client.records import find
from cli.console import console, errors, errors_as_exit_codes, progress, run
from cli.ports import default_addresses
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from nails.aesthetic.rerank import MAX_WEIGHT
from services.kit.client import connect

RankAddress = Annotated[str, typer.Option("--rank", help="Address of RankService.", metavar="HOST:PORT")]
_RANK = default_addresses().rank


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("index")(index)
    app.command("search")(search)


def index(
    source: Annotated[
        Path, typer.Argument(help="A folder of photos, a folder with catalogue.jsonl, or a JSON-lines file.")
    ],
    version: Annotated[
        str, typer.Option(help="Catalogue version to write to; the live one by default.")
    ] = "",
    rank_address: RankAddress = _RANK,
) -> None:
    """Put designs into the catalogue. Can be stopped and run again: existing designs are left alone."""
    with errors_as_exit_codes():
        records = find(source)

    async def work() -> indexing.IndexOutcome:
        async with connect(rank_address) as channel:
            stub = rank_grpc.RankServiceStub(channel)
            with progress() as bar:
                task = bar.add_task("Indexing", total=len(records))
                return await indexing.index(
                    stub,
                    records,
                    version_id=version,
                    on_answer=lambda _: bar.advance(task),
                    on_retry=lambda retry: errors.print(str(retry), style="yellow", markup=False),
                )

    outcome = run(work())
    console.print(f"{outcome.indexed} indexed, {outcome.unchanged} unchanged, {len(outcome.failed)} failed")
    for design_id, error in list(outcome.failed.items())[:20]:
        errors.print(f"  {design_id}: {error.message} [{error.reason}]", markup=False)
    if outcome.failed:
        raise typer.Exit(1)


def search(
    text: Annotated[str, typer.Argument(help="The request, in any language.")] = "",
    palette: Annotated[
        list[str] | None, typer.Option("--palette", "-p", help="A colour, #rrggbb; repeat for more.")
    ] = None,
    like: Annotated[str, typer.Option(help="A reference: a photo's file, or the id of a design.")] = "",
    where: Annotated[
        list[str] | None,
        typer.Option(help="A filter: artist_id=a1,a2  tags!=red  attributes.shape=almond. Repeat for more."),
    ] = None,
    artist: Annotated[
        searching.ArtistScope,
        typer.Option(help="With --like ID: more by the same artist, or in this style by others."),
    ] = searching.ArtistScope.ANY,
    weights: Annotated[str, typer.Option(help="Channel weights: design=1,description=0.3")] = "",
    aesthetic_weight: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=MAX_WEIGHT,
            help="How much the aesthetic score counts among designs that fit; 0 is off.",
            show_default="the server's",
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            help="Tags that the aesthetic score is for, in place of what the text says; repeat for more."
        ),
    ] = None,
    context: Annotated[str, typer.Option(help="The occasion or story.")] = "",
    count: Annotated[int, typer.Option("--count", "-k", min=1, max=100, help="Hits a page.")] = 10,
    page_token: Annotated[str, typer.Option(help="Token of the next page, from the last answer.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write a page with the photos to this file.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write a picture with the photos to this file.")] = None,
    rank_address: RankAddress = _RANK,
) -> None:
    """Find designs. Shows each hit with the terms of its score.

    More by the artist of a design: --like ID --artist same. More in its style by others: --artist others.
    """
    with errors_as_exit_codes():
        photo, design_id = searching.parse_reference(like) if like else (None, "")
        request = rank.SearchDesignsRequest(
            text=text,
            palette=searching.parse_palette(palette or []),
            filters=[searching.parse_filter(item) for item in where or []],
            context=context,
            page_size=count,
            page_token=page_token,
            weights=searching.parse_weights(weights) if weights else None,
            artist_scope=searching.SCOPES[artist],
            aesthetic_weight=aesthetic_weight,
            aesthetic_tags=tag or [],
        )
        if photo is not None:
            request.reference_photo.CopyFrom(photo)
        elif design_id:
            request.reference_design_id = design_id

    async def work() -> rank.SearchDesignsResponse:
        async with connect(rank_address) as channel:
            stub = rank_grpc.RankServiceStub(channel)
            if html is None and png is None:
                return await searching.search(stub, request)
            answer = await searching.answer(stub, request)
            if html is not None:
                await asyncio.to_thread(html.write_text, render_html([answer]), encoding="utf-8")
            if png is not None:
                await asyncio.to_thread(png.write_bytes, render_png(answer))
            return answer.response

    response = run(work())
    show(response, title=searching.describe(request))
    for path in (html, png):
        if path is not None:
            console.print(f"wrote {path}", markup=False)


def show(response: rank.SearchDesignsResponse, *, title: str) -> None:
    """Print a response: recognised phrases, hits, unavailable channels, timings."""
    if response.phrases:
        read = ", ".join(
            f"{'no ' if phrase.negated else ''}{escape(phrase.name or phrase.text)} "
            f"[dim]({phrase.kind})[/dim]"
            for phrase in response.phrases
        )
        console.print(f"understood: {read}")
    console.print(tables.hits_table(response, title=title))
    for channel, reason in response.unavailable_channels.items():
        console.print(f"[yellow]{channel} was left out:[/yellow] {escape(reason)}")
    if response.next_page_token:
        console.print(f"next page: --page-token {response.next_page_token}", highlight=False, soft_wrap=True)
    console.print(f"[dim]{tables.timings_line(response.info)}[/dim]")
