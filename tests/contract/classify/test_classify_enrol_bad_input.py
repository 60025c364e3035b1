"""What cannot be enrolled, and stores that cannot be used: a clear error each, and nothing half done."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from lunula.classify.v1 import classify_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from services.classify.features.references import References
from services.kit.client import call
from services.kit.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    LunulaError,
    ResourceExhausted,
    Unavailable,
)
from services.kit.retry import Backoff
from tests.contract.classify.conftest import OPENSET

ONCE = Backoff(attempts=1)
LEMON = pb.Work(title="lemon")


async def enrol(classifies: Any, artist: str, *works: pb.Work, seconds: float = 60) -> pb.EnrolArtistResponse:
    request = pb.EnrolArtistRequest(artist_id=artist, works=works)
    response: pb.EnrolArtistResponse = await call(
        classifies.stub.EnrolArtist, request, timeout=seconds, backoff=ONCE
    )
    return response


async def listed(classifies: Any) -> list[pb.Artist]:
    request = pb.ListArtistsRequest(origin=pb.ARTIST_ORIGIN_ENROLLED)
    return list((await call(classifies.stub.ListArtists, request, timeout=30)).artists)


async def refused(classifies: Any, artist: str, *works: pb.Work) -> LunulaError:
    with pytest.raises(LunulaError) as caught:
        await enrol(classifies, artist, *works)
    assert not await listed(classifies)
    return caught.value


@pytest.mark.parametrize("artist", ["", " ", "x" * 129, "line\nbreak", " fumi", "\u202efumi"])
async def test_an_id_that_is_none_is_refused(classifies: Any, artist: str) -> None:
    error = await refused(classifies, artist, LEMON)
    assert (type(error), error.reason) == (InvalidArgument, "ARTIST_ID_INVALID")
    assert [path for path, _ in error.fields] == ["artist_id"]


@pytest.mark.parametrize(
    ("works", "reason", "path"),
    [
        ([], "BATCH_EMPTY", "works"),
        ([LEMON] * 65, "BATCH_TOO_LARGE", "works"),
        ([LEMON, pb.Work()], "NOTHING_TO_IDENTIFY", "works[1]"),
        ([pb.Work(title="?!")], "NOTHING_TO_IDENTIFY", "works[0]"),
        ([LEMON, pb.Work(description="x" * 1_000_000)], "TEXT_TOO_LONG", "works[1].description"),
        ([pb.Work(work_id="x" * 129, title="a")], "WORK_ID_INVALID", "works[0].work_id"),
        (
            [pb.Work(work_id="a", title="a"), LEMON, pb.Work(work_id="a", title="b")],
            "WORK_ID_DUPLICATE",
            "works[2].work_id",
        ),
        ([LEMON, pb.Work(photo=photo_pb2.Photo())], "PHOTO_MISSING", "works[1].photo"),
    ],
)
async def test_a_bad_work_refuses_the_artist_with_reason_and_path(
    classifies: Any, works: list[pb.Work], reason: str, path: str
) -> None:
    error = await refused(classifies, "fumi", *works)
    assert (type(error), error.reason) == (InvalidArgument, reason)
    assert [field for field, _ in error.fields] == [path]


async def test_a_bad_photo_refuses_the_artist_whole(classifies: Any, bad_photo: Any) -> None:
    bad = pb.Work(photo=photo_pb2.Photo(data=bad_photo.data))
    error = await refused(classifies, "fumi", LEMON, bad)
    assert error.reason == bad_photo.reason
    assert [path for path, _ in error.fields] == ["works[1].photo.data"]


async def test_a_trained_artist_is_not_enrolled_over(classifies: Any) -> None:
    for artist in ("ayame", "emi"):  # of the image model, and of the text model alone
        error = await refused(classifies, artist, LEMON)
        assert (type(error), error.reason) == (AlreadyExists, "ARTIST_TRAINED")


async def test_one_artist_too_many_is_refused_and_replacing_is_not(
    open_classifies: Callable[..., Any],
) -> None:
    async with open_classifies(OPENSET, max_enrolled=2) as classifies:
        for artist in ("one", "two"):
            await enrol(classifies, artist, LEMON)
        with pytest.raises(ResourceExhausted) as caught:
            await enrol(classifies, "three", LEMON)
        assert caught.value.reason == "ENROLMENT_FULL"
        assert (await enrol(classifies, "two", LEMON)).replaced


async def test_a_model_without_prototypes_takes_no_artists_and_still_identifies(
    open_classifies: Callable[..., Any],
) -> None:
    async with open_classifies(references=None) as classifies:
        error = await refused(classifies, "fumi", LEMON)
        assert (type(error), error.reason) == (FailedPrecondition, "ENROLMENT_UNAVAILABLE")
        request = pb.IdentifyArtistsRequest(works=[pb.Work(title="black gold")])
        found = (await call(classifies.stub.IdentifyArtists, request, timeout=30)).items[0]
        assert found.identification.candidates[0].artist_id == "botan"


async def test_artists_of_other_models_are_refused_until_they_are_enrolled_again(
    open_classifies: Callable[..., Any], references: References
) -> None:
    async with open_classifies(OPENSET) as classifies:
        await enrol(classifies, "fumi", LEMON)
    later = replace(references, space="the space of a later model")
    async with open_classifies(OPENSET, references=later, await_ready=False) as classifies:
        request = pb.IdentifyArtistsRequest(works=[LEMON])
        with pytest.raises(FailedPrecondition, match="fumi") as caught:
            item = (await call(classifies.stub.IdentifyArtists, request, timeout=30)).items[0]
            assert item.error.reason == "FINGERPRINT_MISMATCH"
            assert item.error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
            raise FailedPrecondition(item.error.message, reason=item.error.reason)
        assert caught.value.reason == "FINGERPRINT_MISMATCH"
        assert not classifies.server.health.serving
        assert [artist.stale for artist in await listed(classifies)] == [True]
        assert (await enrol(classifies, "fumi", LEMON)).replaced
        await classifies.server.until_serving()
        assert [artist.stale for artist in await listed(classifies)] == [False]


async def test_a_damaged_file_is_named_and_the_server_does_not_start(
    open_classifies: Callable[..., Any], tmp_path: Path
) -> None:
    async with open_classifies(OPENSET) as classifies:
        await enrol(classifies, "fumi", LEMON)
    path = next((tmp_path / "artists").glob("*.npz"))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FailedPrecondition, match=path.name) as caught:
        async with open_classifies(OPENSET, await_ready=False):
            pytest.fail("it started")
    assert caught.value.reason == "ENROLMENT_DAMAGED"


async def test_a_folder_that_another_process_writes_to_is_left_alone(
    open_classifies: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "artists"
    folder.mkdir()
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        async with open_classifies(OPENSET) as classifies:
            error = await refused(classifies, "fumi", LEMON)
            assert (type(error), error.reason) == (Unavailable, "ENROLMENT_LOCKED")
            fcntl.flock(handle, fcntl.LOCK_UN)
            await enrol(classifies, "fumi", LEMON)
    finally:
        os.close(handle)


async def test_a_store_that_cannot_be_written_acknowledges_nothing(
    open_classifies: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    async with open_classifies(OPENSET, enrolled=tmp_path / "file" / "artists") as classifies:
        error = await refused(classifies, "fumi", LEMON)
        assert (type(error), error.reason) == (Unavailable, "ENROLMENT_STORE_UNAVAILABLE")


async def test_an_expired_deadline_enrols_nobody(classifies: Any, hand_photo: Any, gate: Any) -> None:
    gate.close()
    with pytest.raises(DeadlineExceeded):
        await enrol(classifies, "fumi", pb.Work(photo=photo_pb2.Photo(data=hand_photo.jpeg)), seconds=0.3)
    await gate.cancelled.wait()
    gate.open()
    assert not await listed(classifies)


async def test_a_model_server_that_is_away_enrols_nobody(classifies: Any, hand_photo: Any, gate: Any) -> None:
    gate.error = lambda *_: Unavailable("unavailable", reason="MODEL_SERVER_UNAVAILABLE")
    error = await refused(classifies, "fumi", pb.Work(photo=photo_pb2.Photo(data=hand_photo.jpeg)))
    assert (type(error), error.reason) == (Unavailable, "MODEL_SERVER_UNAVAILABLE")


@pytest.mark.parametrize(
    ("fields", "reason", "path"),
    [
        ({"page_size": -1}, "PAGE_SIZE_INVALID", "page_size"),
        ({"page_size": 1_001}, "PAGE_SIZE_INVALID", "page_size"),
        ({"page_token": "!"}, "PAGE_TOKEN_INVALID", "page_token"),
        ({"page_token": "W10="}, "PAGE_TOKEN_INVALID", "page_token"),
        ({"page_token": "WyJhIiwgImVucm9sbGVkIl0="}, "PAGE_TOKEN_MISMATCH", "page_token"),
        ({"origin": 7}, "ORIGIN_INVALID", "origin"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(
    classifies: Any, fields: dict[str, Any], reason: str, path: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await call(classifies.stub.ListArtists, pb.ListArtistsRequest(**fields), timeout=30)
    assert caught.value.reason == reason
    assert [field for field, _ in caught.value.fields] == [path]
