"""RankService with the real CropService and EmbedService; only the models are stand-ins."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from services.crop.build import serve_on as crop_on
from services.crop.settings import CropSettings
from services.embed.build import serve_on as embed_on
from services.embed.settings import EmbedSettings
from services.kit.server import running_server
from tests.rank_doubles import index


class WordNumbers:
    """A tokenizer without a vocabulary: a number for every word."""

    def encode(self, text: str) -> list[int]:
        return [zlib.crc32(word.encode()) % 1000 for word in text.split()]


@pytest.fixture
async def real(open_rank: Any, fake_backend: Any) -> AsyncIterator[Any]:
    """All three services on real ports."""
    async with (
        running_server(CropSettings(port=0), lambda s, _: crop_on(fake_backend, s)) as crop,
        running_server(EmbedSettings(port=0), lambda s, _: embed_on(fake_backend, s, WordNumbers())) as embed,
    ):
        await crop.until_serving()
        await embed.until_serving()
        async with open_rank(crop_address=crop.address, embed_address=embed.address) as rank:
            yield rank


def design(design_id: str, data: bytes, **fields: Any) -> pb.Design:
    return pb.Design(design_id=design_id, photo=photo_pb2.Photo(data=data), **fields)


async def test_a_photo_goes_all_the_way_and_is_found(real: Any, hand_photo: Any) -> None:
    (answer,) = await index(real.stub, [design("hand", hand_photo.jpeg, title="red nails")])
    assert answer.state == pb.INDEX_STATE_INDEXED, answer.error
    got = await real.stub.GetDesign(pb.GetDesignRequest(design_id="hand"), timeout=30)
    assert [colour.name for colour in got.design.palette.colours] == ["red"]
    assert got.design.crop_box.x1 > got.design.crop_box.x0
    for request in (
        pb.SearchDesignsRequest(text="赤いネイル with a red tip"),
        pb.SearchDesignsRequest(reference_photo=photo_pb2.Photo(data=hand_photo.jpeg)),
        pb.SearchDesignsRequest(palette=got.design.palette),
    ):
        found = await real.stub.SearchDesigns(request, timeout=30)
        assert [hit.design.design_id for hit in found.hits] == ["hand"]
        assert {model.name for model in found.info.models} >= {"image_align"}
    assert "red (ΔE" in found.hits[0].explanation


async def test_words_palette_and_filters_work_together(real: Any, hand_photo: Any, paint: Any) -> None:
    """Real reading of the words, real palettes of the photos, real full-text search, one request."""
    other = paint(nails=[(60, 120, 100, 190)], hands=((40, 100, 420, 330),), tint=60)
    answers = await index(
        real.stub,
        [
            design(
                "gold", hand_photo.jpeg, title="almond nails", description="a thin gold line", artist_id="a1"
            ),
            design("plain", hand_photo.jpeg, title="plain nails", artist_id="a1"),
            design("elsewhere", other.jpeg, title="almond nails with a gold line", artist_id="a2"),
        ],
    )
    assert {answer.state for answer in answers} == {pb.INDEX_STATE_INDEXED}
    palette = (await real.stub.GetDesign(pb.GetDesignRequest(design_id="gold"), timeout=30)).design.palette
    request = pb.SearchDesignsRequest(
        text="almond nails with a thin gold line",
        palette=palette,
        filters=[pb.Filter(field="artist_id", operator=pb.FILTER_OPERATOR_ANY_OF, values=["a1"])],
    )
    found = await real.stub.SearchDesigns(request, timeout=30)
    terms = {hit.design.design_id: {term.channel: term for term in hit.terms} for hit in found.hits}
    assert set(terms) == {"gold", "plain"}
    assert {name for name, of in terms.items() if of["palette"].raw < 1} == {"gold", "plain"}
    if real.bm25:
        assert terms["gold"]["description"].raw > terms["plain"]["description"].raw >= 0
    for hit in found.hits:
        assert hit.score == sum(term.contribution for term in hit.terms)
        assert "red (ΔE" in hit.explanation


async def test_odd_photos_are_taken(real: Any, odd_photos: Mapping[str, bytes]) -> None:
    answers = await index(real.stub, [design(f"d{n}", data) for n, data in enumerate(odd_photos.values())])
    assert {answer.state for answer in answers} == {pb.INDEX_STATE_INDEXED}


async def test_bad_photos_are_refused_in_the_words_of_the_request(
    real: Any, bad_photo: Any, hand_photo: Any, refused: Any
) -> None:
    bad, good = await index(real.stub, [design("bad", bad_photo.data), design("good", hand_photo.jpeg)])
    assert (bad.error.reason, bad.error.field_violations[0].field) == (bad_photo.reason, "design.photo.data")
    assert good.state == pb.INDEX_STATE_INDEXED
    request = pb.SearchDesignsRequest(reference_photo=photo_pb2.Photo(data=bad_photo.data))
    failure = await refused(real.stub.SearchDesigns(request, timeout=30))
    assert failure[:3] == ("INVALID_ARGUMENT", bad_photo.reason, ["reference_photo.data"])
