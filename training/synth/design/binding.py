"""Families of four designs made of the same two colours and the same words, bound in different ways: grey
nails with a glitter accent, glitter nails with a grey one, ...

Colour and composition are the largest classes of errors in retrieval (paper N); who counts words cannot tell
the four apart, who binds them can.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from nails.perception.hands import FINGERS
from nails.vocabulary import COLOUR_BY_NAME
from training.synth.design.designs import LENGTHS, PLAIN_COLOURS, SHAPES, Design, Look, pick
from training.synth.holdout import assign_split, pair_held_out

FAMILY = 4
CASES = ("pattern", "finish", "part", "finger")
_SHARE_BITS = 3  # one group of four photos in eight is a family
_PATTERNS = ("dots", "stripes", "check", "hearts", "stars", "floral", "french", "swirl", "leopard", "zigzag")
_FINISHES = ("glitter", "chrome", "matte", "cat_eye")
_PART_COLOURS = ("gold", "silver", "white", "black", "pink", "red", "blue")
_PARTS = ("rhinestone", "bow", "stud", "flower_3d", "chain")


@dataclass(frozen=True)
class FamilyMember:
    """One member (0-3) of a family."""

    design: Design
    family: str
    case: str
    member: int
    split: str


def find_family_member(seed: int) -> FamilyMember | None:
    """The design of a photo that belongs to a family, None for the others (seven in eight)."""
    group, member = divmod(seed, FAMILY)
    # By the high bits. CRC is linear: the low ones would tell something of the split, which is chosen by
    # the remainder of another CRC of the same number, and one split would get no family.
    if zlib.crc32(f"binding:{group}".encode()) >> (32 - _SHARE_BITS):
        return None
    rng = np.random.default_rng([group, 4])
    split = assign_split(group)
    case = str(rng.choice(CASES))
    pool = _PART_COLOURS if case == "part" else PLAIN_COLOURS
    first, second = distinct_colours(rng, pool, split)
    shape, length = pick(rng, SHAPES), pick(rng, LENGTHS)
    if shape == "stiletto" and length == "short":
        length = "medium"
    family = _members(rng, case, first, second)
    looks, fingers, arrangement = family[member]
    design = Design(shape, length, looks, fingers, "", arrangement)
    return FamilyMember(design, f"family-{group}", case, member, split)


def distinct_colours(
    rng: np.random.Generator, pool: tuple[str, ...], split: str, apart: float = 32
) -> tuple[str, str]:
    """Two colours that nobody confuses, and no held-out pair outside the test split."""
    for _ in range(200):
        first, second = (str(name) for name in rng.choice(pool, 2, replace=False))
        if difference(first, second) >= apart and (split == "test" or not pair_held_out(first, second)):
            break
    return first, second


def difference(first: str, second: str) -> float:
    """Distance of two named colours in CIELAB (CIE76)."""
    return float(np.linalg.norm(np.subtract(COLOUR_BY_NAME[first].lab, COLOUR_BY_NAME[second].lab)))


Member = tuple[tuple[Look, ...], tuple[str, ...], str]


def _members(rng: np.random.Generator, case: str, first: str, second: str) -> list[Member]:
    if case == "pattern":
        pattern = str(rng.choice(_PATTERNS))
        one, other = Look(first, "gloss", pattern, (second,)), Look(second, "gloss", pattern, (first,))
        return [_all(one), _all(other), _accent(Look(first), other), _accent(Look(second), one)]
    if case == "finish":
        finish = str(rng.choice(_FINISHES))
        one, other = Look(first, finish), Look(second, finish)
        return [
            _accent(Look(first), other),  # grey with a gold glitter accent
            _accent(other, Look(first)),  # gold glitter with a grey accent
            _accent(one, Look(second)),  # grey glitter with a gold accent
            _accent(Look(second), one),  # gold with a grey glitter accent
        ]
    if case == "part":
        part = str(rng.choice(_PARTS))
        one, other = Look(first), Look(second)
        on_one = replace(one, part=part, part_colour=second)
        on_other = replace(other, part=part, part_colour=first)
        return [_accent(one, on_one), _accent(other, on_other), _all(on_one), _all(on_other)]
    finger, another = (
        str(name) for name in rng.choice(["ring", "middle", "thumb", "index"], 2, replace=False)
    )
    one, other = Look(first), Look(second)
    return [
        _accent(one, other, finger),
        _accent(other, one, finger),
        _accent(one, other, another),
        _accent(other, one, another),
    ]


def _all(look: Look) -> Member:
    return (look,) * 5, (), "same"


def _accent(main: Look, accent: Look, finger: str = "ring") -> Member:
    return tuple(accent if name == finger else main for name in FINGERS), (finger,), "accent"
