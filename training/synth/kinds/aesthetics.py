"""What people like, as numbers: harmony, neatness, light, sharpness and fit to the tag, and the votes that a
photo gets from them. Feeds the kind "aesthetics" (paper Q)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from nails.vocabulary import COLOUR_BY_NAME, TERM_BY_NAME
from training.synth.design.designs import Design, Look, sample_design, themed_look
from training.synth.design.fit import affinity
from training.synth.design.themes import THEMES
from training.synth.nail.craft import Craft


@dataclass(frozen=True)
class Tag:
    """What a tag stands for and how its images are scored.

    `kind`, `name`: a term of nails.vocabulary. `stops`: the exposure that suits it. `lively`: 0 where calm
    colours please, 1 where contrasts do. `weights` of harmony, neatness, light and sharpness; their sum is 1.
    """

    kind: str
    name: str
    stops: float = 0.0
    lively: float = 0.3
    weights: tuple[float, float, float, float] = (0.3, 0.26, 0.2, 0.24)


# How groups of tags differ from the usual: exposure, liveliness, weights.
_DARK = (-0.75, 0.4, (0.3, 0.2, 0.32, 0.18))
_CALM = (0.15, 0.0, (0.28, 0.4, 0.16, 0.16))
_LIVELY = (0.3, 1.0, (0.44, 0.18, 0.2, 0.18))
_DETAIL = (0.0, 0.4, (0.18, 0.22, 0.16, 0.44))
_MANNERS = {
    **dict.fromkeys(("halloween", "goth", "galaxy", "party", "winter", "cat_eye", "chrome"), _DARK),
    **dict.fromkeys(("office", "natural", "elegant", "wedding", "french", "plain", "matte"), _CALM),
    **dict.fromkeys(("kawaii", "tropical", "summer_festival", "birthday", "retro", "fruit"), _LIVELY),
    **dict.fromkeys(("floral", "line_art", "lattice", "leopard", "rhinestone", "lace", "glitter"), _DETAIL),
}
_STYLES = {
    "pattern": ("french", "floral", "marble", "line_art", "leopard", "check", "fruit", "plain"),
    "finish": ("matte", "glitter", "chrome", "cat_eye"),
    "part": ("rhinestone", "pearl", "bow"),
}


def _tag(kind: str, name: str) -> Tag:
    return Tag(kind, name, *_MANNERS[name]) if name in _MANNERS else Tag(kind, name)


# Twenty themes and fifteen styles. Names are unique among them.
TAGS: dict[str, Tag] = {name: _tag("theme", name) for name in THEMES} | {
    name: _tag(kind, name) for kind, names in _STYLES.items() for name in names
}
# Photos without, with one and with two tags: the shares of AVA.
_COUNTS = (0.23, 0.18, 0.59)
_FIT_WEIGHT = 0.22
# The latent score, about 0.3 to 0.9, becomes a mean opinion score with AVA's mean and spread.
_CENTRE, _MEAN, _GAIN = 0.628, 5.4, 5.3
RATERS = 202  # median


def harmony(design: Design, lively: float) -> float:
    """0 (colours that fight) to 1: the agreement of all pairs of paints in CIELAB, by weight.

    Hues agree that are close, opposite or a third of the circle apart, and whatever meets a neutral. Where
    `lively` is high, contrast of lightness and several colours please; where it is low, they disturb.
    """
    weights: dict[str, float] = {}
    for look in design.looks:
        for name in (look.colour, *look.accents, *((look.part_colour,) if look.part_colour else ())):
            weights[name] = weights.get(name, 0) + (1.0 if name == look.colour else 0.6)
    names = list(weights)
    agreement, total = 0.0, 0.0
    for first, second in combinations(names, 2):
        weight = weights[first] * weights[second]
        agreement += weight * _pair(first, second, lively)
        total += weight
    value = agreement / total if total else 0.78 - 0.35 * lively
    extra = max(0, len(names) - (4 if lively > 0.5 else 2))
    return float(np.clip(value - 0.09 * extra, 0, 1))


def _pair(first: str, second: str, lively: float) -> float:
    (l1, a1, b1), (l2, a2, b2) = COLOUR_BY_NAME[first].lab, COLOUR_BY_NAME[second].lab
    chroma = min(np.hypot(a1, b1), np.hypot(a2, b2))
    turn = abs(np.rad2deg(np.arctan2(b1, a1) - np.arctan2(b2, a2))) % 360
    turn = min(turn, 360 - turn)
    close = np.exp(-((turn / 28) ** 2))
    apart = max(np.exp(-(((turn - 180) / 26) ** 2)), 0.75 * np.exp(-(((turn - 120) / 20) ** 2)))
    hue = max((1 - 0.35 * lively) * close, (0.55 + 0.45 * lively) * apart)
    neutral = float(np.clip((26 - chroma) / 18, 0, 1))
    hue = neutral * (0.92 - 0.2 * lively) + (1 - neutral) * hue
    step = np.clip(abs(l1 - l2) / 45, 0, 1)
    contrast = lively * step + (1 - lively) * (1 - 0.6 * step)
    return float(0.72 * hue + 0.28 * contrast)


def fit(design: Design, tag: Tag) -> float:
    """0 (has nothing of the tag) to 1: how well a design is what the tag says."""
    if tag.kind == "theme":
        return float(np.clip((affinity(design, tag.name) - 0.15) / 1.05, 0, 1))
    shares = [getattr(look, tag.kind) == tag.name for look in design.looks]
    return float(min(1.0, 0.35 * any(shares) + 0.65 * np.mean(shares) / 0.6)) if any(shares) else 0.0


def light(craft: Craft, stops: float) -> float:
    """0 to 1: how well a photo is lit when `stops` is the exposure that suits it."""
    right = np.exp(-(((craft.stops - stops) / 0.85) ** 2))
    return float(right * np.exp(-((craft.warm / 0.17) ** 2)) * (1 - 0.7 * craft.haze))


@dataclass(frozen=True)
class RatedDesign:
    """A design with tags and the care it was given; `parts` are the qualities that people see, each 0-1."""

    design: Design
    craft: Craft
    tags: tuple[str, ...]
    parts: dict[str, Any]
    score: float
    votes: tuple[int, ...]


def sample_rated_design(rng: np.random.Generator, allow_held_out: bool) -> RatedDesign:
    """Sample a design for tags or despite them, how well it is painted and photographed, and its votes."""
    count = int(rng.choice(3, p=_COUNTS))
    wanted = TAGS[str(rng.choice(list(TAGS)))]
    design = _design(rng, wanted if count and rng.random() < 0.72 else None, allow_held_out)
    tags = _tags(rng, design, wanted, count)
    craft = _craft(rng, float(np.mean([tag.stops for tag in tags])) if tags else 0.0)
    parts, score = score_design(design, craft, tags)
    names = tuple(tag.name for tag in tags)
    return RatedDesign(design, craft, names, parts, score, vote(rng, score))


def score_design(design: Design, craft: Craft, tags: tuple[Tag, ...]) -> tuple[dict[str, Any], float]:
    """The qualities of a photo and its latent score in 1-10; several tags are averaged, none is scored as
    usual, without fit."""
    values = []
    seen = []
    for tag in tags or (Tag("", ""),):
        qualities = (
            harmony(design, tag.lively),
            1 - craft.mess,
            light(craft, tag.stops),
            1 - craft.blur,
        )
        value = float(np.dot(tag.weights, qualities))
        if tags:
            value = (1 - _FIT_WEIGHT) * value + _FIT_WEIGHT * fit(design, tag)
        values.append(value)
        seen.append(qualities)
    names = ("harmony", "neatness", "light", "sharpness")
    parts: dict[str, Any] = {
        name: round(float(v), 4) for name, v in zip(names, np.mean(seen, axis=0), strict=True)
    }
    parts["fit"] = {tag.name: round(fit(design, tag), 4) for tag in tags}
    score = _MEAN + _GAIN * (float(np.mean(values)) - _CENTRE)
    return parts, float(np.clip(score, 1.2, 9.8))


def vote(rng: np.random.Generator, score: float) -> tuple[int, ...]:
    """Counts of the votes 1 to 10. People differ in strictness and in what they see; some photos divide them
    more than others."""
    raters = int(np.clip(np.exp(rng.normal(np.log(RATERS), 0.3)), 78, 549))
    spread = float(rng.uniform(1.15, 1.65))
    offset = float(rng.normal(0, 0.12))  # what no quality explains
    votes = np.clip(np.rint(rng.normal(score + offset, spread, raters)), 1, 10).astype(int)
    return tuple(int(v) for v in np.bincount(votes, minlength=11)[1:])


def facts(found: RatedDesign) -> dict[str, Any]:
    """The record's part: `aesthetics` with tags, votes, mean opinion score and the latent qualities."""
    raters = sum(found.votes)
    mean = sum(value * count for value, count in enumerate(found.votes, 1)) / raters
    craft = found.craft
    return {
        "aesthetics": {
            "tags": list(found.tags),
            "words": {lang: [_word(name, lang) for name in found.tags] for lang in ("en", "ja")},
            "votes": list(found.votes),
            "raters": raters,
            "mos": round(mean, 4),
            "latent": round(found.score, 4),
            "parts": found.parts,
            "shown": {
                "mess": round(craft.mess, 4),
                "blur": round(craft.blur, 4),
                "stops": round(craft.stops, 4),
                "warm": round(craft.warm, 4),
                "haze": round(craft.haze, 4),
            },
        }
    }


