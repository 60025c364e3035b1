"""`lunula artists`: the artists that works can be identified as, and adding some without training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.client.batches import check_fits
from cli.console import console, errors, errors_as_exit_codes, progress, run
from cli.errors import RequestError
from cli.ports import default_addresses
from evaluation.artist import works as form
from lunula.classify.v1 import classify_service_pb2 as classify
from lunula.classify.v1 import classify_service_pb2_grpc as classify_grpc
from lunula.type.v1 import photo_pb2
from services.kit.client import call, connect
from services.kit.errors import LunulaError

MOST_WORKS = 64
_PAGE = 1_000
_PHOTOS = (".jpg", ".jpeg", ".png", ".webp")
_DAY = "%Y-%m-%d %H:%M"
ClassifyAddress = Annotated[
    str, typer.Option("--classify", help="Address of ClassifyService.", metavar="HOST:PORT")
]
_CLASSIFY = default_addresses().classify


class Origin(StrEnum):
    """Which artists to list."""

    ALL = "all"
    TRAINED = "trained"
    ENROLLED = "enrolled"


_ORIGINS = {
    Origin.ALL: classify.ARTIST_ORIGIN_UNSPECIFIED,
    Origin.TRAINED: classify.ARTIST_ORIGIN_TRAINED,
    Origin.ENROLLED: classify.ARTIST_ORIGIN_ENROLLED,
}


@dataclass(frozen=True)
class FewShotArtist:
    """An artist to enrol from a few reference works, whose photos are read when they are sent."""

    artist: str
    works: tuple[form.Work, ...]

    def request(self) -> classify.EnrolArtistRequest:
        """The message that enrols the artist.

        Raises OSError for a photo that cannot be read, RequestError for more than one call takes.
        """
        what = f"the {len(self.works)} works"
        # Photos are added up before any is read; the texts count in the message's own size below.
        check_fits(what, sum(work.image.stat().st_size for work in self.works if work.image is not None))
        request = classify.EnrolArtistRequest(
            artist_id=self.artist,
            works=[
                classify.Work(
                    work_id=work.id,
                    photo=None if work.image is None else photo_pb2.Photo(data=work.image.read_bytes()),
                    title=work.title,
                    description=work.description,
                )
                for work in self.works
            ],
        )
        check_fits(what, request.ByteSize())
        return request


_Outcome = classify.EnrolArtistResponse | LunulaError | OSError | RequestError


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    group = typer.Typer(
        help="List the artists that works can be identified as; add and remove some without training.",
        no_args_is_help=True,
    )
    group.command("list")(list_artists)
    group.command("enrol")(enrol)
    group.command("remove")(remove)
    app.add_typer(group, name="artists")


def find_artists(source: Path, artists: Sequence[str], most: int) -> list[FewShotArtist]:
    """The artists to enrol from `source`: a folder with works.jsonl, or of photos of the one artist named.

    Of each artist the first `most` works. Raises WorksError, RequestError.
    """
    if (source / form.LISTING).is_file():
        found: dict[str, list[form.Work]] = {}
        for work in form.read(source):
            found.setdefault(work.artist, []).append(work)
        if missing := [artist for artist in artists if artist not in found]:
            raise RequestError(f"{source / form.LISTING} has no work of {missing[0]!r}")
        wanted = artists or sorted(found)
        return [FewShotArtist(artist, tuple(found[artist][:most])) for artist in dict.fromkeys(wanted)]
    photos = sorted(path for path in _files(source) if path.suffix.lower() in _PHOTOS)
    if not photos:
        raise RequestError(f"{source} has neither {form.LISTING} nor photos")
    if len(artists) != 1:
        raise RequestError(f"{source} holds photos of one artist: name them with --artist NAME, once")
    works = tuple(form.Work(path.name, path, "", "", artists[0]) for path in photos[:most])
    return [FewShotArtist(artists[0], works)]


def _files(source: Path) -> Iterator[Path]:
    if not source.is_dir():
        raise RequestError(f"{source} is no folder")
    yield from source.iterdir()


def enrol(
    source: Annotated[
        Path, typer.Argument(help="A folder with works.jsonl, or a folder of photos of one artist.")
    ],
    artist: Annotated[
        list[str] | None,
        typer.Option(help="Enrol these artists of works.jsonl only; of a folder of photos, whose they are."),
    ] = None,
    works: Annotated[
        int,
        typer.Option(min=1, max=MOST_WORKS, help="Works of each artist, the first ones; more make it surer."),
    ] = 10,
    classify_address: ClassifyAddress = _CLASSIFY,
) -> None:
    """Add artists from their works, without training. Enrolling an artist again replaces their works."""
    with errors_as_exit_codes():
        wanted = find_artists(source, artist or [], works)

    async def work() -> list[tuple[FewShotArtist, _Outcome]]:
        outcomes: list[tuple[FewShotArtist, _Outcome]] = []
        async with connect(classify_address) as channel:
            stub = classify_grpc.ClassifyServiceStub(channel)
            with progress() as bar:
                task = bar.add_task("Enrolling", total=len(wanted))
                for reference in wanted:
                    try:
                        outcomes.append(
                            (reference, await call(stub.EnrolArtist, reference.request(), timeout=300.0))
                        )
                    except (LunulaError, OSError, RequestError) as error:
                        outcomes.append((reference, error))
                    bar.advance(task)
        return outcomes

    failed = 0
    for reference, outcome in run(work()):
        if isinstance(outcome, Exception):
            failed += 1
            errors.print(f"{reference.artist}: {outcome}", markup=False)
            for path, description in getattr(outcome, "fields", ()):
                errors.print(f"  {_describe_field(path, reference)}: {description}", markup=False)
            continue
        added = outcome.artist
        console.print(
            f"{added.artist_id}: {'replaced' if outcome.replaced else 'enrolled'}, {added.work_count} works, "
            f"{added.photo_count} with a photo, {added.text_count} with words",
            markup=False,
        )
    if failed:
        errors.print(f"{failed} of {len(wanted)} artists were not enrolled")
        raise typer.Exit(1)


def _describe_field(path: str, reference: FewShotArtist) -> str:
    """A field of the request, with the id of the work beside its place in the list."""
    place = path.removeprefix("works[").split("]")[0]
    if path.startswith("works[") and place.isdecimal() and int(place) < len(reference.works):
        return f"{path} ({reference.works[int(place)].id})"
    return path


def remove(
    artist: Annotated[list[str], typer.Argument(help="Enrolled artists to remove.")],
    classify_address: ClassifyAddress = _CLASSIFY,
) -> None:
    """Remove enrolled artists. Their works are identified as another artist's, or unknown, from then on."""

    async def work() -> None:
        async with connect(classify_address) as channel:
            stub = classify_grpc.ClassifyServiceStub(channel)
            for name in artist:
                request = classify.RemoveEnrolledArtistRequest(artist_id=name)
                await call(stub.RemoveEnrolledArtist, request, timeout=30.0)
                console.print(f"{name}: removed", markup=False)

    run(work())


