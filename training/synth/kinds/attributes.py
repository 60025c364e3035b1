"""Designs for attribute-specific retrieval (paper R): each attribute sampled evenly and by itself, and pairs
on the same hand that differ in one attribute alone.

Photos 2k and 2k+1 of a run show one hand in one place; the second differs from the first in exactly one
attribute. Both belong to one split and one role, so that no query meets its own twin among the candidates.
Splits are 8:1:1, val and test have one query in five (ASEN's protocol: 1:4).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nails.perception.hands import FINGERS
from nails.vocabulary import ATTRIBUTES
from training.synth.design.binding import difference
from training.synth.design.designs import FINISHES, PARTS, PLAIN_COLOURS, Design, Look
from training.synth.holdout import assign_split, pair_held_out

PAIR = 2
# The values of each attribute, in the order of the vocabulary. "none": a set without parts.
VALUES: dict[str, tuple[str, ...]] = {
    "shape": tuple(term.name for term in ATTRIBUTES["shape"]),
    "length": tuple(term.name for term in ATTRIBUTES["length"]),
    "colour": PLAIN_COLOURS,
    "finish": tuple(FINISHES),
    "pattern": tuple(term.name for term in ATTRIBUTES["pattern"]),
    "part": ("none", *PARTS),
    "arrangement": ("same", "accent", "alternating", "every"),
}
_PART_COLOURS = ("gold", "silver", "white", "black", "pink", "red", "blue")
_OWN_COLOUR = {"gold_foil": "gold", "silver_foil": "silver", "pearl": "ivory", "lace": "white"}
_COUNTS = {"floral": 3, "splatter": 3, "fruit": 2, "flame": 2, "leopard": 2}
_SMALLEST = 0.0012  # of the picture: a nail of about 20 by 20 pixels in a photo of 640
_APART = 30.0  # CIELAB distance of colours that must differ visibly on one nail


@dataclass(frozen=True)
class PairMember:
    """A design with its `values` by attribute. `like`: the design of the pair's first photo; `changed`: the
    attribute in which this one differs from it ("" for the first)."""

    design: Design
    values: dict[str, str]
    like: Design
    changed: str
    group: int
    split: str
    role: str


def make_pair_member(seed: int) -> PairMember:
    """The pair member that the image of a seed shows."""
    group, member = divmod(seed, PAIR)
    split = assign_split(group)
    rng = np.random.default_rng([group, 5])
    values = {name: str(rng.choice(options)) for name, options in VALUES.items()}
    extras = _Extras(rng, split)
    like = extras.design(values)
    role = "train"
    if split != "train":
        role = "query" if zlib.crc32(f"role:{group}".encode()) % 5 == 0 else "candidate"
    if member == 0:
        return PairMember(like, values, like, "", group, split, role)
    changed = str(rng.choice([n for n in VALUES if (n, values["arrangement"]) != ("colour", "every")]))
    others = [value for value in VALUES[changed] if value != values[changed]]
    values = {**values, changed: str(rng.choice(others))}
    return PairMember(extras.design(values), values, like, changed, group, split, role)


class _Extras:
    """What no attribute says: colours of pattern, part and accent fingers.

    The same for both of a pair, as far as they can be distinguished from the nail's own colour.
    """

    def __init__(self, rng: np.random.Generator, split: str) -> None:
        self._split = split
        self._colours = [str(name) for name in rng.permutation(PLAIN_COLOURS)]
        self._part_colours = [str(name) for name in rng.permutation(_PART_COLOURS)]
        self._fingers = [("ring",), ("middle",), ("middle", "ring")][int(rng.integers(0, 3))]

    def _clear_of(self, colour: str, used: Sequence[str] = ()) -> str:
        """The first colour that is easily distinguished from others."""
        allowed = [
            name
            for name in self._colours
            if name not in used and (self._split == "test" or not pair_held_out(name, colour))
        ]
        return next(
            (name for name in allowed if all(difference(name, o) >= _APART for o in (colour, *used))),
            allowed[0],
        )

    def design(self, values: dict[str, str]) -> Design:
        """The design that has these values."""
        look = self._look(values["colour"], values)
        arrangement = values["arrangement"]
        fingers: tuple[str, ...] = ()
        looks = [look] * 5
        if arrangement in ("accent", "alternating"):
            fingers = self._fingers if arrangement == "accent" else ("index", "ring")
            other = self._look(self._clear_of(values["colour"]), values)
            looks = [other if finger in fingers else look for finger in FINGERS]
        elif arrangement == "every":
            colours: list[str] = []
            for name in (values["colour"], *self._colours):
                if len(colours) < 5 and all(difference(name, c) >= 18 for c in colours):
                    colours.append(name)
            looks = [self._look(name, values) for name in colours]
        return Design(values["shape"], values["length"], tuple(looks), fingers, "", arrangement)

    def _look(self, colour: str, values: dict[str, str]) -> Look:
        look = Look(colour, values["finish"], values["pattern"])
        if look.pattern != "plain":
            accents: list[str] = []
            for _ in range(_COUNTS.get(look.pattern, 1)):
                accents.append(self._clear_of(colour, accents))
            look = replace(look, accents=tuple(accents))
        if values["part"] == "none":
            return look
        free = [name for name in self._part_colours if difference(name, colour) >= _APART]
        part_colour = _OWN_COLOUR.get(values["part"], (free or self._part_colours)[0])
        return replace(look, part=values["part"], part_colour=part_colour)


def facts(subject: PairMember, record: dict[str, Any]) -> dict[str, Any]:
    """The record's part: `values` that the photo can be asked for, `role`, and `pair` (group, attribute that
    differs).

    An attribute that the nails in view do not show is left out: the colour where every nail has another or no
    nail of the main colour is seen, the arrangement where fewer than three fingers or only one of its two
    looks is seen, pattern and part where the largest nail is too small for them.
    """
    values = dict(subject.values)
    nails = record["nails"]
    width, height = record["size"]
    fingers = {nail["finger"] for nail in nails}
    largest = max((nail["area"] for nail in nails), default=0)
    if largest < _SMALLEST * width * height:
        values.pop("pattern")
        values.pop("part")
    plain = {finger for finger in fingers if finger not in subject.design.accent_fingers}
    arrangement = values["arrangement"]
    if arrangement == "every" or not plain:
        values.pop("colour")
    one_look = arrangement in ("accent", "alternating") and (not plain or plain == fingers)
    if len(fingers) < 3 or one_look:
        values.pop("arrangement")
    if not nails:
        values.clear()
    return {
        "split": subject.split,
        "role": subject.role,
        "values": values,
        "pair": {"group": subject.group, "changed": subject.changed},
    }


def lists(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The files of ASEN's form by name: `train.txt`, `query_val.txt`, `candidate_val.txt`, ... with rows `id
    attribute value` (indices into `attributes.json`), and `pairs.txt` with rows `id id attribute`."""
    names = list(VALUES)
    rows: dict[str, list[str]] = {
        name: [] for name in ("train", "query_val", "candidate_val", "query_test", "candidate_test", "pairs")
    }
    first: dict[int, dict[str, Any]] = {}
    for record in records:
        split, role, pair = record["split"], record["role"], record["pair"]
        own = rows["train" if split == "train" else f"{role}_{split}"]
        for name, value in record["values"].items():
            own.append(f"{record['id']} {names.index(name)} {VALUES[name].index(value)}")
        if not pair["changed"]:
            first[pair["group"]] = record
            continue
        twin, changed = first.get(pair["group"]), pair["changed"]
        if twin is not None and changed in twin["values"] and changed in record["values"]:
            rows["pairs"].append(f"{twin['id']} {record['id']} {names.index(changed)}")
    files = {f"{name}.txt": "".join(f"{row}\n" for row in own) for name, own in rows.items()}
    files["attributes.json"] = (
        json.dumps({name: list(options) for name, options in VALUES.items()}, indent=1) + "\n"
    )
    return files