def _word(name: str, lang: str) -> str:
    term = TERM_BY_NAME[TAGS[name].kind][name]
    return (term.en if lang == "en" else term.ja)[0]


def _design(rng: np.random.Generator, tag: Tag | None, allow_held_out: bool) -> Design:
    """Of several designs the one whose harmony is nearest to a number sampled evenly, so that all of it
    occurs."""
    lively = tag.lively if tag else 0.3
    target = rng.uniform(0.05, 1.0)
    choice = [_tagged(rng, sample_design(rng, 0.0, allow_held_out), tag) for _ in range(5)]
    return min(choice, key=lambda design: abs(harmony(design, lively) - target))


def _tagged(rng: np.random.Generator, design: Design, tag: Tag | None) -> Design:
    """The design changed until it shows the tag, at least in part."""
    if tag is None:
        return design
    if tag.kind == "theme":
        look = themed_look(rng, tag.name)
        fingers = design.accent_fingers if rng.random() < 0.7 else ()
        looks = tuple(
            old if finger in fingers else look
            for finger, old in zip(("thumb", "index", "middle", "ring", "pinky"), design.looks, strict=True)
        )
        arrangement = design.arrangement if fingers else "same"
        return Design(design.shape, design.length, looks, fingers, tag.name, arrangement)
    return replace(design, looks=tuple(_styled(rng, look, tag) for look in design.looks))


