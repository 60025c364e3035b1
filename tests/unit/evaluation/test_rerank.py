"""Labels and figures of reranking by the aesthetic score: by hand, and from made-up hits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.aesthetic.rated import RatedError
from evaluation.aesthetic.rerank_labels import Labels, Pool, gains, grades, ndcg, percentiles, read_pool
from evaluation.aesthetic.rerank_weights import (
    ServedRanking,
    WeightFigures,
    agrees,
    choose,
    compare_weights,
    measure_weight,
    order_ids,
    read_terms,
    terms_json,
)
from tests.rated_pool import rated_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rated_folder(tmp_path_factory.mktemp("rated"))


@pytest.fixture(scope="module")
def pool(folder: Path) -> Pool:
    return read_pool(folder, "val", each=3)


@pytest.fixture(scope="module")
def labels(pool: Pool) -> Labels:
    return Labels(pool)


def numbers(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def cut(value: float) -> float:
    return round(value * 2**20) / 2**20


def test_a_pool_has_the_photos_of_its_split_and_texts_chosen_the_same_every_time(
    folder: Path, pool: Pool
) -> None:
    assert [photo.split for photo in pool.photos] == ["val"] * 24
    assert len(pool.requests) == 72
    assert {request.level for request in pool.requests} == {"dense", "plain", "tags"}
    once, again = (read_pool(folder, "val", levels=("dense", "plain")) for _ in range(2))
    assert once.requests == again.requests
    assert [request.own for request in once.requests] == list(range(24))
    assert {request.level for request in once.requests} == {"dense", "plain"}
    assert len(read_pool(folder, "test", limit=3).requests) == 3


def test_grades_go_by_the_share_of_the_request_that_is_met(pool: Pool, labels: Labels) -> None:
    for row, request in enumerate(pool.requests):
        own = pool.attributes[request.own]
        for attributes, grade in zip(pool.attributes, labels.grades[row], strict=True):
            colour, shape = (attributes[name] == own[name] for name in ("colour", "shape"))
            if request.level == "dense":
                assert grade == {2: 3, 1: 1, 0: 0}[int(colour) + int(shape)]
            elif request.level == "plain":
                assert grade == (3 if colour else 0)
            else:  # what is refused counts only where a design has it, and then as not met
                assert grade == (3 if colour else 0)
        assert labels.grades[row, request.own] == 3


def test_what_is_refused_and_there_is_not_met(pool: Pool) -> None:
    own = pool.requests[0]
    colour = pool.attributes[own.own]["colour"]
    claims = (("set", "shape", "oval"), ("not", "colour", colour))
    graded = Labels(replace(pool, requests=(replace(own, claims=claims),))).grades[0]
    for attributes, grade in zip(pool.attributes, graded, strict=True):
        share = (attributes["shape"] == "oval") / (1 + (attributes["colour"] == colour))
        assert grade == (3 if share == 1 else 1 if share == 0.5 else 0)


def test_requests_that_one_photo_alone_meets_are_counted(pool: Pool) -> None:
    own = pool.requests[0]
    only = tuple((*claim[:2], "own") for claim in own.claims[:1])
    attributes = [dict(one) for one in pool.attributes]
    attributes[own.own][only[0][1]] = "own"
    changed = replace(pool, attributes=tuple(attributes), requests=(replace(own, claims=only), own))
    assert own.claims[0][0] == "main"
    assert Labels(changed).alone == 1


def test_limits_of_grades() -> None:
    assert grades(numbers(1, 0.99, 0.75, 0.74, 0.5, 0.49, 0)).tolist() == [3, 2, 2, 1, 1, 0, 0]


def test_the_best_scored_of_a_grade_gains_no_more_than_the_worst_of_the_next() -> None:
    assert gains(np.array([0, 1, 1, 2]), numbers(1, 0, 1, 0)).tolist() == [0, 1, 3, 3]


def test_percentiles_share_what_is_equal() -> None:
    assert percentiles(numbers(5, 3, 5, 9)).tolist() == [0.5, 0.125, 0.5, 0.875]


def test_ndcg_by_hand() -> None:
    own = numbers(0, 3, 1, 7)
    ideal = 7 + 3 / np.log2(3) + 1 / 2
    assert ndcg([3, 1, 2, 0], own) == pytest.approx(1)
    assert ndcg([0, 3], own) == pytest.approx((7 / np.log2(3)) / ideal)
    assert ndcg([], own) == 0
    assert ndcg([2, 3], own, depth=1) == pytest.approx(1 / 7)
    assert ndcg([0], numbers(0, 0)) == 1


def asked(pool: Pool, labels: Labels, place: int, noise: float, seed: int) -> ServedRanking:
    """Hits whose relevance follows the grade, whose aesthetic score follows the votes."""
    rng = np.random.default_rng([seed, place])
    graded = labels.grades[place]
    relevance = np.clip(0.62 + 0.06 * graded + rng.normal(0, 0.02, len(graded)), 0, 1)
    aesthetic = np.clip(pool.aesthetic + rng.normal(0, noise, len(graded)), 0, 1)
    order = np.argsort(-relevance)
    return ServedRanking(
        pool.requests[place].id,
        tuple(pool.photos[one].id for one in order),
        tuple(cut(relevance[one]) for one in order),
        tuple(float(aesthetic[one]) if rng.random() < 0.9 else None for one in order),
    )


@pytest.fixture(scope="module")
def rankings(pool: Pool, labels: Labels) -> list[ServedRanking]:
    return [asked(pool, labels, place, 0.5, 5) for place in range(len(pool.requests))]


def test_without_weight_the_order_is_that_of_relevance(rankings: list[ServedRanking]) -> None:
    assert all(order_ids(one, 0.0) == list(one.ids) for one in rankings)


def test_a_served_order_agrees_up_to_equals(rankings: list[ServedRanking]) -> None:
    one = rankings[0]
    first = order_ids(one, 0.05)[:10]
    assert agrees(one, 0.05, first)
    assert not agrees(one, 0.05, first[::-1])
    assert not agrees(one, 0.05, [*first[:9], "nobody"])
    close = ServedRanking("r", ("a", "b", "c"), (0.5, 0.5 - 2**-20, 0.4), (None, None, None))
    assert agrees(close, 0.0, ["b", "a", "c"])
    assert not agrees(close, 0.0, ["a", "c", "b"])


def test_reranking_lifts_ndcg_and_peoples_votes_lift_it_more(
    labels: Labels, rankings: list[ServedRanking]
) -> None:
    off, some = (measure_weight(labels, rankings, weight) for weight in (0.0, 0.05))
    best = measure_weight(labels, rankings, 0.05, people=True)
    assert off.ndcg_at_10 < some.ndcg_at_10 < best.ndcg_at_10
    assert off.aesthetic < some.aesthetic
    assert compare_weights(some, off)["nDCG@10"].low > 0
    assert measure_weight(labels, rankings, 0.0, people=True).ndcg_at_10 == off.ndcg_at_10


def test_figures_by_hand(pool: Pool, labels: Labels) -> None:
    request = pool.requests[0]
    own = pool.photos[request.own].id
    others = [photo.id for photo in pool.photos if photo.id != own][:11]
    found = ServedRanking(request.id, (*others[:10], own), (0.9,) * 10 + (0.5,), (0.5,) * 11)
    assert measure_weight(labels, [found], 0.0).hit_at_10 == 0
    assert measure_weight(labels, [found], 0.0).mrr == pytest.approx(1 / 11)
    first = ServedRanking(request.id, (own,), (0.9,), (None,))
    line = measure_weight(labels, [first], 0.2)
    assert (line.hit_at_10, line.mrr, line.grade) == (1, 1, 3)
    assert line.aesthetic == pool.aesthetic[request.own]
    missing = measure_weight(labels, [ServedRanking(request.id, (), (), ())], 0.2)
    assert (missing.hit_at_10, missing.mrr, missing.ndcg_at_10) == (0, 0, 0)


def test_the_default_gains_most_among_those_that_cost_little() -> None:
    def line(weight: float, hits: int, ndcg: float) -> WeightFigures:
        hit = np.zeros(1000)
        hit[:hits] = 1
        return WeightFigures(weight, False, hit, np.full(1000, ndcg), 0.5, 2.0, 0.5)

    lines = [line(0, 900, 0.5), line(0.02, 899, 0.6), line(0.05, 896, 0.7), line(0.1, 895, 0.8)]
    assert choose(lines).weight == 0.05  # 0.1 costs 0.5 points, and the limit is less than that
    assert choose([*lines, line(0.2, 910, 0.7)]).weight == 0.05  # among equals the smaller
    assert choose([line(0, 900, 0.5), line(0.02, 800, 0.9)]).weight == 0
    with pytest.raises(ValueError, match="first weight must be 0"):
        choose(lines[1:])


def test_terms_come_back_from_their_file_to_the_last_bit(
    tmp_path: Path, pool: Pool, rankings: list[ServedRanking]
) -> None:
    path = tmp_path / "terms.jsonl"
    path.write_text("".join(map(terms_json, rankings)))
    found = read_terms(path, pool)
    assert [one.relevance for one in found] == [one.relevance for one in rankings]
    for one, other in zip(found, rankings, strict=True):
        assert (one.request, one.ids) == (other.request, other.ids)
        assert [value is None for value in one.aesthetic] == [value is None for value in other.aesthetic]
        assert order_ids(one, 0.1) == order_ids(other, 0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"request": "else"}, "request: 'else' is not asked"),
        ({"ids": ["nobody"], "relevance": [0.5], "aesthetic": [None]}, "ids: 'nobody' is no photo"),
        ({"aesthetic": [0.5]}, "not of one length"),
        ({"relevance": [7.0] * 24}, r"relevance\[0\]: 7.0: Input should be less"),
        ({"ids": None}, "ids: not a list"),
    ],
)
def test_terms_that_are_not_valid_are_reported_by_line(
    tmp_path: Path, pool: Pool, rankings: list[ServedRanking], change: dict[str, object], message: str
) -> None:
    path = tmp_path / "terms.jsonl"
    fields = json.loads(terms_json(rankings[1])) | change
    path.write_text(terms_json(rankings[0]) + json.dumps(fields) + "\n")
    with pytest.raises(RatedError, match=rf"terms\.jsonl:2: .*{message}"):
        read_terms(path, pool)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"texts": 3}, "texts: not a list"),
        ({"texts": [{"lang": "en"}]}, r"texts\[0\]\.level: missing"),
        ({"attributes": []}, "attributes: not an object"),
    ],
)
def test_records_that_are_not_valid_are_reported_by_line(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    rated_folder(tmp_path / "data", photos=8)
    path = tmp_path / "data" / "index.jsonl"
    lines = path.read_text().splitlines()
    lines[3] = json.dumps(json.loads(lines[3]) | change)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(RatedError, match=rf"index\.jsonl:4: {message}"):
        read_pool(tmp_path / "data", "val")


def test_a_split_without_photos_or_requests_is_reported(folder: Path) -> None:
    with pytest.raises(RatedError, match="no photo of split train"):
        read_pool(folder, "train")
    with pytest.raises(RatedError, match="no text of split val at level abstract"):
        read_pool(folder, "val", levels=("abstract",))
