"""Artists added without training, over a real server: they compete, they last, they can be listed and
removed."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lunula.classify.v1 import classify_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from services.kit.client import call
from services.kit.errors import NotFound
from services.kit.retry import Backoff
from tests.contract.classify.conftest import OPENSET

ONCE = Backoff(attempts=1)


def photo(colour: tuple[int, int, int]) -> photo_pb2.Photo:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(buffer, format="PNG")
    return photo_pb2.Photo(data=buffer.getvalue())


YELLOW, RED = photo((250, 250, 0)), photo((255, 0, 0))
KOREAN = "은하수 별빛 네일"
FUMI = [
    pb.Work(work_id="f1", photo=YELLOW, title="canary lemon 檸檬", description="sunny citrus"),
    pb.Work(work_id="f2", photo=YELLOW, title="lemon 檸檬 drop"),
    pb.Work(photo=YELLOW),
    pb.Work(title="sunny canary citrus"),
]


async def enrol(classifies: Any, artist: str, works: list[pb.Work]) -> pb.EnrolArtistResponse:
    request = pb.EnrolArtistRequest(artist_id=artist, works=works)
    response: pb.EnrolArtistResponse = await call(
        classifies.stub.EnrolArtist, request, timeout=60, backoff=ONCE
    )
    return response


async def identify(classifies: Any, work: pb.Work) -> pb.Identification:
    request = pb.IdentifyArtistsRequest(works=[work], top_k=100)
    found: pb.IdentifyArtistsItem = (
        await call(classifies.stub.IdentifyArtists, request, timeout=60, backoff=ONCE)
    ).items[0]
    assert found.HasField("identification"), found
    return found.identification


async def listed(classifies: Any, **fields: Any) -> list[pb.Artist]:
    request = pb.ListArtistsRequest(**fields)
    return list((await call(classifies.stub.ListArtists, request, timeout=30)).artists)


def total(found: pb.Identification) -> float:
    return sum(candidate.probability for candidate in found.candidates) + found.unknown_probability


async def test_works_of_a_stranger_are_unknown_until_the_stranger_is_enrolled(
    open_classifies: Callable[..., Any],
) -> None:
    work = pb.Work(photo=YELLOW, title="a canary and a lemon")
    async with open_classifies(OPENSET) as classifies:
        before = await identify(classifies, work)
        assert before.unknown_probability > 0.5
        answer = await enrol(classifies, "fumi", FUMI)
        assert not answer.replaced
        assert (answer.artist.work_count, answer.artist.photo_count, answer.artist.text_count) == (4, 3, 3)
        after = await identify(classifies, work)
        first = after.candidates[0]
        assert (first.artist_id, first.origin) == ("fumi", pb.ARTIST_ORIGIN_ENROLLED)
        assert first.probability > 0.5 > after.unknown_probability
        assert total(before) == pytest.approx(1, abs=1e-5) == total(after)


async def test_enrolled_and_trained_artists_share_one_distribution(
    open_classifies: Callable[..., Any],
) -> None:
    async with open_classifies(OPENSET) as classifies:
        work = pb.Work(photo=RED, title="milky pink pearl")
        before = await identify(classifies, work)
        await enrol(classifies, "fumi", FUMI)
        after = await identify(classifies, work)
        assert after.candidates[0].artist_id == before.candidates[0].artist_id == "ayame"
        assert {candidate.artist_id for candidate in after.candidates} == {
            *(candidate.artist_id for candidate in before.candidates),
            "fumi",
        }
        for modality in ("image_probability", "text_probability"):
            shares = [getattr(candidate, modality) for candidate in after.candidates]
            assert sum(shares) == pytest.approx(1, abs=1e-5)


async def test_the_evidence_names_the_nearest_works_and_what_was_read(
    open_classifies: Callable[..., Any],
) -> None:
    async with open_classifies(OPENSET) as classifies:
        await enrol(classifies, "fumi", FUMI)
        found = await identify(classifies, pb.Work(photo=YELLOW, title="lemon 檸檬 drop"))
        fumi = found.candidates[0]
        assert fumi.nearest_works[0].work_id == "f2"
        assert len(fumi.nearest_works) == 3
        assert {near.work_id for near in fumi.nearest_works} <= {"f1", "f2", "3", "4"}
        assert fumi.nearest_works[0].image_cosine == pytest.approx(1, abs=1e-2)
        assert fumi.nearest_works[0].text_cosine == pytest.approx(1, abs=1e-2)
        assert fumi.image_cosine > 0.9 and 0 < fumi.text_cosine < 1
        trained = {candidate.artist_id: candidate for candidate in found.candidates[1:]}
        assert trained["ayame"].HasField("image_cosine") and not trained["ayame"].nearest_works
        assert not trained["dan"].HasField("image_cosine")  # an artist without a prototype
        assert (found.text_evidence.word_count, found.text_evidence.known_word_count) == (5, 0)
        only_photo = await identify(classifies, pb.Work(photo=YELLOW))
        assert not only_photo.HasField("text_evidence")
        assert not only_photo.candidates[0].HasField("text_cosine")


async def test_words_that_nobody_knows_or_uses_leave_the_photo_alone(
    open_classifies: Callable[..., Any],
) -> None:
    async with open_classifies(OPENSET) as classifies:
        for _ in range(2):  # nobody is enrolled; somebody with other words is
            alone = await identify(classifies, pb.Work(photo=RED))
            for words in ("x", KOREAN, "новый дизайн"):
                found = await identify(classifies, pb.Work(photo=RED, title=words))
                assert list(found.modalities) == [pb.MODALITY_IMAGE]
                assert found.unknown_probability == pytest.approx(alone.unknown_probability, abs=1e-6)
                for one, other in zip(found.candidates, alone.candidates, strict=True):
                    assert one.artist_id == other.artist_id
                    assert one.probability == pytest.approx(other.probability, abs=1e-6)
                    assert one.text_probability == 0
                assert found.text_evidence.known_word_count == 0 < found.text_evidence.word_count
            await enrol(classifies, "fumi", FUMI)
        near = await identify(classifies, pb.Work(photo=RED, title="lemon"))
        assert list(near.modalities) == [pb.MODALITY_IMAGE, pb.MODALITY_TEXT]
        wordless = await identify(classifies, pb.Work(title="x"))
        assert list(wordless.modalities) == [pb.MODALITY_TEXT]


async def test_an_artist_may_write_in_a_script_that_the_models_never_saw(
    open_classifies: Callable[..., Any],
) -> None:
    async with open_classifies(OPENSET) as classifies:
        before = await identify(classifies, pb.Work(title=KOREAN))
        assert before.unknown_probability > 0.5
        assert before.text_evidence.language == "ko"
        assert before.text_evidence.known_word_count == 0 < before.text_evidence.word_count
        await enrol(classifies, "haneul", [pb.Work(title=KOREAN), pb.Work(title="별빛 네일 아트")])
        after = await identify(classifies, pb.Work(title="별빛 네일"))
        assert after.candidates[0].artist_id == "haneul" and after.candidates[0].probability > 0.5


async def test_an_artist_enrolled_by_photos_alone_is_found_by_a_work_with_words(
    open_classifies: Callable[..., Any],
) -> None:
    async with open_classifies(OPENSET) as classifies:
        await enrol(classifies, "photos", [pb.Work(photo=YELLOW)] * 2)
        found = await identify(classifies, pb.Work(photo=YELLOW, title="milky pink lemon"))
        first = found.candidates[0]
        assert first.artist_id == "photos" and first.probability > 0.3
        assert first.image_cosine == pytest.approx(1, abs=1e-2) and not first.HasField("text_cosine")


async def test_enrolling_again_replaces_and_changes_nothing_when_nothing_changed(
    open_classifies: Callable[..., Any],
) -> None:
    async with open_classifies(OPENSET) as classifies:
        first = await enrol(classifies, "fumi", FUMI)
        work = pb.Work(photo=YELLOW, title="lemon")
        before = await identify(classifies, work)
        again = await enrol(classifies, "fumi", FUMI)
        assert again.replaced and again.artist.work_count == first.artist.work_count
        assert await identify(classifies, work) == before
        fewer = await enrol(classifies, "fumi", FUMI[:1])
        assert fewer.replaced and fewer.artist.work_count == 1
        assert [artist.artist_id for artist in await listed(classifies, origin=2)] == ["fumi"]


async def test_what_was_acknowledged_is_there_after_a_restart(
    open_classifies: Callable[..., Any], tmp_path: Path
) -> None:
    work = pb.Work(photo=YELLOW, title="lemon")
    async with open_classifies(OPENSET) as classifies:
        await enrol(classifies, "fumi", FUMI)
        await enrol(classifies, "gen", [pb.Work(photo=RED)])
        await call(
            classifies.stub.RemoveEnrolledArtist,
            pb.RemoveEnrolledArtistRequest(artist_id="gen"),
            timeout=30,
        )
        before = await identify(classifies, work)
    assert not list((tmp_path / "artists").glob("*.part"))
    async with open_classifies(OPENSET) as classifies:
        assert await identify(classifies, work) == before
        assert [artist.artist_id for artist in await listed(classifies, origin=2)] == ["fumi"]


async def test_a_removed_artist_is_forgotten(open_classifies: Callable[..., Any]) -> None:
    async with open_classifies(OPENSET) as classifies:
        work = pb.Work(photo=YELLOW, title="lemon")
        before = await identify(classifies, work)
        await enrol(classifies, "fumi", FUMI)
        request = pb.RemoveEnrolledArtistRequest(artist_id="fumi")
        await call(classifies.stub.RemoveEnrolledArtist, request, timeout=30)
        assert await identify(classifies, work) == before
        with pytest.raises(NotFound) as caught:
            await call(classifies.stub.RemoveEnrolledArtist, request, timeout=30)
        assert caught.value.reason == "ARTIST_NOT_ENROLLED"
        assert [path for path, _ in caught.value.fields] == ["artist_id"]


async def test_artists_are_listed_in_pages_by_id_and_origin(open_classifies: Callable[..., Any]) -> None:
    async with open_classifies(OPENSET) as classifies:
        await enrol(classifies, "bo", [pb.Work(title="lemon")])
        await enrol(classifies, "zoe", [pb.Work(title="citrus")])
        everybody = ["ayame", "bo", "botan", "chie", "dan", "emi", "zoe"]
        names: list[str] = []
        token = ""
        for _ in range(3):
            request = pb.ListArtistsRequest(page_size=3, page_token=token)
            response = await call(classifies.stub.ListArtists, request, timeout=30)
            assert response.total_size == 7
            names += [artist.artist_id for artist in response.artists]
            token = response.next_page_token
        assert names == everybody and not token
        trained = await listed(classifies, origin=pb.ARTIST_ORIGIN_TRAINED)
        enrolled = await listed(classifies, origin=pb.ARTIST_ORIGIN_ENROLLED)
        assert [artist.artist_id for artist in trained] == [n for n in everybody if n not in ("bo", "zoe")]
        assert [(artist.artist_id, artist.work_count) for artist in enrolled] == [("bo", 1), ("zoe", 1)]
        assert all(artist.enrol_time.seconds > 0 and not artist.stale for artist in enrolled)


async def test_many_enrol_at_once_while_others_identify(open_classifies: Callable[..., Any]) -> None:
    async with open_classifies(OPENSET) as classifies:
        names = [f"artist-{number:02}" for number in range(12)]
        works = [pb.Work(photo=YELLOW, title="lemon")]
        answers = await asyncio.gather(
            *(enrol(classifies, name, works) for name in names),
            *(enrol(classifies, names[0], works) for _ in range(4)),
            *(identify(classifies, pb.Work(photo=YELLOW, title="lemon")) for _ in range(8)),
        )
        for found in answers[16:]:
            assert total(found) == pytest.approx(1, abs=1e-5)
        assert sum(answer.replaced for answer in answers[:16]) == 4
        assert [artist.artist_id for artist in await listed(classifies, origin=2)] == names
