"""IndexDesigns: what was acknowledged is there, what was refused says why, and nothing else suffers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from services.kit.wire.errors import from_rpc_error
from tests.rank_doubles import design, embed_server, index, photo

INDEXED, UNCHANGED, FAILED = pb.INDEX_STATE_INDEXED, pb.INDEX_STATE_UNCHANGED, pb.INDEX_STATE_FAILED


async def get(rank: Any, design_id: str, **fields: Any) -> pb.Design:
    response = await rank.stub.GetDesign(pb.GetDesignRequest(design_id=design_id, **fields), timeout=20)
    return response.design


async def test_a_design_comes_back_with_all_that_was_said_about_it(rank: Any) -> None:
    sent = design(
        "salon:1.2",
        title='Milky 乳白色 "quoted" \\ back',
        description="ひとつ\nふたつ",
        artist_id="artist-1",
        tags=["pearl", "夏"],
        attributes={"shape": "almond", "finish": "gloss"},
        context="結婚式の前日",
    )
    (answer,) = await index(rank.stub, [sent])
    assert (answer.state, answer.design_id) == (INDEXED, sent.design_id)
    found = await get(rank, sent.design_id, include_photo=True)
    for field in ("title", "description", "artist_id", "tags", "attributes", "context", "photo"):
        assert getattr(found, field) == getattr(sent, field)
    assert found.fingerprint == rank.doubles.design_fingerprint
    assert found.palette.colours[0].weight == 1
    assert found.crop_box.x1 == 32
    assert found.photo_uri.startswith("file:///")
    assert found.index_time.seconds > 1_700_000_000


async def test_sending_again_changes_nothing_and_runs_no_model(rank: Any) -> None:
    designs = [design(f"d{n}", title=f"title {n}") for n in range(3)]
    assert {answer.state for answer in await index(rank.stub, designs)} == {INDEXED}
    before = dict(rank.doubles.calls)
    assert {answer.state for answer in await index(rank.stub, designs)} == {UNCHANGED}
    assert rank.doubles.calls["crop"] == before["crop"]
    # The one call is the question which models there are.
    assert rank.doubles.calls["designs"] <= before["designs"] + 4


async def test_a_changed_word_or_photo_is_written_in_place(rank: Any) -> None:
    await index(rank.stub, [design("d1", title="before")])
    (answer,) = await index(rank.stub, [design("d1", title="after")])
    assert answer.state == INDEXED
    assert (await get(rank, "d1")).title == "after"
    (answer,) = await index(rank.stub, [design("d1", title="after", colour=(0, 0, 250))])
    assert answer.state == INDEXED
    listed = await rank.stub.ListDesigns(pb.ListDesignsRequest(), timeout=20)
    assert listed.total_size == 1


async def test_the_photo_of_a_replaced_design_is_dropped(rank: Any, tmp_path: Any) -> None:
    await index(rank.stub, [design("d1"), design("d2")])
    await index(rank.stub, [design("d1", colour=(0, 0, 250))])
    kept = list((tmp_path / "blobs").rglob("*.png"))
    assert len(kept) == 2


async def test_a_design_sent_twice_in_one_stream_is_as_it_was_sent_last(rank: Any) -> None:
    answers = await index(rank.stub, [design("d1", title=f"version {n}") for n in range(5)])
    assert {answer.state for answer in answers} == {INDEXED}
    assert (await get(rank, "d1")).title == "version 4"


async def test_answers_carry_the_position_and_the_last_one_the_account(rank: Any) -> None:
    answers = []

    async def requests() -> AsyncIterator[pb.IndexDesignsRequest]:
        for n in range(5):
            yield pb.IndexDesignsRequest(design=design(f"d{n}"))

    async for answer in rank.stub.IndexDesigns(requests(), timeout=30):
        answers.append(answer)
    assert sorted(answer.sequence for answer in answers) == list(range(5))
    assert {answer.design_id: answer.sequence for answer in answers} == {f"d{n}": n for n in range(5)}
    assert [model.fingerprint for model in answers[-1].info.models] == [rank.doubles.design_fingerprint]
    assert {"crop", "embed", "write"} <= {timing.stage for timing in answers[-1].info.timings}


async def test_a_client_may_wait_for_each_answer_before_it_sends_the_next(rank: Any) -> None:
    call = rank.stub.IndexDesigns(timeout=30)
    for n in range(3):
        await call.write(pb.IndexDesignsRequest(design=design(f"d{n}")))
        assert (await call.read()).state == INDEXED
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_an_empty_stream_is_fine(rank: Any) -> None:
    assert await index(rank.stub, []) == []


async def test_one_poisoned_photo_in_a_stream_of_64_leaves_63_right(rank: Any, truncated: Any) -> None:
    designs = [design(f"d{n:02}", title=f"design number {n}") for n in range(64)]
    designs[17].photo.data = truncated.data
    answers = await index(rank.stub, designs)
    assert [answer.sequence for answer in answers if answer.state == FAILED] == [17]
    error = answers[17].error
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT.value[0], "PHOTO_CORRUPT")
    assert error.field_violations[0].field == "design.photo.data"
    listed = await rank.stub.ListDesigns(pb.ListDesignsRequest(page_size=100), timeout=20)
    assert [one.design_id for one in listed.designs] == [f"d{n:02}" for n in range(64) if n != 17]
    assert {one.title for one in listed.designs} == {f"design number {n}" for n in range(64) if n != 17}


async def test_a_bad_photo_is_refused_with_its_reason(rank: Any, bad_photo: Any) -> None:
    bad = design("bad")
    bad.photo.data = bad_photo.data
    good, refused = await index(rank.stub, [design("good"), bad])
    assert good.state == INDEXED
    assert (refused.state, refused.error.reason) == (FAILED, bad_photo.reason)
    assert refused.error.field_violations[0].field == "design.photo.data"


@pytest.mark.parametrize(
    ("bad", "reason", "field"),
    [
        (design(""), "DESIGN_ID_INVALID", "design.design_id"),
        (design('x" or true'), "DESIGN_ID_INVALID", "design.design_id"),
        (design("d" * 129), "DESIGN_ID_INVALID", "design.design_id"),
        (design("d", description="x" * 100_000), "TEXT_TOO_LONG", "design.description"),
        (design("d", title="x" * 6000, description="y" * 6000), "TEXT_TOO_LONG", "design.description"),
        (design("d", context="x" * 10_001), "TEXT_TOO_LONG", "design.context"),
        (design("d", artist_id="x" * 129), "ARTIST_ID_INVALID", "design.artist_id"),
        (design("d", tags=["x"] * 65), "TAGS_INVALID", "design.tags"),
        (design("d", tags=["fine", "x" * 65]), "TAGS_INVALID", "design.tags[1]"),
        (design("d", attributes={"sparkle": "much"}), "UNKNOWN_ATTRIBUTE", "design.attributes[sparkle]"),
        (design("d", attributes={"shape": "dodecagon"}), "UNKNOWN_ATTRIBUTE", "design.attributes[shape]"),
        (pb.Design(design_id="d"), "PHOTO_MISSING", "design.photo"),
        (pb.Design(design_id="d", photo=photo_pb2.Photo(data=b"")), "PHOTO_EMPTY", "design.photo.data"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_bad_design_is_refused_with_reason_and_field(
    rank: Any, bad: pb.Design, reason: str, field: str
) -> None:
    refused, good = await index(rank.stub, [bad, design("good")])
    assert (refused.state, refused.error.reason) == (FAILED, reason)
    assert [violation.field for violation in refused.error.field_violations] == [field]
    assert good.state == INDEXED


async def test_a_message_without_a_design_is_refused_alone(rank: Any) -> None:
    async def requests() -> AsyncIterator[pb.IndexDesignsRequest]:
        yield pb.IndexDesignsRequest()
        yield pb.IndexDesignsRequest(design=design("good"))

    answers = {answer.sequence: answer async for answer in rank.stub.IndexDesigns(requests(), timeout=30)}
    assert answers[0].error.reason == "DESIGN_MISSING"
    assert answers[1].state == INDEXED


async def test_the_longest_allowed_words_fit_in_any_script(rank: Any) -> None:
    for number, character in enumerate(("a", "爪", "💅")):
        longest = design(
            f"long{number}",
            description=character * 10_000,
            context=character * 10_000,
            artist_id=character * 128,
            tags=[character * 62 + f"{n:02}" for n in range(64)],
        )
        (answer,) = await index(rank.stub, [longest])
        assert answer.state == INDEXED, answer.error
        found = await get(rank, longest.design_id)
        assert (found.description, found.context, found.tags) == (
            longest.description,
            longest.context,
            longest.tags,
        )


async def test_a_uri_is_read_only_where_settings_allow(open_rank: Any, tmp_path: Any) -> None:
    allowed = tmp_path / "photos"
    allowed.mkdir()
    (allowed / "a.jpg").write_bytes(photo((10, 200, 10)))
    (tmp_path / "secret.jpg").write_bytes(photo((10, 10, 10)))
    inside, outside = (
        pb.Design(design_id=name, photo=photo_pb2.Photo(uri=path.as_uri()))
        for name, path in (("in", allowed / "a.jpg"), ("out", tmp_path / "secret.jpg"))
    )
    async with open_rank(allowed_uri_prefixes=(allowed.as_uri(),)) as rank:
        taken, refused = await index(rank.stub, [inside, outside])
        assert taken.state == INDEXED
        assert (refused.error.reason, refused.error.field_violations[0].field) == (
            "URI_NOT_ALLOWED",
            "design.photo.uri",
        )
        assert (await get(rank, "in", include_photo=True)).photo.data == photo((10, 200, 10))


async def test_a_stream_that_expects_other_models_is_refused(rank: Any) -> None:
    await index(rank.stub, [design("d1")])
    with pytest.raises(grpc.RpcError) as caught:
        await index(rank.stub, [design("d2")], expected_fingerprint="design-z")
    error = from_rpc_error(caught.value)
    assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "FINGERPRINT_MISMATCH")
    assert error.message == "Catalogue version v1 was made by other models than the ones expected."
    assert error.fields == (("expected_fingerprint", "the fingerprint of v1 is design-a"),)
    (answer,) = await index(rank.stub, [design("d2")], expected_fingerprint="design-a")
    assert answer.state == INDEXED


async def test_new_models_may_not_write_into_an_old_version(rank: Any) -> None:
    await index(rank.stub, [design("d1")])
    rank.doubles.generation = "b"
    with pytest.raises(grpc.RpcError) as caught:
        await index(rank.stub, [design("d1")])
    error = from_rpc_error(caught.value)
    assert error.reason == "FINGERPRINT_MISMATCH"
    assert error.message.startswith(
        "EmbedService runs other models than those that made this catalogue version"
    )
    assert error.metadata == {"expected": "design-a", "actual": "design-b"}


async def test_models_exchanged_within_a_stream_are_noticed(rank: Any) -> None:
    call = rank.stub.IndexDesigns(timeout=30)
    await call.write(pb.IndexDesignsRequest(design=design("d1")))
    assert (await call.read()).state == INDEXED
    rank.doubles.generation = "b"
    await call.write(pb.IndexDesignsRequest(design=design("d2")))
    answer = await call.read()
    assert (answer.state, answer.error.reason) == (FAILED, "FINGERPRINT_MISMATCH")
    call.cancel()


async def test_an_unknown_version_is_refused(rank: Any) -> None:
    for version_id in ("v7", "nonsense", 'v1" or "'):
        with pytest.raises(grpc.RpcError) as caught:
            await index(rank.stub, [design("d1")], version_id=version_id)
        error = from_rpc_error(caught.value)
        assert (error.code.name, error.reason, error.fields[0].field) == (
            "NOT_FOUND",
            "VERSION_NOT_FOUND",
            "version_id",
        )


async def test_a_dead_neighbour_fails_designs_for_now_and_not_the_stream(open_rank: Any, beside: Any) -> None:
    async with embed_server(beside.doubles) as embed:
        port = embed.port
        async with open_rank(embed_address=embed.address) as rank:
            await index(rank.stub, [design("d1")])
            await embed.drain()
            answers = await index(rank.stub, [design(f"d{n}") for n in range(1, 4)])
            for answer in answers:
                assert (answer.state, answer.error.reason) == (FAILED, "EMBED_SERVICE_UNAVAILABLE")
                assert answer.error.code == grpc.StatusCode.UNAVAILABLE.value[0]
                assert answer.error.retry_delay_ms > 0
            async with embed_server(beside.doubles, port):
                await asyncio.wait_for(
                    rank.stub.ListCatalogueVersions(pb.ListCatalogueVersionsRequest(), timeout=20), 20
                )
                states: list[int] = []
                while UNCHANGED not in states:  # the channel needs a moment to connect again
                    states = [one.state for one in await index(rank.stub, [design("d1"), design("d2")])]
                assert states[0] == UNCHANGED


async def test_a_cancelled_stream_stops_its_work(rank: Any) -> None:
    await index(rank.stub, [design("d0")])
    rank.doubles.close()
    call = rank.stub.IndexDesigns(timeout=30)
    await call.write(pb.IndexDesignsRequest(design=design("d1")))
    await rank.doubles.waiting.wait()
    call.cancel()
    await rank.doubles.cancelled.wait()
    rank.doubles.open()
    listed = await rank.stub.ListDesigns(pb.ListDesignsRequest(), timeout=20)
    assert [one.design_id for one in listed.designs] == ["d0"]
