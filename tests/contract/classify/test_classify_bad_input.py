"""Bad works and bad batches: each has its code, its reason and its path, and harms nobody else."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from lunula.classify.v1 import classify_service_pb2 as pb
from lunula.type.v1 import item_error_pb2, photo_pb2
from services.kit.client import call, stream
from services.kit.errors import InvalidArgument
from tests.contract.classify.conftest import OPENSET

INVALID = grpc.StatusCode.INVALID_ARGUMENT.value[0]
DENIED = grpc.StatusCode.PERMISSION_DENIED.value[0]


def facts(error: item_error_pb2.ItemError) -> tuple[int, str, list[str]]:
    return error.code, error.reason, [violation.field for violation in error.field_violations]


async def identify(classifies: Any, *works: pb.Work, top_k: int = 0) -> list[pb.IdentifyArtistsItem]:
    request = pb.IdentifyArtistsRequest(works=works, top_k=top_k)
    return list((await call(classifies.stub.IdentifyArtists, request, timeout=60)).items)


async def stream_works(classifies: Any, *works: pb.Work, top_k: int = 0) -> dict[str, pb.IdentifyArtistsItem]:
    async def requests() -> AsyncIterator[pb.StreamIdentifyArtistsRequest]:
        for index, work in enumerate(works):
            yield pb.StreamIdentifyArtistsRequest(item_id=str(index), work=work, top_k=top_k)

    answers = stream(classifies.stub.StreamIdentifyArtists, requests(), timeout=60)
    return {answer.item_id: answer.item async for answer in answers}


async def test_a_bad_photo_is_refused_with_reason_and_path(classifies: Any, bad_photo: Any) -> None:
    good, bad = await identify(
        classifies, pb.Work(title="black"), pb.Work(photo=photo_pb2.Photo(data=bad_photo.data), title="black")
    )
    assert good.HasField("identification")
    assert facts(bad.error) == (INVALID, bad_photo.reason, ["works[1].photo.data"])


async def test_a_bad_photo_in_a_stream_is_refused_and_the_stream_goes_on(
    classifies: Any, bad_photo: Any
) -> None:
    good = pb.Work(title="black gold")
    items = await stream_works(classifies, good, pb.Work(photo=photo_pb2.Photo(data=bad_photo.data)), good)
    assert facts(items["1"].error) == (INVALID, bad_photo.reason, ["work.photo.data"])
    assert items["0"].identification == items["2"].identification
    assert items["0"].identification.candidates


@pytest.mark.parametrize("streamed", [False, True])
async def test_one_poisoned_work_of_64_leaves_the_others_right(
    classifies: Any, hand_photo: Any, truncated: Any, streamed: bool
) -> None:
    good = pb.Work(photo=photo_pb2.Photo(data=hand_photo.jpeg), title="sea")
    clean = (await identify(classifies, good))[0]
    works = [good] * 64
    works[33] = pb.Work(photo=photo_pb2.Photo(data=truncated.data))
    if streamed:
        found = await stream_works(classifies, *works)
        items = [found[str(index)] for index in range(64)]
    else:
        items = await identify(classifies, *works)
    assert items[33].error.reason == "PHOTO_CORRUPT"
    assert all(items[index] == clean for index in set(range(64)) - {33})


@pytest.mark.parametrize(
    ("work", "reason", "path"),
    [
        (pb.Work(), "NOTHING_TO_IDENTIFY", ""),
        (pb.Work(title=" ", description="\n"), "NOTHING_TO_IDENTIFY", ""),
        (pb.Work(title="!!! ???"), "NOTHING_TO_IDENTIFY", ""),
        (pb.Work(photo=photo_pb2.Photo(), title="x"), "PHOTO_MISSING", ".photo"),
        (pb.Work(title="x" * 1_001), "TEXT_TOO_LONG", ".title"),
        (pb.Work(description="x" * 100_000), "TEXT_TOO_LONG", ".description"),
        (pb.Work(work_id=" ", title="x"), "WORK_ID_INVALID", ".work_id"),
        (pb.Work(title="x", labels={"cup": float("nan")}), "LABELS_INVALID", ".labels[cup]"),
        (pb.Work(title="x", labels={"cup": 1.5}), "LABELS_INVALID", ".labels[cup]"),
        (pb.Work(title="x", labels={"": 0.5}), "LABELS_INVALID", ".labels[]"),
        (pb.Work(title="x", labels={str(n): 0.5 for n in range(101)}), "LABELS_INVALID", ".labels"),
    ],
)
async def test_a_bad_work_is_refused_with_reason_and_path(
    classifies: Any, work: pb.Work, reason: str, path: str
) -> None:
    item = (await identify(classifies, work))[0]
    assert facts(item.error) == (INVALID, reason, [f"works[0]{path}"])
    streamed = (await stream_works(classifies, work))["0"]
    assert facts(streamed.error) == (INVALID, reason, [f"work{path}"])


async def test_a_description_of_a_megabyte_is_refused_before_it_is_read(classifies: Any) -> None:
    for work in (
        pb.Work(description="桜" * 350_000),
        pb.Work(title="x", description="x " * 500_000),
    ):
        assert work.ByteSize() > 1_000_000
        tracemalloc.start()
        item = (await identify(classifies, work))[0]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert facts(item.error) == (INVALID, "TEXT_TOO_LONG", ["works[0].description"])
        # The text itself, twice at four bytes a character; its words alone would be a hundred bytes each.
        assert peak < 16 * 2**20


@pytest.mark.parametrize("title", ["네일 아트", "узоры на ногтях", "ნეილი", "ကခ ဂ", "네일\0아트"])
async def test_words_in_a_script_never_seen_are_answered_with_unknown(
    open_classifies: Callable[..., Any], title: str
) -> None:
    async with open_classifies(OPENSET) as classifies:
        found = (await identify(classifies, pb.Work(title=title)))[0].identification
        assert found.unknown_probability > 0.5
        assert found.text_evidence.known_word_count == 0 < found.text_evidence.word_count
        shares = {candidate.probability for candidate in found.candidates}
        assert max(shares) == pytest.approx(min(shares))  # nobody is preferred for nothing


async def test_a_uri_is_refused_where_settings_do_not_allow_it(classifies: Any) -> None:
    work = pb.Work(photo=photo_pb2.Photo(uri="file:///etc/hostname"))
    item = (await identify(classifies, work))[0]
    assert facts(item.error) == (DENIED, "URI_NOT_ALLOWED", ["works[0].photo.uri"])


@pytest.mark.parametrize("top_k", [-1, 101, 2**31 - 1])
async def test_top_k_out_of_range_is_refused(classifies: Any, top_k: int) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await identify(classifies, pb.Work(title="black"), top_k=top_k)
    assert caught.value.reason == "TOP_K_OUT_OF_RANGE"
    assert [path for path, _ in caught.value.fields] == ["top_k"]
    streamed = (await stream_works(classifies, pb.Work(title="black"), top_k=top_k))["0"]
    assert facts(streamed.error) == (INVALID, "TOP_K_OUT_OF_RANGE", ["top_k"])


@pytest.mark.parametrize(("count", "reason"), [(0, "BATCH_EMPTY"), (65, "BATCH_TOO_LARGE")])
async def test_a_batch_of_the_wrong_size_is_refused(classifies: Any, count: int, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await identify(classifies, *[pb.Work(title="x")] * count)
    assert caught.value.reason == reason
    assert [path for path, _ in caught.value.fields] == ["works"]
