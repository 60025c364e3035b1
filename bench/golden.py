"""Answers of the whole product, for comparison before and after a change that should change nothing.

    python -m bench.golden record --out before.json [--photos DIR]
    python -m bench.golden compare before.json after.json

`record` starts a stack of its own, indexes the sample catalogue one design at a time (batches of another size
may differ in the last bit), and keeps every number of: the demo's searches and others with references,
filters, weights and pages; crops, aesthetic scores and artists of ten photos. Times, request ids and tokens
are left out. `compare` ends with 1 where a number or a name differs, and lists differing texts for people.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from cli.client.indexing import to_design
from cli.client.records import find
from cli.ports import free_addresses
from cli.stack.demo import requests
from cli.stack.processes import Stack, StackOptions
from lunula.classify.v1 import classify_service_pb2 as classify
from lunula.classify.v1.classify_service_pb2_grpc import ClassifyServiceStub
from lunula.crop.v1 import crop_service_pb2 as crop
from lunula.crop.v1.crop_service_pb2_grpc import CropServiceStub
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1.rank_service_pb2_grpc import RankServiceStub
from lunula.type.v1 import photo_pb2
from services.kit.client import connect

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample"
_PHOTOS = 10
_VOLATILE = frozenset({"info", "index_time", "photo_uri", "next_page_token", "create_time"})
_FOR_PEOPLE = frozenset({"explanation", "note", "message", "description", "unavailable_channels"})
_LONG = 2_000
_TIMEOUT_S = 120.0


def plain(message: Any) -> Any:
    """A message without what changes from run to run; bytes and long texts by their digest."""
    return _stable(MessageToDict(message, preserving_proto_field_name=True))


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(one) for key, one in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [_stable(one) for one in value]
    if isinstance(value, str) and len(value) > _LONG:
        return f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"
    return value


def _searches(photo: bytes) -> Iterable[tuple[str, rank.SearchDesignsRequest]]:
    yield from requests()
    yield (
        "photo",
        rank.SearchDesignsRequest(text="red nails with hearts", reference_photo=photo_pb2.Photo(data=photo)),
    )
    yield "design", rank.SearchDesignsRequest(reference_design_id="d001", page_size=20)
    yield (
        "others",
        rank.SearchDesignsRequest(reference_design_id="d001", artist_scope=rank.ARTIST_SCOPE_OTHERS),
    )
    almond = rank.Filter(field="attributes.shape", operator=rank.FILTER_OPERATOR_ANY_OF, values=["almond"])
    yield "filter", rank.SearchDesignsRequest(text="almond nails without glitter", filters=[almond])
    yield "relevance", rank.SearchDesignsRequest(text="wedding nails with pearls", aesthetic_weight=0.0)
    yield (
        "tags",
        rank.SearchDesignsRequest(
            text="wedding nails with pearls", aesthetic_weight=0.3, aesthetic_tags=["wedding"]
        ),
    )
    weights = rank.ChannelWeights(design=1, description=0.5, palette=0.1)
    yield "weights", rank.SearchDesignsRequest(text="blue marble", weights=weights)


async def record(photos: list[tuple[str, bytes]]) -> dict[str, Any]:
    """Answers by what was asked. photos: names and bytes."""
    answers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lunula-golden-") as state:
        addresses = free_addresses()
        with Stack(StackOptions(Path(state), ROOT / "triton_models", addresses)):
            async with (
                connect(addresses.crop) as to_crop,
                connect(addresses.rank) as to_rank,
                connect(addresses.classify) as to_classify,
            ):
                ranker = RankServiceStub(to_rank)
                await _record_index(answers, ranker)
                await _record_searches(answers, ranker, photos[0][1])
                cropper, namer = CropServiceStub(to_crop), ClassifyServiceStub(to_classify)
                for name, data in photos[:_PHOTOS]:
                    await _record_photo(answers, name, data, cropper, ranker, namer)
    return answers


async def _record_index(answers: dict[str, Any], stub: Any) -> None:
    for one in find(SAMPLE):
        design = to_design(one)

        async def single(design: rank.Design = design) -> AsyncIterator[rank.IndexDesignsRequest]:
            yield rank.IndexDesignsRequest(design=design)

        found = [plain(answer) async for answer in stub.IndexDesigns(single(), timeout=_TIMEOUT_S)]
        answers[f"index/{one.design_id}"] = found
    answers["list"] = plain(
        await stub.ListDesigns(rank.ListDesignsRequest(page_size=100), timeout=_TIMEOUT_S)
    )


async def _record_searches(answers: dict[str, Any], stub: Any, photo: bytes) -> None:
    for name, request in _searches(photo):
        first = await stub.SearchDesigns(request, timeout=_TIMEOUT_S)
        answers[f"search/{name}"] = plain(first)
        if first.next_page_token:
            request.page_token = first.next_page_token
            second = await stub.SearchDesigns(request, timeout=_TIMEOUT_S)
            answers[f"search/{name}/page 2"] = plain(second)


async def _record_photo(
    answers: dict[str, Any], photo_name: str, data: bytes, cropper: Any, ranker: Any, namer: Any
) -> None:
    photo = photo_pb2.Photo(data=data)
    options = crop.CropOptions(include_masks=True)
    cropped = await cropper.CropImages(
        crop.CropImagesRequest(photos=[photo], options=options), timeout=_TIMEOUT_S
    )
    answers[f"crop/{photo_name}"] = plain(cropped)
    scored = await ranker.ScoreAesthetics(rank.ScoreAestheticsRequest(photos=[photo]), timeout=_TIMEOUT_S)
    answers[f"score/{photo_name}"] = plain(scored)
    works = {
        "photo": classify.Work(photo=photo),
        "text": classify.Work(description="マグネットネイル、冬の新作です"),
        "both": classify.Work(photo=photo, description="winter magnet nails"),
    }
    for name, work in works.items():
        found = await namer.IdentifyArtists(classify.IdentifyArtistsRequest(works=[work]), timeout=_TIMEOUT_S)
        answers[f"identify/{photo_name}/{name}"] = plain(found)


def differences(one: Any, other: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """(path, before, after) of every value that differs."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys())
        return [found for key in keys for found in differences(one.get(key), other.get(key), f"{path}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for place, pair in pairs for found in differences(*pair, f"{path}[{place}]")]
    return [] if one == other else [(path, one, other)]


def renamed(value: Any, names: dict[str, str]) -> Any:
    """The value with fields under their new names."""
    if isinstance(value, dict):
        return {names.get(key, key): renamed(one, names) for key, one in value.items()}
    return [renamed(one, names) for one in value] if isinstance(value, list) else value


def compare(before: Path, after: Path, names: dict[str, str]) -> int:
    """Prints what differs; the exit status. names: fields of the contract that were renamed, old to new."""
    old = renamed(json.loads(before.read_text()), names)
    found = differences(old, json.loads(after.read_text()))
    texts = [one for one in found if any(part.split("[")[0] in _FOR_PEOPLE for part in one[0].split("/"))]
    other = [one for one in found if one not in texts]
    for path, one, two in (*other, *texts):
        print(f"{path}\n  before: {one}\n  after:  {two}")
    print(f"{len(other)} values differ, and {len(texts)} texts for people")
    return 1 if other else 0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="record the answers of this tree")
    recording.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON file to write")
    recording.add_argument(
        "--photos", type=Path, default=SAMPLE / "images", metavar="DIR", help="ten photos (default: sample)"
    )
    comparing = commands.add_parser("compare", help="compare two recordings")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument(
        "--renamed", action="append", default=[], metavar="OLD=NEW", help="a field of the contract; repeat"
    )
    arguments = parser.parse_args()
    if arguments.command == "compare":
        names = dict(one.split("=", 1) for one in arguments.renamed)
        sys.exit(compare(arguments.before, arguments.after, names))
    photos = sorted(path for path in arguments.photos.iterdir() if path.is_file())
    if not photos:
        parser.error(f"--photos {arguments.photos}: no photos")
    answers = asyncio.run(record([(path.name, path.read_bytes()) for path in photos]))
    text = json.dumps(answers, indent=1, ensure_ascii=False, sort_keys=True)
    arguments.out.write_text(text, encoding="utf-8")
    print(f"{len(answers)} answers, sha256 {hashlib.sha256(text.encode()).hexdigest()}: {arguments.out}")


if __name__ == "__main__":
    main()
