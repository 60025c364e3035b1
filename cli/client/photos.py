"""`lunula crop` and `lunula identify`: what one photo shows, and whose work it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli.client import tables
from cli.console import console, errors, errors_as_exit_codes, run
from cli.errors import RequestError
from cli.ports import default_addresses
from lunula.classify.v1 import classify_service_pb2 as classify
from lunula.classify.v1 import classify_service_pb2_grpc as classify_grpc
from lunula.crop.v1 import crop_service_pb2 as crop_pb
from lunula.crop.v1 import crop_service_pb2_grpc as crop_grpc
from lunula.type.v1 import photo_pb2
from services.kit.client import call, connect
from services.kit.wire.errors import from_item_error

_BATCH = 8


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("crop")(crop)
    app.command("identify")(identify)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from error


def parse_labels(given: Sequence[str]) -> dict[str, float]:
    """Confidences by label, from `cup=0.8`. Raises RequestError."""
    labels = {}
    for item in given:
        name, _, confidence = item.rpartition("=")
        try:
            labels[name.strip()] = float(confidence)
        except ValueError:
            raise RequestError(f"{item!r} is not a label like cup=0.8") from None
        if not name.strip():
            raise RequestError(f"{item!r} is not a label like cup=0.8")
    return labels


def crop(
    photos: Annotated[list[Path], typer.Argument(help="Photos to cut the nails of one hand out of.")],
    out: Annotated[Path, typer.Option(help="Folder for X.crop.png and X.overlay.png.")] = Path("crops"),
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side of the crop in pixels.")] = 384,
    crop_address: Annotated[
        str, typer.Option("--crop", help="Address of CropService.", metavar="HOST:PORT")
    ] = default_addresses().crop,
) -> None:
    """Find nails and hands, apply the crop rules, and draw what was found."""
    with errors_as_exit_codes():
        stems = [path.stem for path in photos]
        twice = sorted({stem for stem in stems if stems.count(stem) > 1})
        if twice:
            raise RequestError(f"photos of the same name would overwrite each other: {', '.join(twice)}")
        files = [(path, _read(path)) for path in photos]
        out.mkdir(parents=True, exist_ok=True)

    async def work() -> list[crop_pb.CropItem]:
        items: list[crop_pb.CropItem] = []
        async with connect(crop_address) as channel:
            stub = crop_grpc.CropServiceStub(channel)
            for start in range(0, len(files), _BATCH):
                request = crop_pb.CropImagesRequest(
                    photos=[photo_pb2.Photo(data=data) for _, data in files[start : start + _BATCH]],
                    options=crop_pb.CropOptions(crop_size=size, include_overlay=True),
                )
                response: crop_pb.CropImagesResponse = await call(stub.CropImages, request, timeout=120.0)
                items += response.items
        return items

    failed = 0
    for (path, _), item in zip(files, run(work()), strict=True):
        if item.HasField("error"):
            failed += 1
            error = from_item_error(item.error)
            errors.print(f"{path}: {error.message} [{error.reason}]", markup=False)
            continue
        found = item.result
        with errors_as_exit_codes():
            (out / f"{path.stem}.crop.png").write_bytes(found.crop)
            (out / f"{path.stem}.overlay.png").write_bytes(found.overlay)
        flags = ", ".join(
            crop_pb.QualityFlag.Name(flag).removeprefix("QUALITY_FLAG_").lower()
            for flag in found.quality_flags
        )
        console.print(
            f"{escape(path.name)}: {len(found.nails)} nails, {len(found.hands)} hands, "
            f"rule {crop_pb.CropRule.Name(found.rule).removeprefix('CROP_RULE_').lower()} ",
            tables.swatches(found.palette),
            f"[yellow]{flags}[/yellow]" if flags else "",
        )
    console.print(f"wrote {2 * (len(files) - failed)} pictures to {out}/", markup=False)
    if failed:
        raise typer.Exit(1)


def identify(
    photo: Annotated[Path | None, typer.Argument(help="The work's photo.")] = None,
    title: Annotated[str, typer.Option(help="The work's title.")] = "",
    description: Annotated[str, typer.Option(help="What the artist wrote about it.")] = "",
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="What a detector saw beside the nails, as cup=0.8; repeat for more. Evidence only."
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-k", min=1, max=100, help="Candidates.")] = 5,
    classify_address: Annotated[
        str, typer.Option("--classify", help="Address of ClassifyService.", metavar="HOST:PORT")
    ] = default_addresses().classify,
) -> None:
    """Identify the artist of a work from a photo, from words, or from both, and show the evidence."""
    with errors_as_exit_codes():
        work_message = classify.Work(title=title, description=description, labels=parse_labels(label or []))
        if photo is not None:
            work_message.photo.data = _read(photo)

    async def work() -> classify.IdentifyArtistsItem:
        async with connect(classify_address) as channel:
            stub = classify_grpc.ClassifyServiceStub(channel)
            request = classify.IdentifyArtistsRequest(works=[work_message], top_k=count)
            response: classify.IdentifyArtistsResponse = await call(
                stub.IdentifyArtists, request, timeout=30.0
            )
        return response.items[0]

    item = run(work())
    if item.HasField("error"):
        with errors_as_exit_codes():
            raise from_item_error(item.error)
    console.print(tables.artists_table(item.identification))
