"""What a sentence about a design claims, and whether another design fulfils it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

# (scope, kind, value): scope "main", "accent", "set", "finger" or "not"
Claim = tuple[str, str, str]
_COLOUR_KEYS = ("colour", "pattern_colours", "part_colour")


@dataclass
class Claims:
    """Claims in the order in which they were made."""

    items: list[Claim] = field(default_factory=list)

    def add(self, scope: str, kind: str, value: str) -> None:
        """Remember a claim once."""
        if value and (scope, kind, value) not in self.items:
            self.items.append((scope, kind, value))


def satisfies(attributes: dict[str, Any], claims: Sequence[Sequence[str]]) -> bool:
    """Whether the `attributes` of a record (training.synth.record) fulfil claims of another record's text."""
    return all(holds(attributes, scope, kind, value) for scope, kind, value in claims)


def accepted(records: Sequence[dict[str, Any]], most: int = 50) -> list[list[tuple[list[str], int]]]:
    """For each text of each record: the ids of other records of the same split that fulfil it, and how many
    there are.

    Of more than `most`, that many are named, spread evenly over the run.
    """
    splits = np.array([record.get("split", "") for record in records])
    attributes = [record["attributes"] for record in records]
    ids = [record["id"] for record in records]
    holding: dict[Claim, NDArray[np.bool_]] = {}

    def who_holds(claim: Claim) -> NDArray[np.bool_]:
        if claim not in holding:
            holding[claim] = np.array([holds(a, *claim) for a in attributes], bool)
        return holding[claim]

    same_split = {name: splits == name for name in set(splits.tolist())}
    found = []
    for index, record in enumerate(records):
        own = []
        for text in record.get("texts", ()):
            claims = [(str(scope), str(kind), str(value)) for scope, kind, value in text["claims"]]
            if claims:
                fulfil = reduce(np.logical_and, map(who_holds, claims), same_split[splits[index]])
                others = [int(i) for i in np.flatnonzero(fulfil) if i != index]
            else:
                others = []
            step = max(1, -(-len(others) // most))
            own.append(([ids[i] for i in others[::step]], len(others)))
        found.append(own)
    return found


def holds(attributes: dict[str, Any], scope: str, kind: str, value: str) -> bool:
    """Whether the `attributes` of a record fulfil one claim (scope, kind, value)."""
    accent = attributes.get("accent") or {}
    if scope == "not":
        keys = _COLOUR_KEYS if kind == "colour" else (kind,)
        return not any(value in _values(look, key) for look in (attributes, accent) for key in keys)
    if scope == "finger":
        return value in attributes.get("accent_fingers", ())
    if scope == "accent":
        return value in _values(accent, kind)
    if kind == "theme":
        return value in (attributes.get("theme"), attributes.get("mood"))
    return value in _values(attributes, kind)


def _values(look: dict[str, Any], kind: str) -> tuple[str, ...]:
    value = look.get(kind, ())
    return (value,) if isinstance(value, str) else tuple(value)
