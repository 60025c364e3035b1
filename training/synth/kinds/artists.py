"""Artists: each is a distribution over designs, photo style and wording, and stays recognisable over many
works.

Artists belong to schools and share much with them: what is in fashion there, words for things. What a photo
tells beyond words is an artist's own: the exact shades of her bottles, her lamp, her hands, how close she
goes. Tables are shared by all schools, so that a background gives no one away. Numbers of works follow a
power law, as on a market place (paper A: 50 to 4,367 works, 116 on average).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nails.perception.hands import FINGERS
from training.synth.design.designs import (
    FINISHES,
    LENGTHS,
    NUDES,
    PARTS,
    PATTERNS,
    PLAIN_COLOURS,
    SHAPES,
    Design,
    Look,
    accent_look,
    pick,
    random_part,
)
from training.synth.scene.layout import ARRANGEMENTS, CLOSE_FRAMINGS, Habit
from training.synth.text.artist_words import Wording, sample_wording

ARTISTS = 200
MOST_ARTISTS = 10_000
SCHOOLS = 12
WORKS = (50, 4400)  # fewest and most
_TAIL = 1.76  # exponent of the power law: a mean of 116 works
_FIRST = 0.148  # where in the power law artist 0 stands
_TABLES = 12  # on which everybody photographs
_OWN_TABLES = 3
_ALPHABET = 1_000_033  # artists are sampled from their number and this constant, whatever the run


@dataclass(frozen=True)
class Artist:
    """One artist. Weights are over names of nails.vocabulary.

    `works`: how many works there are. `tables`: names of her usual backgrounds with the seeds of their looks.
    `bottles`, `lamp`: seeds of her own shades and of her own light. The shares say how many of her photos
    show her own table, light, hand (of skin `tone`) and shades.
    """

    id: str
    school: int
    works: int
    colours: dict[str, float]
    patterns: dict[str, float]
    shapes: dict[str, float]
    lengths: dict[str, float]
    finishes: dict[str, float]
    parts: dict[str, float]
    part_share: float
    accent_share: float
    tone: int
    habit: Habit
    own_hand_share: float
    tables: tuple[tuple[str, int], ...]
    own_table_share: float
    bottles: int
    own_bottle_share: float
    lamp: int
    own_lamp_share: float
    warmth: float
    brightness: float
    wording: Wording


@dataclass(frozen=True)
class _School:
    """What artists of a school share."""

    colours: dict[str, float]
    patterns: dict[str, float]
    shapes: dict[str, float]
    lengths: dict[str, float]
    finishes: dict[str, float]
    parts: dict[str, float]


@lru_cache(maxsize=SCHOOLS)
def _school(number: int) -> _School:
    rng = np.random.default_rng([_ALPHABET, 1, number])
    return _School(
        colours=_peaked(rng, _colours(), 9, 0.85),
        patterns=_peaked(rng, PATTERNS, 6, 0.8),
        shapes=_peaked(rng, SHAPES, 3, 0.8),
        lengths=_peaked(rng, LENGTHS, 2, 0.8),
        finishes=_peaked(rng, FINISHES, 3, 0.8),
        parts=_peaked(rng, PARTS, 4, 0.8),
    )


def _colours() -> dict[str, float]:
    return {name: 1.5 if name in NUDES else 1.0 for name in PLAIN_COLOURS}


def _mixed(own: dict[str, float], shared: dict[str, float], share: float) -> dict[str, float]:
    return {name: (1 - share) * weight + share * shared[name] for name, weight in own.items()}


_SURFACES = ("plain", "cloth", "wood", "stone", "paper", "room", "bokeh")


@lru_cache(maxsize=1)
def _all_tables() -> tuple[tuple[str, int], ...]:
    rng = np.random.default_rng([_ALPHABET, 3])
    return tuple((str(rng.choice(_SURFACES)), int(rng.integers(0, 2**31))) for _ in range(_TABLES))


def _peaked(rng: np.random.Generator, weights: dict[str, float], keep: int, focus: float) -> dict[str, float]:
    """A few favourites with most of the weight, the rest as in general."""
    names = list(weights)
    p = np.array([weights[name] for name in names])
    p = p / p.sum()
    chosen = rng.choice(len(names), min(keep, len(names)), replace=False, p=p)
    own = np.zeros(len(names))
    own[chosen] = rng.dirichlet(np.full(len(chosen), 1.2))
    return {name: float(v) for name, v in zip(names, focus * own + (1 - focus) * p, strict=True)}


def _habit(rng: np.random.Generator) -> Habit:
    """How an artist frames and poses: one favourite of each, and now and then anything."""
    return Habit(
        framings=_peaked(rng, CLOSE_FRAMINGS, 1, 0.4),
        arrangements=_peaked(rng, ARRANGEMENTS, 1, 0.4),
        hand=int(rng.integers(0, 2**31)),
    )


def _works(number: int) -> int:
    """How many works an artist has. Numbers are spread evenly over the power law by the golden ratio, so that
    any run's first artists already range from few works to many: of 200, one has 2,527."""
    low, high = WORKS
    place = (_FIRST + number * (5**0.5 - 1) / 2) % 1
    return int(min(low * (1 - place) ** (-1 / _TAIL), high))


