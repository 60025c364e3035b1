"""Artists: each is a distribution over designs, photo style and wording, and stays recognisable over many
works."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from nails.vocabulary import ATTRIBUTES
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

ARTISTS = 60
_ALPHABET = 1_000_003  # artists are drawn from their number and this constant, whatever the run


@dataclass(frozen=True)
class Artist:
    """One artist. Weights are over names of nails.vocabulary; `surface` is the usual background's name,
    with the
    seed of its look; `words` the favourite words by language and "kind:name"; `works` how many works there
    are."""

    id: str
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
    closing: str


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
_SYLLABLES = ("mi", "ra", "no", "el", "sa", "ki", "lu", "na", "ve", "to", "ri", "ha", "yu", "be", "co", "da")
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


@lru_cache(maxsize=4096)
def artist(number: int) -> Artist:
    """The artist of a number: always the same."""
    rng = np.random.default_rng([_ALPHABET, number])
    colours = dict.fromkeys(PLAIN_COLOURS, 1.0)
    for name in NUDES:
        colours[name] = 1.5
    language = "ja" if rng.random() < 0.5 else "en"
    words: dict[str, dict[str, str]] = {"en": {}, "ja": {}}
    for kind, terms in ATTRIBUTES.items():
        for term in terms:
            for lang, own in (("en", term.en), ("ja", term.ja)):
                free = [word for word in own if not has_held_out_word(word)]
                if free and not (lang == "ja" and kind in ("shape", "length")):
                    words[lang][f"{kind}:{term.name}"] = free[int(rng.integers(0, len(free)))]
    name = "".join(rng.choice(_SYLLABLES, 3)) if language == "en" else str(rng.choice(_KANA))
    surface = str(rng.choice(["plain", "cloth", "wood", "stone", "paper", "room", "bokeh"]))
    return Artist(
        id=f"artist-{number:03d}",
        works=int(np.exp(rng.uniform(np.log(20), np.log(200)))),
        colours=_peaked(rng, colours, int(rng.integers(3, 8)), 0.85),
        patterns=_peaked(rng, PATTERNS, int(rng.integers(2, 6)), 0.85),
        shapes=_peaked(rng, SHAPES, int(rng.integers(1, 3)), 0.85),
        lengths=_peaked(rng, LENGTHS, int(rng.integers(1, 3)), 0.85),
        finishes=_peaked(rng, FINISHES, int(rng.integers(1, 4)), 0.85),
        parts=_peaked(rng, PARTS, int(rng.integers(1, 4)), 0.9),
        part_share=float(rng.beta(1, 2)),
        accent_share=float(rng.uniform(0.1, 0.8)),
        tone=int(rng.choice(10, p=[0.15, 0.15, 0.14, 0.13, 0.13, 0.08, 0.07, 0.06, 0.05, 0.04])),
        surface=surface,
        surface_seed=int(rng.integers(0, 2**31)),
        own_surface_share=float(rng.uniform(0.35, 0.8)),
        warmth=float(rng.normal(0, 0.07)),
        brightness=float(rng.normal(0, 0.15)),
        language=language,
        words=words,
        signature=str(rng.choice(_SIGNATURES[language])).format(n=name),
        closing=str(rng.choice(_CLOSINGS[language])),
    )


def artist_of(number: int, artists: int = ARTISTS) -> Artist:
    """Whose work the photo `number` of a run is: artists appear as often as they have works."""
    works = np.array([artist(i).works for i in range(artists)], float)
    turn = np.random.default_rng([_ALPHABET, 7, number]).random()
    return artist(int(np.searchsorted(np.cumsum(works) / works.sum(), turn)))


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
