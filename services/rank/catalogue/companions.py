"""The companion collections that catalogue versions have, in the order of writing.

To add one: a file beside `align` (vectors that are searched) or `tokens` (data that are read by id) with a
subclass of `Companion`, and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.rank.catalogue.align import ALIGN
from services.rank.catalogue.companion import Companion
from services.rank.catalogue.tokens import TOKENS
from services.rank.catalogue.version import CompanionSpace, Space
from services.rank.upstream import EmbeddedDesign

COMPANIONS: Mapping[str, Companion[Any]] = {one.name: one for one in (TOKENS, ALIGN)}
OPTIONAL: tuple[Companion[Any], ...] = tuple(one for one in COMPANIONS.values() if not one.required)


def describe_space(made: EmbeddedDesign) -> Space:
    """The space of a version that would be made now, as one embedded design shows it."""
    described = (companion.describe(made) for companion in COMPANIONS.values())
    companions = tuple(space for space in described if space is not None)
    return Space(made.design.fingerprint, len(made.design.values), companions)


def missing_companions(space: Space, wanted: Space) -> tuple[CompanionSpace, ...]:
    """Companions of `wanted` that `space` has not."""
    present = {one.companion for one in space.companions}
    return tuple(one for one in wanted.companions if one.companion not in present)


def embed_options(space: Space) -> dict[str, Any]:
    """Options of `EmbedClient.embed_design` that make all that a version with that space keeps."""
    options: dict[str, Any] = {}
    for one in space.companions:
        options |= COMPANIONS[one.companion].embed_options(one)
    return options