@lru_cache(maxsize=MOST_ARTISTS)
def artist(number: int) -> Artist:
    """The artist of a number: always the same."""
    rng = np.random.default_rng([_ALPHABET, number])
    number_of_school = int(rng.integers(0, SCHOOLS))
    school = _school(number_of_school)
    shared = float(rng.uniform(0.05, 0.3))
    tables = _all_tables()
    return Artist(
        id=f"artist-{number:04d}",
        school=number_of_school,
        works=_works(number),
        colours=_mixed(_peaked(rng, _colours(), int(rng.integers(2, 4)), 0.92), school.colours, shared),
        patterns=_mixed(_peaked(rng, PATTERNS, int(rng.integers(1, 4)), 0.92), school.patterns, shared),
        shapes=_mixed(_peaked(rng, SHAPES, int(rng.integers(1, 3)), 0.9), school.shapes, shared),
        lengths=_mixed(_peaked(rng, LENGTHS, int(rng.integers(1, 3)), 0.9), school.lengths, shared),
        finishes=_mixed(_peaked(rng, FINISHES, int(rng.integers(1, 3)), 0.9), school.finishes, shared),
        parts=_mixed(_peaked(rng, PARTS, int(rng.integers(1, 3)), 0.9), school.parts, shared),
        part_share=float(rng.beta(0.7, 1.2)),
        accent_share=float(rng.beta(0.8, 1.0)),
        tone=int(rng.choice(10, p=[0.15, 0.15, 0.14, 0.13, 0.13, 0.08, 0.07, 0.06, 0.05, 0.04])),
        habit=_habit(rng),
        own_hand_share=float(rng.uniform(0.75, 1.0)),
        tables=tuple(tables[i] for i in rng.choice(len(tables), _OWN_TABLES, replace=False)),
        own_table_share=float(rng.uniform(0.1, 0.3)),
        bottles=int(rng.integers(0, 2**31)),
        own_bottle_share=float(rng.uniform(0.8, 1.0)),
        lamp=int(rng.integers(0, 2**31)),
        own_lamp_share=float(rng.uniform(0.7, 1.0)),
        warmth=float(rng.normal(0, 0.04)),
        brightness=float(rng.normal(0, 0.1)),
        wording=sample_wording(rng, _ALPHABET, number_of_school),
    )


def assign_artist(number: int, artists: int = ARTISTS) -> Artist:
    """Whose work the photo `number` of a run is: artists appear as often as they have works."""
    turn = np.random.default_rng([_ALPHABET, 7, number]).random()
    return artist(int(np.searchsorted(_shares(artists), turn)))


def total_works(artists: int = ARTISTS) -> int:
    """How many photos a run needs for each artist to have about the works that are hers."""
    return sum(artist(i).works for i in range(artists))


@lru_cache(maxsize=8)
def _shares(artists: int) -> NDArray[np.float64]:
    works = np.array([artist(i).works for i in range(artists)], float)
    return np.asarray(np.cumsum(works) / works.sum())


def lists(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """`artists.json`: of each artist of the run the school, the works here, and those of a complete run."""
    counts = Counter(record["artist"] for record in records)
    found = {
        name: {"school": who.school, "works": count, "works_of_all": who.works}
        for name, count in sorted(counts.items())
        for who in (artist(int(name.removeprefix("artist-"))),)
    }
    return {"artists.json": json.dumps(found, indent=1) + "\n"}


def artist_design(rng: np.random.Generator, who: Artist) -> Design:
    """A design in an artist's manner."""
    shape, length = pick(rng, who.shapes), pick(rng, who.lengths)
    if shape == "stiletto" and length == "short":
        length = "medium"
    colour, pattern = pick(rng, who.colours), pick(rng, who.patterns)
    count = {"plain": 0, "floral": 3, "fruit": 2, "splatter": 3, "flame": 2}.get(
        pattern, int(rng.integers(1, 3))
    )
    accents: list[str] = []
    for _ in range(40):
        if len(accents) == count:
            break
        name = pick(rng, who.colours)
        if name != colour and name not in accents:
            accents.append(name)
    main = Look(colour, pick(rng, who.finishes), pattern, tuple(accents))
    looks = [main] * 5
    accent_fingers: tuple[str, ...] = ()
    arrangement = "same"
    if rng.random() < who.accent_share:
        arrangement, accent_fingers = "accent", ("ring",) if rng.random() < 0.7 else ("middle", "ring")
        other = accent_look(rng, main)
        if rng.random() < 0.6:
            other = replace(main, colour=pick(rng, who.colours), pattern=pick(rng, who.patterns))
            other = replace(other, accents=tuple(a for a in main.accents if a != other.colour) or ("white",))
            if other.pattern == "plain":
                other = replace(other, accents=())
        if rng.random() < who.part_share:
            other = random_part(rng, other, who.parts)
        looks = [other if finger in accent_fingers else main for finger in FINGERS]
    elif rng.random() < who.part_share:
        looks = [random_part(rng, main, who.parts)] * 5
    return Design(shape, length, tuple(looks), accent_fingers, "", arrangement)
