"""Artists: always the same, apart from each other, but of schools that share fashions and words."""

from __future__ import annotations

import numpy as np
import pytest

from nails.vocabulary import ATTRIBUTES
from training.synth.kinds.artists import (
    ARTISTS,
    SCHOOLS,
    WORKS,
    Artist,
    artist,
    artist_design,
    assign_artist,
    lists,
    total_works,
)
from training.synth.text.artist_words import farewell

TERMS = [term for terms in ATTRIBUTES.values() for term in terms]


def shapes(number: int) -> list[str]:
    return [artist_design(np.random.default_rng(i), artist(number)).shape for i in range(30)]


def likeness(one: Artist, other: Artist) -> float:
    """Overlap of the colours of two artists, 0-1."""
    return sum(min(weight, other.colours[name]) for name, weight in one.colours.items())


def test_an_artist_is_always_the_same_and_differs_from_others() -> None:
    before = artist(3)
    artist.cache_clear()
    assert artist(3) == before
    assert len({repr(sorted(artist(i).colours.items())) for i in range(ARTISTS)}) == ARTISTS


def test_weights_are_shares() -> None:
    for number in range(20):
        who = artist(number)
        for weights in (who.colours, who.patterns, who.shapes, who.lengths, who.finishes, who.parts):
            assert sum(weights.values()) == pytest.approx(1)
            assert min(weights.values()) >= 0


def test_numbers_of_works_follow_a_power_law_from_fifty_to_thousands() -> None:
    works = np.sort([artist(i).works for i in range(500)])[::-1]
    assert works[-1] >= WORKS[0]
    assert 600 < works[0] <= WORKS[1]
    assert 85 < works.mean() < 145  # paper A: 116
    assert np.median(works) < 90
    ranks = np.log(np.arange(1, 201))
    slope = np.polyfit(ranks, np.log(works[:200]), 1)[0]
    assert -0.75 < slope < -0.4  # Zipf-like: a straight line of works against rank


def test_artists_repeat_their_favourites() -> None:
    own = [max(shapes(n).count(s) for s in set(shapes(n))) / 30 for n in range(8)]
    assert np.mean(own) > 0.4  # sampled freely, the commonest shape has a fifth


def test_artists_of_a_school_are_more_alike_than_others_and_yet_no_copies() -> None:
    everyone = [artist(i) for i in range(120)]
    same, apart = [], []
    for i, one in enumerate(everyone):
        for other in everyone[:i]:
            (same if one.school == other.school else apart).append(likeness(one, other))
    assert np.mean(same) > np.mean(apart) + 0.05  # palettes are mostly an artist's own
    assert np.max(same) < 0.95


def test_a_table_is_shared_by_artists_of_all_schools_so_that_it_gives_no_one_away() -> None:
    owners: dict[tuple[str, int], list[Artist]] = {}
    for who in map(artist, range(ARTISTS)):
        assert len(set(who.tables)) == 3
        for table in who.tables:
            owners.setdefault(table, []).append(who)
    for sharing in owners.values():
        assert len(sharing) > 0.1 * ARTISTS
        assert len({who.school for who in sharing}) > 0.6 * SCHOOLS


def test_what_only_a_photo_tells_is_each_artists_own() -> None:
    everyone = [artist(number) for number in range(ARTISTS)]
    for own in ("bottles", "lamp"):
        assert len({getattr(who, own) for who in everyone}) == ARTISTS
    assert len({who.habit.hand for who in everyone}) == ARTISTS


def test_signatures_and_closings_are_shared_and_mostly_missing() -> None:
    wordings = [artist(i).wording for i in range(ARTISTS)]
    assert len({who.signature for who in wordings}) < 0.4 * ARTISTS
    signed = [
        who.signature in farewell(np.random.default_rng(turn), who)
        for who in wordings[:40]
        for turn in range(10)
    ]
    assert 0.15 < np.mean(signed) < 0.4


def test_artists_of_a_school_share_more_words_than_others_but_not_all() -> None:
    everyone = [artist(i) for i in range(60)]
    same, apart = [], []
    for i, one in enumerate(everyone):
        for other in everyone[:i]:
            mine, hers = one.wording.words["en"], other.wording.words["en"]
            shared = [mine[thing] == hers[thing] for thing in mine.keys() & hers.keys()]
            (same if one.school == other.school else apart).append(np.mean(shared))
    assert 0.95 > np.mean(same) > np.mean(apart) + 0.05
    assert all(len(who.wording.words["en"]) < 0.75 * len(TERMS) for who in everyone)


@pytest.mark.parametrize("artists", [1, 10])
def test_photos_of_a_run_are_shared_among_artists_by_their_works(artists: int) -> None:
    found = [assign_artist(i, artists).id for i in range(3000)]
    total = total_works(artists)
    for who in map(artist, range(artists)):
        assert found.count(who.id) / 3000 == pytest.approx(who.works / total, abs=0.03)


def test_the_list_of_artists_counts_the_works_of_the_run() -> None:
    text = lists([{"artist": "artist-0002"}, {"artist": "artist-0001"}, {"artist": "artist-0002"}])[
        "artists.json"
    ]
    assert '"artist-0002"' in text
    assert f'"works": 2,\n  "works_of_all": {artist(2).works}' in text
