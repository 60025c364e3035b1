"""Choosing weights: the scores are the product's own, and the choice finds what is there to be found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.retrieval.channel_weights import (
    CHANNELS,
    PRESENT,
    MeasuredSearch,
    MeasuredSearches,
    Scale,
    Setting,
    choose,
    only,
    out_of_fold,
    steps,
    summarise_ranks,
)
from nails.fusion import relevance, share_weights

MAPS = PRESENT.scale.maps()


def search(request: str, target: list[bool], **raw: list[float]) -> MeasuredSearch:
    ids = tuple(f"d{n:03}" for n in range(len(target)))
    measured = {channel: np.array(values) for channel, values in raw.items()}
    return MeasuredSearch(request, "text", "en", ids, measured, np.array(target, bool))


def drawn(count: int = 60, hits: int = 50) -> list[MeasuredSearch]:
    """Requests whose target the palette tells a little, the description well, and the design vector not."""
    rng = np.random.default_rng(8)
    made = []
    for number in range(count):
        target = np.arange(hits) == rng.integers(hits)
        made.append(
            MeasuredSearch(
                request=f"r{number}",
                kind="with palette" if number % 2 else "text",
                lang="en",
                ids=tuple(f"d{n:03}" for n in range(hits)),
                raw={
                    "design": rng.normal(0.4, 0.2, hits),
                    "description": np.where(target, 6.0, 3.0) + rng.normal(0, 1.5, hits),
                    "palette": np.abs(np.where(target, 8.0, 20.0) + rng.normal(0, 12, hits)),
                },
                target=target,
            )
        )
    return made


def test_ranks_are_those_that_the_services_give() -> None:
    searches = drawn(12)
    for asked, rank in zip(searches, MeasuredSearches(searches).ranks(PRESENT), strict=True):
        shares = share_weights(PRESENT.weights, [channel for channel in CHANNELS if channel in asked.raw])
        order = sorted(
            range(len(asked.ids)),
            key=lambda n, asked=asked, shares=shares: (
                -round(relevance({c: float(v[n]) for c, v in asked.raw.items()}, shares, MAPS), 6),
                asked.ids[n],
            ),
        )
        first = next(place for place, n in enumerate(order, start=1) if asked.target[n])
        assert rank == first


def test_equal_scores_go_by_the_id_and_other_targets_do_not_stand_in_the_way() -> None:
    equal = search("a", [False, True, False], design=[0.5, 0.5, 0.5])
    targets = search("b", [True, True, False, True], design=[0.1, 0.9, 0.95, 0.2])
    nothing = search("c", [False, False], design=[0.1, 0.9])
    empty = MeasuredSearch("d", "text", "en", (), {}, np.zeros(0, bool))
    assert MeasuredSearches([equal, targets, nothing, empty]).ranks(PRESENT).tolist() == [
        2,
        2,
        np.inf,
        np.inf,
    ]


def test_a_channel_without_input_leaves_its_weight_to_the_others() -> None:
    both = search("a", [True, False], design=[0.9, 0.1], palette=[60.0, 0.0])
    one = search("a", [True, False], design=[0.9, 0.1])
    heavy = Setting({"design": 0.1, "palette": 0.9}, Scale())
    assert MeasuredSearches([both, one]).ranks(heavy).tolist() == [2, 1]
    assert MeasuredSearches([both, one]).ranks(only(heavy, "design")).tolist() == [1, 1]


def test_figures_count_what_was_never_found() -> None:
    found = summarise_ranks(np.array([1.0, 4.0, np.inf, 11.0]))
    assert found.mrr == pytest.approx((1 + 0.25 + 0 + 1 / 11) / 4)
    assert found.hit == 0.5


def test_the_choice_finds_the_channels_that_tell_and_keeps_the_rest() -> None:
    searches = MeasuredSearches(drawn())
    tried = 0

    def count() -> None:
        nonlocal tried
        tried += 1

    chosen = choose(searches, on_step=count)
    assert searches.figures(chosen).mrr > searches.figures(PRESENT).mrr + 0.05
    assert chosen.weights["description"] > PRESENT.weights["description"]
    assert chosen.weights["design"] < PRESENT.weights["design"]
    assert chosen.weights["reference"] == PRESENT.weights["reference"]
    assert sum(chosen.weights[name] for name in ("design", "description", "palette")) == pytest.approx(1)
    assert 0 < tried <= steps()


def test_where_nothing_can_be_better_nothing_changes() -> None:
    perfect = [search(f"r{n}", [True, False], design=[0.9, 0.1], palette=[1.0, 50.0]) for n in range(8)]
    assert choose(MeasuredSearches(perfect)) == PRESENT


def test_what_is_reported_was_not_chosen_on_itself() -> None:
    """Where nothing tells the targets, the choice fits noise: its own half looks better than the other."""
    rng = np.random.default_rng(1)
    noise = [
        replace(one, target=np.roll(one.target, rng.integers(1, 49)), raw=dict(one.raw)) for one in drawn(60)
    ]
    searches = MeasuredSearches(noise)
    (first, second), ranks = out_of_fold(searches)
    half = searches.half()
    assert 0 < half.sum() < len(half)
    fitted = searches.subset(half).figures(first).mrr
    assert fitted > summarise_ranks(ranks[~half]).mrr
    assert ranks[half].tolist() == searches.subset(half).ranks(second).tolist()
    assert ranks[~half].tolist() == searches.subset(~half).ranks(first).tolist()


def test_all_askings_of_a_request_are_in_one_half() -> None:
    pairs = [replace(one, kind=kind) for one in drawn(20) for kind in ("text", "with palette")]
    half = MeasuredSearches(pairs).half()
    assert (half[::2] == half[1::2]).all()


def test_requests_without_any_hit_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="no request has a hit"):
        MeasuredSearches([MeasuredSearch("a", "text", "en", (), {}, np.zeros(0, bool))])
