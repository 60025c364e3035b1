"""ScoreAesthetics: photos that callers send, scored for what they are meant to be."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from nails.aesthetic.rerank import ScoreMap
from nails.aesthetic.tags import AUTO_TAGS
from services.kit.errors import Internal, ResourceExhausted
from tests.rank_aesthetic_model import MIDDLE, WIDTH, aesthetic_model
from tests.rank_catalogue import RED, search
from tests.rank_doubles import ALIGN_DIMENSIONS, design, direction, index, photo, tag_vector

PLAIN = photo(RED, "plain")


async def score(rank: Any, *photos: bytes, **fields: Any) -> pb.ScoreAestheticsResponse:
    request = pb.ScoreAestheticsRequest(photos=[photo_pb2.Photo(data=data) for data in photos], **fields)
    response: pb.ScoreAestheticsResponse = await rank.stub.ScoreAesthetics(request, timeout=30)
    return response


def cosine(data: bytes, words: str) -> float:
    return float(np.dot(direction(data, ALIGN_DIMENSIONS), tag_vector(words)))


async def test_a_photo_has_a_score_its_votes_and_a_normalised_score(scoring: Any) -> None:
    scoring.doubles.aesthetic_scores[PLAIN] = 7.0
    response = await score(scoring, PLAIN, disable_auto_tags=True)
    result = response.items[0].result
    assert result.score == pytest.approx(7.0, abs=0.05)
    assert len(result.distribution) == 10
    assert sum(result.distribution) == pytest.approx(1, abs=1e-5)
    assert result.distribution[6] == 1
    assert result.normalised == pytest.approx(ScoreMap(MIDDLE, WIDTH)(7.0), abs=0.01)
    assert not result.tags_used
    assert not result.auto_tags
    assert not result.HasField("tag_alignment")
    fingerprints = {model.name: model.fingerprint for model in response.info.models}
    assert fingerprints["aesthetic"] == "aesthetic-a"
    assert {"embed", "aesthetic"} <= {timing.stage for timing in response.info.timings}


async def test_tags_count_and_tell_how_much_the_photo_is_what_it_is_meant_to_be(scoring: Any) -> None:
    response = await score(scoring, PLAIN, tags=["cherry_blossom", "a quiet evening"])
    result = response.items[0].result
    assert list(result.tags_used) == ["cherry blossom", "a quiet evening"]
    expected = np.mean([cosine(PLAIN, words) for words in result.tags_used])
    assert result.tag_alignment == pytest.approx(expected, abs=1e-3)
    assert not result.auto_tags


async def test_without_tags_a_photo_is_scored_as_what_it_looks_most_like(scoring: Any) -> None:
    result = (await score(scoring, PLAIN)).items[0].result
    best = max(AUTO_TAGS, key=lambda tag: cosine(PLAIN, tag.words))
    (found,) = result.auto_tags
    assert (found.kind, found.name) == (best.kind, best.name)
    assert list(result.tags_used) == [best.words]
    assert found.cosine == pytest.approx(cosine(PLAIN, best.words), abs=1e-3)
    assert result.tag_alignment == pytest.approx(found.cosine, abs=1e-5)


async def test_a_photo_scores_as_the_design_that_shows_it(scoring: Any) -> None:
    one = design("d1", title="red nails")
    scoring.doubles.aesthetic_scores[one.photo.data] = 6.5
    await index(scoring.stub, [one])
    response = await search(scoring, text="red nails", aesthetic_tags=["marble"], aesthetic_weight=0.5)
    (term,) = [term for term in response.hits[0].terms if term.channel == "aesthetic"]
    result = (await score(scoring, one.photo.data, tags=["marble"])).items[0].result
    assert (result.score, result.normalised) == (term.raw, pytest.approx(term.normalised, abs=1e-6))


async def test_every_bad_photo_fails_alone(scoring: Any, bad_photo: Any) -> None:
    first, bad, last = (await score(scoring, PLAIN, bad_photo.data, PLAIN)).items
    assert first.result.score == last.result.score > 0
    assert bad.error.reason == bad_photo.reason
    assert [violation.field for violation in bad.error.field_violations] == ["photos[1].data"]


async def test_a_missing_photo_and_a_forbidden_place_fail_alone(scoring: Any) -> None:
    request = pb.ScoreAestheticsRequest(
        photos=[
            photo_pb2.Photo(),
            photo_pb2.Photo(uri="https://img.example/a.jpg"),
            photo_pb2.Photo(data=PLAIN),
        ]
    )
    items = (await scoring.stub.ScoreAesthetics(request, timeout=30)).items
    assert [item.error.reason for item in items] == ["PHOTO_MISSING", "URI_NOT_ALLOWED", ""]
    assert items[1].error.field_violations[0].field == "photos[1].uri"


async def test_64_photos_are_scored_in_their_order(scoring: Any) -> None:
    photos = [photo((10 + n, 90, 90), f"p{n}") for n in range(64)]
    scoring.doubles.aesthetic_scores |= {data: 1 + n / 10 for n, data in enumerate(photos)}
    items = (await score(scoring, *photos, disable_auto_tags=True)).items
    assert [item.result.score for item in items] == pytest.approx([1 + n / 10 for n in range(64)], abs=0.05)


@pytest.mark.parametrize(("count", "reason"), [(0, "BATCH_EMPTY"), (65, "BATCH_TOO_LARGE")])
async def test_too_few_or_many_photos_are_refused(
    scoring: Any, refused: Any, count: int, reason: str
) -> None:
    request = pb.ScoreAestheticsRequest(photos=[photo_pb2.Photo(data=b"x")] * count)
    failure = await refused(scoring.stub.ScoreAesthetics(request, timeout=20))
    assert failure[:3] == ("INVALID_ARGUMENT", reason, ["photos"])


@pytest.mark.parametrize(
    ("tags", "path"),
    [(["x"] * 9, "tags"), ([""], "tags[0]"), (["a", "  "], "tags[1]"), (["x" * 1_000_000], "tags[0]")],
)
async def test_bad_tags_are_refused(scoring: Any, refused: Any, tags: list[str], path: str) -> None:
    request = pb.ScoreAestheticsRequest(photos=[photo_pb2.Photo(data=PLAIN)], tags=tags)
    failure = await refused(scoring.stub.ScoreAesthetics(request, timeout=20))
    assert failure[:3] == ("INVALID_ARGUMENT", "AESTHETIC_TAGS_INVALID", [path])


async def test_a_server_without_the_model_says_so(open_scoring: Any, refused: Any) -> None:
    request = pb.ScoreAestheticsRequest(photos=[photo_pb2.Photo(data=PLAIN)])
    async with open_scoring(None) as rank:
        failure = await refused(rank.stub.ScoreAesthetics(request, timeout=20))
        assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "AESTHETIC_MODEL_MISSING")
        assert failure.message == "no model"


async def test_other_models_than_it_was_trained_with_are_refused(open_scoring: Any, refused: Any) -> None:
    request = pb.ScoreAestheticsRequest(photos=[photo_pb2.Photo(data=PLAIN)], tags=["marble"])
    async with open_scoring(aesthetic_model(text_encode="text-z")) as rank:
        failure = await refused(rank.stub.ScoreAesthetics(request, timeout=20))
        assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "FINGERPRINT_MISMATCH")
    async with open_scoring(aesthetic_model(image_align="align-z")) as rank:
        (item,) = (await rank.stub.ScoreAesthetics(request, timeout=20)).items
        assert item.error.reason == "FINGERPRINT_MISMATCH"


async def test_it_ends_at_its_deadline_and_when_it_is_cancelled(
    scoring: Any, gate: Any, refused: Any
) -> None:
    request = pb.ScoreAestheticsRequest(photos=[photo_pb2.Photo(data=PLAIN)])
    gate.close()
    assert (await refused(scoring.stub.ScoreAesthetics(request, timeout=0.5))).code == "DEADLINE_EXCEEDED"
    gate.waiting.clear()
    gate.cancelled.clear()
    call = scoring.stub.ScoreAesthetics(request, timeout=30)
    waiting = asyncio.ensure_future(call)
    await gate.waiting.wait()
    call.cancel()
    await gate.cancelled.wait()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.open()
    assert (await score(scoring, PLAIN)).items[0].result.score > 0


async def test_overload_and_broken_models_are_told_by_code(scoring: Any, gate: Any, refused: Any) -> None:
    request = pb.ScoreAestheticsRequest(photos=[photo_pb2.Photo(data=PLAIN)])
    gate.error = lambda *_: ResourceExhausted("full", reason="QUEUE_FULL", retry_after_s=0.5)
    failure = await refused(scoring.stub.ScoreAesthetics(request, timeout=20))
    assert (failure.code, failure.reason, failure.retry_after_s) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL", 0.5)
    gate.error = lambda *_: Internal("it broke", reason="INFERENCE_FAILED")
    (item,) = (await scoring.stub.ScoreAesthetics(request, timeout=20)).items
    assert item.error.reason == "INFERENCE_FAILED"


async def test_one_call_too_many_is_refused_with_a_retry_delay(
    open_scoring: Any, gate: Any, refused: Any
) -> None:
    request = pb.ScoreAestheticsRequest(photos=[photo_pb2.Photo(data=PLAIN)])
    async with open_scoring(max_in_flight=1) as rank:
        gate.close()
        first = asyncio.ensure_future(rank.stub.ScoreAesthetics(request, timeout=30))
        await gate.waiting.wait()
        failure = await refused(rank.stub.ScoreAesthetics(request, timeout=30))
        assert (failure.code, failure.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
        gate.open()
        assert len((await first).items) == 1


async def test_embed_being_away_is_told_with_a_retry_delay(scoring: Any, beside: Any, refused: Any) -> None:
    await beside.embed.drain()
    request = pb.ScoreAestheticsRequest(photos=[photo_pb2.Photo(data=PLAIN)], disable_auto_tags=True)
    failure = await refused(scoring.stub.ScoreAesthetics(request, timeout=20))
    assert (failure.code, failure.reason) == ("UNAVAILABLE", "EMBED_SERVICE_UNAVAILABLE")
    assert failure.retry_after_s > 0
