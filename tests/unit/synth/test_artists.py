"""Artists: always the same, apart from each other, but of schools that share tables, fashions and phrases."""

from __future__ import annotations

import numpy as np
import pytest

from training.synth.artists import (
    ARTISTS,
    SCHOOLS,
    WORKS,
    Artist,
    artist,
    artist_design,
    artist_of,
    farewell,
    lists,
    total_works,
)


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
    assert np.mean(own) > 0.4  # drawn freely, the commonest shape has a fifth


def test_artists_of_a_school_are_more_alike_than_others_and_yet_no_copies() -> None:
    everyone = [artist(i) for i in range(120)]
    same, apart = [], []
    for i, one in enumerate(everyone):
        for other in everyone[:i]:
            (same if one.school == other.school else apart).append(likeness(one, other))
    assert np.mean(same) > np.mean(apart) + 0.1
    assert np.max(same) < 0.95


def test_a_table_is_shared_by_several_artists_so_that_it_gives_no_one_away() -> None:
    tables: dict[tuple[str, int], int] = {}
    for number in range(ARTISTS):
        who = artist(number)
        tables[who.surface, who.surface_seed] = tables.get((who.surface, who.surface_seed), 0) + 1
    assert len(tables) <= 3 * SCHOOLS
    assert np.mean(list(tables.values())) > 4


def test_signatures_are_shared_and_often_missing() -> None:
    signatures = [artist(i).signature for i in range(ARTISTS)]
    assert len(set(signatures)) < 0.8 * ARTISTS
    signed = [
        artist(i).signature in farewell(np.random.default_rng(turn), artist(i))
        for i in range(40)
        for turn in range(10)
    ]
    assert 0.2 < np.mean(signed) < 0.55


@pytest.mark.parametrize("artists", [1, 10])
def test_photos_of_a_run_are_shared_among_artists_by_their_works(artists: int) -> None:
    found = [artist_of(i, artists).id for i in range(3000)]
    total = total_works(artists)
    for who in map(artist, range(artists)):
        assert found.count(who.id) / 3000 == pytest.approx(who.works / total, abs=0.03)


def test_the_list_of_artists_counts_the_works_of_the_run() -> None:
    text = lists([{"artist": "artist-0002"}, {"artist": "artist-0001"}, {"artist": "artist-0002"}])[
        "artists.json"
    ]
    assert '"artist-0002"' in text
    assert f'"works": 2,\n  "works_of_all": {artist(2).works}' in text
