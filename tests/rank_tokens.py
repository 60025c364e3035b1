"""The image tokens that a catalogue version gives a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.kit.deadline import Deadline
from services.rank.catalogue.store import Store
from services.rank.catalogue.version import Version


async def read_tokens(store: Store, version: Version, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Rows of tokens of those of the designs that are there, as a search that scored them gets them."""
    view = store.at(version, Deadline.never())
    designs = await view.read(ids, ("design_id", "digest"))
    digests = {design_id: str(row["digest"]) for design_id, row in designs.items()}
    return await view.read_current("tokens", digests, ("tokens",))
