"""Whose work is it? Fusion, missing modalities, probabilities and candidates, over a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lunula.classify.v1 import classify_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from services.kit.client import call, stream


def photo(colour: tuple[int, int, int]) -> photo_pb2.Photo:
    import io

    buffer = io.BytesIO()
    Image.new("RGB", (224, 224), colour).save(buffer, format="PNG")
    return photo_pb2.Photo(data=buffer.getvalue())


RED, BLUE = photo((255, 0, 0)), photo((0, 0, 255))


async def identify(classifies: Any, *works: pb.Work, top_k: int = 0) -> list[pb.Identification]:
    request = pb.IdentifyArtistsRequest(works=works, top_k=top_k)
    response = await call(classifies.stub.IdentifyArtists, request, timeout=60)
    assert all(item.HasField("identification") for item in response.items), response.items
    return [item.identification for item in response.items]


def best(found: pb.Identification) -> str:
    return found.candidates[0].artist_id


async def test_photo_and_words_that_agree_name_the_artist(classifies: Any) -> None:
    found = (await identify(classifies, pb.Work(photo=RED, title="milky pink", description="pearl 桜色")))[0]
    assert best(found) == "ayame"
    assert list(found.modalities) == [pb.MODALITY_IMAGE, pb.MODALITY_TEXT]
    first = found.candidates[0]
    assert first.image_probability > 0.5 and first.text_probability > 0.5


async def test_fusion_is_five_to_five_by_default(classifies: Any) -> None:
    found = (await identify(classifies, pb.Work(photo=RED, title="sea blue shell"), top_k=100))[0]
    known = 1.0 - found.unknown_probability
    for candidate in found.candidates:
        fused = 0.5 * candidate.image_probability + 0.5 * candidate.text_probability
        assert candidate.probability == pytest.approx(fused * known, abs=1e-6)
    assert {candidate.artist_id for candidate in found.candidates} == {
        "ayame",
        "botan",
        "chie",
        "dan",
        "emi",
    }


async def test_the_weight_comes_from_the_model(open_classifies: Callable[..., Any]) -> None:
    work = pb.Work(photo=RED, title="sea blue shell summer")
    async with open_classifies({"image_weight": "0.9"}) as classifies:
        assert best((await identify(classifies, work))[0]) == "ayame"
    async with open_classifies({"image_weight": "0.1"}) as classifies:
        assert best((await identify(classifies, work))[0]) == "chie"


async def test_a_photo_alone_and_words_alone_are_enough(classifies: Any) -> None:
    by_photo, by_words, by_japanese = await identify(
        classifies, pb.Work(photo=BLUE), pb.Work(description="neon green graffiti"), pb.Work(title="桜色")
    )
    assert (best(by_photo), list(by_photo.modalities)) == ("chie", [pb.MODALITY_IMAGE])
    assert (best(by_words), list(by_words.modalities)) == ("emi", [pb.MODALITY_TEXT])
    assert best(by_japanese) == "ayame"
    assert all(candidate.text_probability == 0 for candidate in by_photo.candidates)
    assert all(candidate.image_probability == 0 for candidate in by_words.candidates)


async def test_temperature_softens_without_changing_the_order(open_classifies: Callable[..., Any]) -> None:
    work = pb.Work(photo=RED)
    async with open_classifies() as classifies:
        sharp = (await identify(classifies, work))[0]
    async with open_classifies({"image_temperature": "4.0"}) as classifies:
        soft = (await identify(classifies, work))[0]
    assert soft.candidates[0].image_probability < sharp.candidates[0].image_probability
    assert soft.unknown_probability > sharp.unknown_probability
    assert best(soft) == best(sharp)


async def test_probabilities_sum_to_at_most_one_and_fall(classifies: Any) -> None:
    for found in await identify(
        classifies,
        pb.Work(photo=RED),
        pb.Work(title="black gold"),
        pb.Work(photo=BLUE, title="海"),
        top_k=100,
    ):
        probabilities = [candidate.probability for candidate in found.candidates]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) + found.unknown_probability == pytest.approx(1.0, abs=1e-5)
        assert 0 < found.unknown_probability < 1


async def test_top_k_is_five_unless_said(classifies: Any) -> None:
    work = pb.Work(photo=RED, title="black")
    assert len((await identify(classifies, work))[0].candidates) == 5
    assert len((await identify(classifies, work, top_k=2))[0].candidates) == 2
    assert len((await identify(classifies, work, top_k=100))[0].candidates) == 5


async def test_a_work_has_the_same_answer_alone_in_a_batch_and_in_a_stream(classifies: Any) -> None:
    works = [
        pb.Work(photo=photo((200, 12 * i, 5 * i)), title="milky pink" if i % 2 else "") for i in range(12)
    ]
    together = await identify(classifies, *works)

    async def requests() -> AsyncIterator[pb.StreamIdentifyArtistsRequest]:
        for index, work in enumerate(works):
            yield pb.StreamIdentifyArtistsRequest(item_id=str(index), work=work)

    answers = stream(classifies.stub.StreamIdentifyArtists, requests(), timeout=60)
    streamed = {answer.item_id: answer.item.identification async for answer in answers}
    for index, work in enumerate(works):
        alone = (await identify(classifies, work))[0]
        for other in (together[index], streamed[str(index)]):
            assert [c.artist_id for c in other.candidates] == [c.artist_id for c in alone.candidates]
            assert np.allclose(
                [c.probability for c in other.candidates],
                [c.probability for c in alone.candidates],
                atol=1e-5,
            )


async def test_odd_photos_are_identified(classifies: Any, odd_photos: Mapping[str, bytes]) -> None:
    works = [pb.Work(photo=photo_pb2.Photo(data=data)) for data in odd_photos.values()]
    assert all(found.candidates for found in await identify(classifies, *works))


async def test_the_response_names_both_models_and_the_stages(classifies: Any) -> None:
    request = pb.IdentifyArtistsRequest(works=[pb.Work(photo=RED, title="black")])
    info = (await call(classifies.stub.IdentifyArtists, request, timeout=30)).info
    assert [model.name for model in info.models] == ["artist_image", "artist_text"]
    assert all(model.fingerprint for model in info.models)
    assert {"decode", "queue", "inference"} <= {timing.stage for timing in info.timings}


async def test_labels_are_evidence_and_have_no_part_in_the_probabilities(classifies: Any) -> None:
    plain, cups, nothing, odd = await identify(
        classifies,
        pb.Work(photo=RED),
        pb.Work(photo=RED, labels={"cup": 0.9, "book": 0.2, "vase": 0.19}),
        pb.Work(photo=RED, labels={"vase": 0.1}),
        pb.Work(photo=RED, labels={"never seen": 1.0}),
    )
    assert not plain.HasField("label_evidence")
    assert list(cups.label_evidence.labels) == ["book", "cup"] and cups.label_evidence.work_count == 4
    shares = [(one.artist_id, one.share) for one in cups.label_evidence.artists]
    assert shares == [("ayame", 0.75), ("dan", 0.25)]
    assert cups.label_evidence.entropy == pytest.approx(0.5623, abs=1e-4)
    assert nothing.label_evidence.entropy == pytest.approx(np.log(2)) and not nothing.label_evidence.labels
    assert odd.label_evidence.work_count == 0 == odd.label_evidence.entropy
    for found in (cups, nothing, odd):
        assert list(found.candidates) == list(plain.candidates)
