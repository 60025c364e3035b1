"""What identifying an artist costs, beside the bare models in the same run.

    python -m bench classify [--rounds 30] [--enrolled 200] [--json FILE]

The sample catalogue's photos and words, one work a request. The bare models (decode, preprocess, one ONNX
Runtime session; words, fastText) and the real gRPC service in this process take turns work by work, so that
whatever else the machine does falls on both. Then eight requests at a time, for works a second. With artists
enrolled from words the same again: what comparing with them adds. At last the memory and the loading time of
fastText, quantised and not, each in a process of its own (bench.classify.text).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.callers import drive
from bench.classify.text import TextRow, compare_text, show_text
from bench.report import REPOSITORY, SAMPLE, Laps, print_table, read_options, refuse, write_figures
from lunula.classify.v1 import classify_service_pb2 as pb
from lunula.classify.v1 import classify_service_pb2_grpc as pb_grpc
from lunula.type.v1 import photo_pb2
from nails.photo.codec import decode_photo
from nails.photo.preprocess import backbone_input
from services.classify.build import build
from services.classify.features.extractor import ARTIST_IMAGE, DECODE_SIDE
from services.classify.features.text_model import FastTextModel
from services.classify.settings import ClassifySettings
from services.kit.client import call, connect
from services.kit.errors import FailedPrecondition
from services.kit.inference.config import read_config
from services.kit.inference.local import load_session
from services.kit.server import running_server

CASES = ("photo", "words", "both")
AT_ONCE = 8
_WORKS = 12
_PER_ARTIST = 10


@dataclass(frozen=True)
class Row:
    """One case. p50 in milliseconds of one request at a time; works a second with eight at a time."""

    case: str
    enrolled: int
    bare_p50_ms: float
    service_p50_ms: float
    bare_per_s: float
    service_per_s: float


def read_works() -> list[pb.Work]:
    """Photos and words of the sample catalogue."""
    found = []
    for line in (SAMPLE / "catalogue.jsonl").read_text("utf-8").splitlines()[:_WORKS]:
        entry = json.loads(line)
        photo = (SAMPLE / entry["image"]).read_bytes()
        found.append(
            pb.Work(
                photo=photo_pb2.Photo(data=photo),
                title=entry.get("title", ""),
                description=entry.get("description", "") or "milky pink nails with a thin gold line",
            )
        )
    return found


def select_part(work: pb.Work, case: str) -> pb.Work:
    """The part of a work that a case sends."""
    part = pb.Work()
    if case != "words":
        part.photo.CopyFrom(work.photo)
    if case != "photo":
        part.title, part.description = work.title, work.description
    return part


def load_bare_models(repository: Path, text_model: FastTextModel) -> Callable[[pb.Work], None]:
    """The models on a work, without a service around them."""
    config = read_config(repository / ARTIST_IMAGE)
    session = load_session(config, config.intra_op_threads)
    side = config.metadata.inputs[0].shape[1] or 0

    def run(work: pb.Work) -> None:
        if work.HasField("photo"):
            image = backbone_input(decode_photo(work.photo.data, max_side=DECODE_SIDE), side)
            session.run(None, {"images": image[None]})
        if work.title or work.description:
            text_model.predict(f"{work.title}\n{work.description}")

    return run


async def measure(stub: Any, run: Callable[[pb.Work], None], case: str, rounds: int, enrolled: int) -> Row:
    """Bare and served in turn, then eight at a time."""
    sent = [select_part(work, case) for work in read_works()]

    async def ask(work: pb.Work) -> None:
        request = pb.IdentifyArtistsRequest(works=[work])
        item = (await call(stub.IdentifyArtists, request, timeout=60)).items[0]
        if item.HasField("error"):
            raise SystemExit(f"error: {item.error.message}")

    async def directly(work: pb.Work) -> None:
        await asyncio.to_thread(run, work)

    laps = Laps()
    for turn, work in zip(range(rounds + 2), itertools.cycle(sent), strict=False):
        for name, one in (("bare", directly), ("service", ask)):
            if turn < 2:
                await one(work)  # warms up
                continue
            with laps.lap(name):
                await one(work)
    many = list(itertools.islice(itertools.cycle(sent), 2 * rounds))
    per_s = [len(many) / (await drive(one, many, AT_ONCE)).wall_s for one in (directly, ask)]
    return Row(
        case,
        enrolled,
        statistics.median(laps.wall["bare"]),
        statistics.median(laps.wall["service"]),
        *per_s,
    )


async def enrol(stub: Any, artists: int) -> bool:
    """Enrols artists by made-up words; False where the model takes none."""
    rng = np.random.default_rng(0)
    for number in range(artists):
        texts = [" ".join(f"w{word}" for word in rng.integers(0, 5_000, 40)) for _ in range(_PER_ARTIST)]
        request = pb.EnrolArtistRequest(
            artist_id=f"bench-{number}", works=[pb.Work(description=text) for text in texts]
        )
        try:
            await call(stub.EnrolArtist, request, timeout=60)
        except FailedPrecondition as error:
            print(f"no enrolled artists: {error.message}", file=sys.stderr)
            return False
    return True


async def run_all(repository: Path, rounds: int, enrolled: int) -> list[Row]:
    """Every case, without and with enrolled artists."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ClassifySettings(
            port=0,
            model_repository=repository,
            enrolled=Path(folder) / "artists",
            max_enrolled=max(1, enrolled),
            log_level="ERROR",
        )
        run = load_bare_models(repository, FastTextModel(settings.text_model_path()))
        async with running_server(settings, build) as server, connect(server.address) as channel:
            await server.until_serving()
            stub = pb_grpc.ClassifyServiceStub(channel)
            rows = [await measure(stub, run, case, rounds, 0) for case in CASES]
            if enrolled and await enrol(stub, enrolled):
                rows += [await measure(stub, run, case, rounds, enrolled) for case in CASES]
    return rows


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    print_table(
        (
            "case",
            "enrolled",
            "bare p50",
            "service p50",
            "times",
            "bare works/s",
            f"service works/s, {AT_ONCE} at once",
        ),
        (
            (
                row.case,
                str(row.enrolled),
                f"{row.bare_p50_ms:.1f} ms",
                f"{row.service_p50_ms:.1f} ms",
                f"{row.service_p50_ms / row.bare_p50_ms:.2f}",
                f"{row.bare_per_s:.1f}",
                f"{row.service_per_s:.1f}",
            )
            for row in rows
        ),
    )


@dataclass(frozen=True)
class Options:
    """What `python -m bench classify` takes."""

    rounds: int = 30
    """requests of each case"""
    enrolled: int = 200
    """artists to enrol"""
    models: Path = REPOSITORY
    """the model repository"""
    full: Path | None = None
    """an unquantised fastText file; else one is trained here"""
    json: Path | None = None
    """file for the figures"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its tables."""
    options = read_options(Options, "python -m bench classify", __doc__, arguments)
    if options.rounds < 1 or options.enrolled < 0:
        refuse("--rounds must be at least 1, --enrolled at least 0")
    rows = asyncio.run(run_all(options.models, options.rounds, options.enrolled))
    show(rows)
    texts: list[TextRow] = compare_text(options.models / "artist_text", options.full)
    show_text(texts)
    figures = {"service": [asdict(row) for row in rows], "fastText": [asdict(row) for row in texts]}
    write_figures(options.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
