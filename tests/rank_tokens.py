"""The image tokens that a catalogue version gives a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.kit.deadline import Deadline
from services.rank.catalogue.store import Store
from services.rank.catalogue.versions import Version


async def tokens_of(store: Store, version: Version, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Rows of tokens of those of the designs that are there, as a search that measured them gets them."""
    never = Deadline.never()
    designs = await store.read(version.names.design, ids, ("design_id", "digest"), never)
    digests = {design_id: str(row["digest"]) for design_id, row in designs.items()}
    return await store.read_tokens(version.names, digests, never)
