"""Artists: each is a distribution over designs, photo style and wording, and stays recognisable over many
works.

Artists belong to schools and share much with them: what is in fashion there, the tables on which they
photograph, the phrases with which they close. Neither photo nor words suffice alone, and a background gives a
school away but no artist. Numbers of works follow a power law, as on a market place (paper A: 50 to 4,367
works, 116 on average).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nails.vocabulary import ATTRIBUTES, TERM_BY_NAME
from training.synth.anatomy import FINGERS
from training.synth.designs import (
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
from training.synth.holdout import has_held_out_word

ARTISTS = 200
MOST_ARTISTS = 10_000
SCHOOLS = 12
WORKS = (50, 4400)  # fewest and most
_TAIL = 1.76  # exponent of the power law: a mean of 116 works
_TABLES = 3  # of a school
_ALPHABET = 1_000_033  # artists are drawn from their number and this constant, whatever the run


@dataclass(frozen=True)
class Artist:
    """One artist. Weights are over names of nails.vocabulary; `surface` is the usual background's name, with
    the seed of its look; `words` the favourite words by language and "kind:name"; `works` how many works
    there are; `signs` and `closes` how often the signature and the closing phrase are written."""

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
    surface: str
    surface_seed: int
    own_surface_share: float
    warmth: float
    brightness: float
    language: str
    words: dict[str, dict[str, str]]
    signature: str
    signs: float
    closing: str
    closes: float


@dataclass(frozen=True)
class _School:
    """What artists of a school share."""

    colours: dict[str, float]
    patterns: dict[str, float]
    shapes: dict[str, float]
    lengths: dict[str, float]
    finishes: dict[str, float]
    parts: dict[str, float]
    tables: tuple[tuple[str, int], ...]
    warmth: float
    brightness: float


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
        tables=tuple((str(rng.choice(_SURFACES)), int(rng.integers(0, 2**31))) for _ in range(_TABLES)),
        warmth=float(rng.normal(0, 0.05)),
        brightness=float(rng.normal(0, 0.1)),
    )


def _colours() -> dict[str, float]:
    return {name: 1.5 if name in NUDES else 1.0 for name in PLAIN_COLOURS}


def _mixed(own: dict[str, float], shared: dict[str, float], share: float) -> dict[str, float]:
    return {name: (1 - share) * weight + share * shared[name] for name, weight in own.items()}


_SURFACES = ("plain", "cloth", "wood", "stone", "paper", "room", "bokeh")


def _peaked(rng: np.random.Generator, weights: dict[str, float], keep: int, focus: float) -> dict[str, float]:
    """A few favourites with most of the weight, the rest as in general."""
    names = list(weights)
    p = np.array([weights[name] for name in names])
    p = p / p.sum()
    chosen = rng.choice(len(names), min(keep, len(names)), replace=False, p=p)
    own = np.zeros(len(names))
    own[chosen] = rng.dirichlet(np.full(len(chosen), 1.2))
    return {name: float(v) for name, v in zip(names, focus * own + (1 - focus) * p, strict=True)}


_SIGNATURES = {
    "en": ("by {n}", "~ {n} ~", "{n} nail studio", "made at {n}", "{n} gel art", "hand painted, {n}"),
    "ja": ("{n}のネイル", "{n}ネイルサロン", "{n}にて施術", "手描き {n}", "作:{n}", "{n}工房"),
}
_CLOSINGS = {
    "en": (
        "Made to order.",
        "Ships in two days.",
        "Ask me about sizes.",
        "Thank you for looking!",
        "Hand painted gel.",
        "Reusable press-ons.",
        "Cured under a lamp, lasts three weeks.",
        "One of a kind.",
        "DM for bookings.",
        "",
    ),
    "ja": (
        "オーダー承ります。",
        "サイズはご相談ください。",
        "二日以内に発送します。",
        "ご覧いただきありがとうございます。",
        "ジェルで手描きしました。",
        "繰り返し使えるチップです。",
        "持ちがよいデザインです。",
        "一点ものです。",
        "ご予約お待ちしています。",
        "",
    ),
}
# Studios share first names: a name alone is no signature.
_NAMES = ("Mira", "Noelle", "Saki", "Luna", "Vera", "Tori", "Haru", "Yuna", "Bea", "Coco", "Dana", "Lina")
_KANA = (
    "みらの",
    "さくや",
    "ゆきの",
    "はなえ",
    "るな",
    "こはる",
    "りりあ",
    "つむぎ",
    "あおい",
    "ひまり",
    "ことね",
    "すず",
)


@cache
def _free_words(kind: str, name: str, lang: str) -> tuple[str, ...]:
    term = TERM_BY_NAME[kind][name]
    return tuple(word for word in (term.en if lang == "en" else term.ja) if not has_held_out_word(word))


@lru_cache(maxsize=MOST_ARTISTS)
def artist(number: int) -> Artist:
    """The artist of a number: always the same."""
    rng = np.random.default_rng([_ALPHABET, number])
    number_of_school = int(rng.integers(0, SCHOOLS))
    school = _school(number_of_school)
    shared = float(rng.uniform(0.3, 0.65))
    language = "ja" if rng.random() < 0.5 else "en"
    words: dict[str, dict[str, str]] = {"en": {}, "ja": {}}
    for kind, terms in ATTRIBUTES.items():
        for term in terms:
            for lang in ("en", "ja"):
                free = _free_words(kind, term.name, lang)
                if free and not (lang == "ja" and kind in ("shape", "length")):
                    words[lang][f"{kind}:{term.name}"] = free[int(rng.integers(0, len(free)))]
    name = str(rng.choice(_NAMES if language == "en" else _KANA))
    surface, surface_seed = school.tables[int(rng.integers(0, _TABLES))]
    low, high = WORKS
    return Artist(
        id=f"artist-{number:04d}",
        school=number_of_school,
        works=int(min(low * (1 - rng.random()) ** (-1 / _TAIL), high)),
        colours=_mixed(_peaked(rng, _colours(), int(rng.integers(3, 8)), 0.85), school.colours, shared),
        patterns=_mixed(_peaked(rng, PATTERNS, int(rng.integers(2, 6)), 0.85), school.patterns, shared),
        shapes=_mixed(_peaked(rng, SHAPES, int(rng.integers(1, 3)), 0.85), school.shapes, shared),
        lengths=_mixed(_peaked(rng, LENGTHS, int(rng.integers(1, 3)), 0.85), school.lengths, shared),
        finishes=_mixed(_peaked(rng, FINISHES, int(rng.integers(1, 4)), 0.85), school.finishes, shared),
        parts=_mixed(_peaked(rng, PARTS, int(rng.integers(1, 4)), 0.9), school.parts, shared),
        part_share=float(rng.beta(1, 2)),
        accent_share=float(rng.uniform(0.1, 0.8)),
        tone=int(rng.choice(10, p=[0.15, 0.15, 0.14, 0.13, 0.13, 0.08, 0.07, 0.06, 0.05, 0.04])),
        surface=surface,
        surface_seed=surface_seed,
        own_surface_share=float(rng.uniform(0.35, 0.8)),
        warmth=school.warmth + float(rng.normal(0, 0.04)),
        brightness=school.brightness + float(rng.normal(0, 0.1)),
        language=language,
        words=words,
        signature=str(rng.choice(_SIGNATURES[language])).format(n=name),
        signs=float(rng.beta(1.2, 2.2)),
        closing=str(rng.choice(_CLOSINGS[language])),
        closes=float(rng.uniform(0.2, 0.8)),
    )


def artist_of(number: int, artists: int = ARTISTS) -> Artist:
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


def farewell(rng: np.random.Generator, who: Artist) -> tuple[str, ...]:
    """What an artist adds to a description: signature, closing phrase, both or nothing."""
    said = (
        who.signature if rng.random() < who.signs else "",
        who.closing if rng.random() < who.closes else "",
    )
    return tuple(text for text in said if text)


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
