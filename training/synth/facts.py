"""What a sentence about a design claims, and whether another design fulfils it."""

from __future__ import annotations

from dataclasses import dataclass, field
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


def satisfies(attributes: dict[str, Any], claims: list[Claim] | list[list[str]]) -> bool:
    """Whether the `attributes` of a record (training.synth.record) fulfil claims of another record's text."""
    return all(_holds(attributes, *claim) for claim in claims)


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