def _styled(rng: np.random.Generator, look: Look, tag: Tag) -> Look:
    if tag.kind == "finish":
        return replace(look, finish=tag.name)
    if tag.kind == "part":
        return replace(look, part=tag.name, part_colour={"pearl": "ivory"}.get(tag.name, "silver"))
    if look.pattern == tag.name:
        return look
    if tag.name == "plain":
        return replace(look, pattern="plain", accents=())
    others = [name for name in ("white", "black", "gold", "pink", "navy", "red") if name != look.colour]
    chosen = rng.choice(others, 3 if tag.name == "floral" else 2, replace=False)
    accents = look.accents or tuple(str(c) for c in chosen)
    return replace(look, pattern=tag.name, accents=accents)


def _tags(rng: np.random.Generator, design: Design, wanted: Tag, count: int) -> tuple[Tag, ...]:
    if count < 2:
        return (wanted,) if count else ()
    others = [tag for tag in TAGS.values() if tag.name != wanted.name]
    if rng.random() < 0.75:  # people tag what they see
        second = max(others, key=lambda tag: fit(design, tag) + rng.uniform(0, 0.3))
    else:
        second = others[int(rng.integers(0, len(others)))]
    return wanted, second


def _craft(rng: np.random.Generator, stops: float) -> Craft:
    """Who paints well also photographs well, a little."""
    skill = rng.normal(0, 1)

    def fault(spread: float, share: float) -> float:
        """0 for a share of the photos, up to 1."""
        return float(np.clip(spread * (rng.normal(0, 1) - 0.45 * skill) + share, 0, 1))

    aim = stops if rng.random() < 0.5 else 0.0  # half know what suits the tag
    return Craft(
        mess=fault(0.4, 0.28),
        blur=fault(0.3, 0.16),
        stops=float(np.clip(aim + rng.normal(0, 0.75 - 0.15 * np.clip(skill, -1, 1)), -2.2, 1.3)),
        warm=float(np.clip(rng.normal(0.01, 0.08), -0.22, 0.25)),
        haze=fault(0.3, -0.12),
    )


def lists(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """`AVA.txt` and `tags.txt` in the form of AVA's files: rows of index, id, counts of the votes 1 to 10,
    two tags (0: none) and challenge (0); and rows of number and name of a tag."""
    names = list(TAGS)
    rows = []
    for index, record in enumerate(records, 1):
        found = record["aesthetics"]
        tags = [names.index(name) + 1 for name in found["tags"]]
        row = [index, int(record["id"]), *found["votes"], *tags, *[0] * (2 - len(tags)), 0]
        rows.append(" ".join(map(str, row)) + "\n")
    tags_file = "".join(f"{number} {name}\n" for number, name in enumerate(names, 1))
    return {"AVA.txt": "".join(rows), "tags.txt": tags_file}
