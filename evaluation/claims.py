"""Claims of a request about a design, and whether a design fulfils them, from records of synthetic photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

# (scope, kind, value): scope "main", "accent", "set", "finger" or "not"
Claim = tuple[str, str, str]
SCOPES: Final = ("main", "accent", "set", "finger", "not")
_COLOUR_KEYS = ("colour", "pattern_colours", "part_colour")


def satisfies(attributes: Mapping[str, Any], claims: Sequence[Sequence[str]]) -> bool:
    """Whether the `attributes` of a record (training.synth.scene.record) fulfil the claims of a text."""
    return all(holds(attributes, scope, kind, value) for scope, kind, value in claims)


def holds(attributes: Mapping[str, Any], scope: str, kind: str, value: str) -> bool:
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


def _values(look: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    value = look.get(kind, ())
    return (value,) if isinstance(value, str) else tuple(value)
