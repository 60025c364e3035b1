"""What a sentence about a design claims, and whether another design fulfils it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

# (scope, kind, value): scope "main", "accent", "set", "finger" or "not"
Claim = tuple[str, str, str]


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
    return all(_holds(attributes, scope, kind, value) for scope, kind, value in claims)


def accepted(records: Sequence[dict[str, Any]], most: int = 20) -> list[list[str]]:
    """For each record the ids of at most `most` other records that fulfil its dense English request."""
    by_colour: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        for colour in _values(record["attributes"], "colour"):
            by_colour.setdefault(colour, []).append(index)
    found = []
    for index, record in enumerate(records):
        dense = [t for t in record.get("texts", ()) if t["level"] == "dense" and t["lang"] == "en"]
        claims = dense[0]["claims"] if dense else []
        colour = next((value for scope, kind, value in claims if (scope, kind) == ("main", "colour")), None)
        others = by_colour.get(colour, []) if colour else []  # without a colour a request says too little
        ids = (records[i]["id"] for i in others if i != index and satisfies(records[i]["attributes"], claims))
        found.append(list(islice(ids, most)))
    return found


def _holds(attributes: dict[str, Any], scope: str, kind: str, value: str) -> bool:
    accent = attributes.get("accent") or {}
    if scope == "not":
        return value not in _values(attributes, kind) and value not in _values(accent, kind)
    if scope == "finger":
        return value in attributes.get("accent_fingers", ())
    if scope == "accent":
        return value in _values(accent, kind)
    return value in _values(attributes, kind)


def _values(look: dict[str, Any], kind: str) -> tuple[str, ...]:
    value = look.get(kind, ())
    return (value,) if isinstance(value, str) else tuple(value)
