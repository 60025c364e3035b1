"""SearchDesigns with aesthetic scores: what they move, what they may not; they never fail a search."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from nails.aesthetic.rerank import RELEVANT, ScoreMap
from nails.aesthetic.tokens import Packing
from services.kit.errors import Internal, ResourceExhausted, Unavailable
from services.kit.inference.fake import FakeBackend
from services.rank.catalogue.milvus import CollectionMissing
from services.rank.catalogue.store import Store
from services.rank.catalogue.view import View
from tests.rank_aesthetic_model import MIDDLE, WIDTH, aesthetic_model
from tests.rank_catalogue import assert_adds_up, ids, search
from tests.rank_doubles import design, direction, index, photo, tag_vector

NAN, INF = float("nan"), float("inf")


def aesthetic_terms(response: pb.SearchDesignsResponse) -> dict[str, pb.ScoreTerm]:
    """The aesthetic terms by design."""
    return {
        hit.design.design_id: term
        for hit in response.hits
        for term in hit.terms
        if term.channel == "aesthetic"
    }


async def fill(rank: Any, scores: dict[str, float], title: str = "red nails", **fields: Any) -> None:
    """Designs that fit a request for red nails alike, of these aesthetic scores."""
    designs = [design(name, title=title, **fields) for name in scores]
    rank.doubles.aesthetic_scores |= {
        one.photo.data: value for one, value in zip(designs, scores.values(), strict=True)
    }
    answers = await index(rank.stub, designs)
    assert {answer.state for answer in answers} == {pb.INDEX_STATE_INDEXED}


async def test_among_designs_that_fit_the_beautiful_one_comes_first(scoring: Any) -> None:
    await fill(scoring, {"a": 3.0, "b": 8.0, "c": 5.0})
    plain = await search(scoring, text="red nails", aesthetic_weight=0.0)
    assert not aesthetic_terms(plain)
    response = await search(scoring, text="red nails", aesthetic_weight=0.5)
    assert ids(response) == ["b", "c", "a"]
    assert_adds_up(response)
    terms = aesthetic_terms(response)
    for name, score in (("a", 3.0), ("b", 8.0), ("c", 5.0)):
        assert terms[name].raw == pytest.approx(score, abs=0.05)
        assert terms[name].normalised == pytest.approx(ScoreMap(MIDDLE, WIDTH)(score), abs=0.01)
        assert (terms[name].weight, terms[name].note) == (0.5, "")
    assert "aesthetic" not in response.unavailable_channels
    assert {"double", "aesthetic"} == {model.name for model in response.info.models}
    assert {"tokens", "aesthetic"} <= {timing.stage for timing in response.info.timings}


async def test_no_weight_leaves_every_score_as_it_is(open_scoring: Any, open_rank: Any) -> None:
    async with open_scoring() as scoring:
        await fill(scoring, {"a": 3.0, "b": 8.0, "c": 5.0}, tags=["party"])
        off = await search(scoring, text="red party nails", aesthetic_weight=0.0)
    async with open_rank() as without:
        never = await search(without, text="red party nails")
    assert off.hits == never.hits


async def test_a_weight_of_the_server_counts_where_the_request_names_none(open_scoring: Any) -> None:
    async with open_scoring(aesthetic_weight=0.25) as rank:
        await fill(rank, {"a": 3.0, "b": 8.0})
        assert aesthetic_terms(await search(rank, text="red nails"))["a"].weight == 0.25
        assert not aesthetic_terms(await search(rank, text="red nails", aesthetic_weight=0.0))
        assert (
            aesthetic_terms(await search(rank, text="red nails", aesthetic_weight=0.125))["a"].weight == 0.125
        )


async def test_a_high_score_that_does_not_fit_never_passes_a_design_that_does(scoring: Any) -> None:
    await fill(scoring, {"fits": 1.0, "fits-too": 1.0}, title="red almond nails with gold glitter")
    await fill(scoring, {"beautiful": 10.0}, title="blue square toes")
    for weight in (0.05, 0.2, 0.5):
        response = await search(scoring, text="red almond nails with gold glitter", aesthetic_weight=weight)
        assert ids(response)[-1] == "beautiful"
        relevance = {
            hit.design.design_id: sum(t.contribution for t in hit.terms[:-1]) for hit in response.hits
        }
        assert relevance["beautiful"] < RELEVANT * max(relevance.values())
        term = aesthetic_terms(response)["beautiful"]
        assert (term.raw, term.contribution) == (0.0, 0.0)
        assert "less than half as relevant" in term.note
        assert_adds_up(response)


async def test_a_hit_says_that_its_score_moved_it(scoring: Any) -> None:
    await fill(scoring, {"a": 9.0, "b": 2.0, "c": 5.0})
    plain = ids(await search(scoring, text="red nails", aesthetic_weight=0.0))
    response = await search(scoring, text="red nails", aesthetic_weight=0.5)
    for rank, hit in enumerate(response.hits):
        moved = plain.index(hit.design.design_id) - rank
        way = f"{'up' if moved > 0 else 'down'} {abs(moved)} place"
        assert (way in hit.explanation) == bool(moved)
    assert "photo rated" in " ".join(hit.explanation for hit in response.hits)


async def test_a_photo_is_scored_for_what_the_request_is_about(scoring: Any) -> None:
    """The double of the model likes photos that are like their tags."""
    alike = {
        word: max(
            range(400),
            key=lambda n: float(np.dot(tag_vector(word), direction(photo((200, 120, 140), f"d{n}"), 24))),
        )
        for word in ("wedding", "marble")
    }
    await fill(scoring, {f"d{n}": 4.0 for n in alike.values()}, title="nails")

    async def scores(**fields: Any) -> dict[str, float]:
        response = await search(scoring, aesthetic_weight=0.5, **fields)
        return {name: term.raw for name, term in aesthetic_terms(response).items()}

    wedding, marble = (f"d{alike[word]}" for word in ("wedding", "marble"))
    about_wedding = await scores(text="nails for a wedding")
    about_marble = await scores(text="nails in marble, no wedding")
    assert about_wedding[wedding] > about_marble[wedding]
    assert about_marble[marble] > about_wedding[marble]
    assert await scores(text="nails for a wedding", aesthetic_tags=["marble"]) == about_marble
    # A name of the vocabulary, and a word that nobody knows.
    assert (await scores(text="nails", aesthetic_tags=["wedding"]))[wedding] == about_wedding[wedding]
    assert await scores(text="nails", aesthetic_tags=["xyzzy"])


async def test_designs_without_words_or_theme_are_scored_as_nothing_in_particular(scoring: Any) -> None:
    await fill(scoring, {"a": 3.0, "b": 8.0})
    response = await search(scoring, reference_photo=design("b").photo, aesthetic_weight=0.5)
    assert aesthetic_terms(response)["b"].raw == pytest.approx(8.0, abs=0.05)
    assert scoring.doubles.calls["texts"] == 0


async def test_only_the_head_is_scored_and_stays_the_head(open_scoring: Any) -> None:
    async with open_scoring(aesthetic_head=3) as rank:
        await fill(rank, {f"d{n}": 1.0 + n for n in range(8)})
        plain = ids(await search(rank, text="red nails", aesthetic_weight=0.0))
        response = await search(rank, text="red nails", aesthetic_weight=0.5)
        assert set(ids(response)[:3]) == set(plain[:3])
        assert ids(response)[3:] == plain[3:]
        notes = {name: term.note for name, term in aesthetic_terms(response).items()}
        assert all(notes[name] == "" for name in plain[:3])
        assert all("beyond" in notes[name] for name in plain[3:])
        assert_adds_up(response)


async def test_pages_are_one_list_cut_in_pieces(scoring: Any) -> None:
    await fill(scoring, {f"d{n:02}": 1 + (7 * n) % 9 for n in range(23)})
    request = pb.SearchDesignsRequest(text="red nails", page_size=100, aesthetic_weight=0.3)
    whole = await scoring.stub.SearchDesigns(request, timeout=30)
    request.page_size, pieces = 5, []
    while True:
        page = await scoring.stub.SearchDesigns(request, timeout=30)
        pieces += list(page.hits)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert pieces == list(whole.hits)


async def test_later_pages_weigh_aesthetics_as_the_first_one_did(open_scoring: Any) -> None:
    """Also by a server whose default and head are others, and by one that cannot score."""
    request = pb.SearchDesignsRequest(text="red nails", page_size=4)
    async with open_scoring(aesthetic_weight=0.3, aesthetic_head=6) as rank:
        await fill(rank, {f"d{n}": 1.0 + n for n in range(9)})
        whole = await search(rank, text="red nails", page_size=100)
        first = await rank.stub.SearchDesigns(request, timeout=30)
    request.page_token = first.next_page_token
    async with open_scoring(aesthetic_weight=0.0, aesthetic_head=2) as rank:
        second = await rank.stub.SearchDesigns(request, timeout=30)
    assert list(first.hits) + list(second.hits) == list(whole.hits)[:8]
    async with open_scoring(aesthetic_model("aesthetic-b"), aesthetic_weight=0.3) as rank:
        exchanged = await rank.stub.SearchDesigns(request, timeout=30)
        assert "was exchanged after the first page" in exchanged.unavailable_channels["aesthetic"]
        assert "may repeat" in exchanged.unavailable_channels["aesthetic"]
        assert len(exchanged.hits) == 4
    async with open_scoring(aesthetic_model(middle="5.1"), aesthetic_weight=0.3) as rank:  # weights alike
        exchanged = await rank.stub.SearchDesigns(request, timeout=30)
        assert "was exchanged after the first page" in exchanged.unavailable_channels["aesthetic"]
    # A first page without aesthetic scores is followed by pages without aesthetic scores.
    plain = pb.SearchDesignsRequest(text="red nails", page_size=4)
    async with open_scoring(None, aesthetic_weight=0.3) as rank:
        first = await rank.stub.SearchDesigns(plain, timeout=30)
        assert first.unavailable_channels["aesthetic"] == "no model"
    plain.page_token = first.next_page_token
    async with open_scoring(aesthetic_weight=0.3) as rank:
        second = await rank.stub.SearchDesigns(plain, timeout=30)
        assert not aesthetic_terms(second)
        assert "first page" in second.unavailable_channels["aesthetic"]
        relevance = await search(rank, text="red nails", page_size=100, aesthetic_weight=0.0)
    assert list(first.hits) + list(second.hits) == list(relevance.hits)[:8]


@pytest.mark.parametrize("weight", [NAN, INF, -INF, -0.01, 0.51, 1.0, 1e30])
async def test_a_weight_out_of_range_is_refused(scoring: Any, refused: Any, weight: float) -> None:
    request = pb.SearchDesignsRequest(text="nails", aesthetic_weight=weight)
    failure = await refused(scoring.stub.SearchDesigns(request, timeout=20))
    assert failure[:3] == ("INVALID_ARGUMENT", "AESTHETIC_WEIGHT_INVALID", ["aesthetic_weight"])


@pytest.mark.parametrize(
    ("tags", "path"),
    [
        (["x"] * 9, "aesthetic_tags"),
        (["fine", ""], "aesthetic_tags[1]"),
        ([" \n"], "aesthetic_tags[0]"),
        (["a\x01b"], "aesthetic_tags[0]"),
        (["x" * 65], "aesthetic_tags[0]"),
        (["x" * 1_000_000], "aesthetic_tags[0]"),
    ],
)
async def test_bad_tags_are_refused(scoring: Any, refused: Any, tags: list[str], path: str) -> None:
    request = pb.SearchDesignsRequest(text="nails", aesthetic_tags=tags)
    failure = await refused(scoring.stub.SearchDesigns(request, timeout=20))
    assert failure[:3] == ("INVALID_ARGUMENT", "AESTHETIC_TAGS_INVALID", [path])


async def relevance_only(rank: Any, reason: str) -> None:
    """A search with aesthetic scores comes as one without, and says why."""
    plain = await search(rank, text="red nails", aesthetic_weight=0.0)
    response = await search(rank, text="red nails", aesthetic_weight=0.5)
    assert reason in response.unavailable_channels["aesthetic"]
    assert response.hits == plain.hits
    assert_adds_up(response)


async def test_a_server_without_the_model_finds_all_the_same(open_scoring: Any) -> None:
    async with open_scoring(None) as rank:
        await fill(rank, {"a": 3.0, "b": 8.0})
        await relevance_only(rank, "no model")


async def test_a_model_that_fails_or_is_full_does_not_fail_the_search(scoring: Any, gate: Any) -> None:
    await fill(scoring, {"a": 3.0, "b": 8.0})
    gate.error = lambda *_: Internal("it broke", reason="INFERENCE_FAILED")
    await relevance_only(scoring, "it broke")
    gate.error = lambda *_: ResourceExhausted("the queue is full", reason="QUEUE_FULL")
    await relevance_only(scoring, "the queue is full")
    gate.error = lambda *_: ValueError("odd")
    await relevance_only(scoring, "unexpected error")
    gate.error = None
    assert aesthetic_terms(await search(scoring, text="red nails", aesthetic_weight=0.5))


async def test_words_that_nobody_embeds_do_not_fail_the_search(open_scoring: Any) -> None:
    async with open_scoring(aesthetic_timeout_s=0.5) as rank:
        await fill(rank, {"a": 3.0, "b": 8.0, "c": 5.0})
        asked: dict[str, Any] = {"reference_design_id": "a", "aesthetic_tags": ["wedding"]}
        rank.doubles.error = Unavailable("it is down", reason="DOWN")
        response = await search(rank, **asked, aesthetic_weight=0.5)
        assert len(response.hits) == 2 and "aesthetic" in response.unavailable_channels
        rank.doubles.error = None
        rank.doubles.close()
        response = await search(rank, **asked, aesthetic_weight=0.5)
        assert len(response.hits) == 2
        assert "no answer in time" in response.unavailable_channels["aesthetic"]
        rank.doubles.open()
        assert aesthetic_terms(await search(rank, **asked, aesthetic_weight=0.5))


async def test_tokens_that_are_not_loaded_are_loaded_for_the_next_search(
    scoring: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(scoring, {"a": 3.0, "b": 8.0})
    read, load, loaded = View.read_current, Store.load, []

    async def missing(*_: Any) -> Any:
        raise CollectionMissing("the collection is not there", reason="COLLECTION_MISSING")

    async def loading(self: Store, version: Any, deadline: Any) -> None:
        loaded.append(version)
        await load(self, version, deadline)

    monkeypatch.setattr(View, "read_current", missing)
    monkeypatch.setattr(Store, "load", loading)
    await relevance_only(scoring, "the collection is not there")
    assert not loaded
    monkeypatch.setattr(View, "read_current", read)
    assert aesthetic_terms(await search(scoring, text="red nails", aesthetic_weight=0.5))
    assert len(loaded) == 1


async def test_a_model_that_gives_no_numbers_does_not_fail_the_search(
    scoring: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(scoring, {"a": 3.0, "b": 8.0})
    infer = FakeBackend.infer

    async def broken(self: Any, model: str, inputs: Any, *, deadline: Any) -> Any:
        outputs = dict(await infer(self, model, inputs, deadline=deadline))
        return outputs | {"score": np.full_like(outputs["score"], NAN)}

    monkeypatch.setattr(FakeBackend, "infer", broken)
    await relevance_only(scoring, "not finite")


async def test_a_model_that_hangs_does_not_hold_the_search_up(open_scoring: Any, gate: Any) -> None:
    async with open_scoring(aesthetic_timeout_s=0.2) as rank:
        await fill(rank, {"a": 3.0, "b": 8.0})
        gate.close()
        await relevance_only(rank, "no answer in time")
        await gate.cancelled.wait()
        gate.open()
        assert aesthetic_terms(await search(rank, text="red nails", aesthetic_weight=0.5))


async def test_a_near_deadline_leaves_time_for_the_page(open_scoring: Any, gate: Any) -> None:
    async with open_scoring(aesthetic_timeout_s=60) as rank:
        await fill(rank, {"a": 3.0, "b": 8.0})
        gate.close()
        request = pb.SearchDesignsRequest(text="red nails", aesthetic_weight=0.5)
        response = await rank.stub.SearchDesigns(request, timeout=3)
        assert "no answer in time" in response.unavailable_channels["aesthetic"]
        assert len(response.hits) == 2


async def test_a_cancelled_search_frees_the_model(scoring: Any, gate: Any) -> None:
    await fill(scoring, {"a": 3.0})
    gate.close()
    request = pb.SearchDesignsRequest(text="red nails", aesthetic_weight=0.5)
    call = scoring.stub.SearchDesigns(request, timeout=30)
    waiting = asyncio.ensure_future(call)
    await gate.waiting.wait()
    call.cancel()
    await gate.cancelled.wait()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.open()
    assert aesthetic_terms(await search(scoring, text="red nails", aesthetic_weight=0.5))


async def test_tokens_of_another_packing_or_model_are_not_scored(open_scoring: Any) -> None:
    async with open_scoring() as rank:
        await fill(rank, {"a": 3.0, "b": 8.0})
    async with open_scoring(aesthetic_model(packing=Packing(2, 16))) as rank:
        await relevance_only(rank, "of another form")
    async with open_scoring(aesthetic_model(image_align="align-z")) as rank:
        await relevance_only(rank, "another image_align")
    async with open_scoring(aesthetic_model(text_encode="text-z")) as rank:
        await relevance_only(rank, "another text_encode")
    async with open_scoring(aesthetic_model(image_align="align-a", text_encode="text-a")) as rank:
        assert aesthetic_terms(await search(rank, text="red nails", aesthetic_weight=0.5))


async def test_a_model_that_is_none_of_ours_is_left_out(open_scoring: Any) -> None:
    async with open_scoring(aesthetic_model(width="0")) as rank:
        await fill(rank, {"a": 3.0})
        await relevance_only(rank, "cannot be used")