def list_artists(
    origin: Annotated[Origin, typer.Option(help="Which artists.")] = Origin.ALL,
    classify_address: ClassifyAddress = _CLASSIFY,
) -> None:
    """List the artists that works can be identified as."""

    async def work() -> list[classify.Artist]:
        found: list[classify.Artist] = []
        async with connect(classify_address) as channel:
            stub = classify_grpc.ClassifyServiceStub(channel)
            token = ""
            while True:
                request = classify.ListArtistsRequest(
                    page_size=_PAGE, page_token=token, origin=_ORIGINS[origin]
                )
                response: classify.ListArtistsResponse = await call(stub.ListArtists, request, timeout=30.0)
                found += response.artists
                token = response.next_page_token
                if not token:
                    return found

    found = run(work())
    table = Table("artist", "known by", "works", "photos", "with words", "since")
    for item in found:
        if item.origin == classify.ARTIST_ORIGIN_TRAINED:
            table.add_row(escape(item.artist_id), "training", "", "", "", "")
            continue
        since = item.enrol_time.ToDatetime().strftime(_DAY)
        table.add_row(
            escape(item.artist_id),
            "[red]enrolment by other models: enrol again[/red]" if item.stale else "enrolment",
            str(item.work_count),
            str(item.photo_count),
            str(item.text_count),
            f"{since} UTC",
        )
    console.print(table)
    console.print(f"{len(found)} artists")
