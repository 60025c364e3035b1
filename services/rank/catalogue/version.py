"""A catalogue version: its collections, and the models that made what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class CompanionSpace(Protocol):
    """What a companion collection of one version holds: of which models, and in which form."""

    @property
    def companion(self) -> str:
        """Name of the companion."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the models that made it. Rows of different fingerprints are never compared."""
        ...

    def dump(self) -> str:
        """The same as text, for a property of the collection."""
        ...


@dataclass(frozen=True)
class Space:
    """fingerprint, dimensions: of the design's own vector. companions: in the order of writing."""

    fingerprint: str
    dimensions: int
    companions: tuple[CompanionSpace, ...] = ()


@dataclass(frozen=True)
class Version:
    """A catalogue version. It has a companion collection if and only if its space names the companion.

    catalogue: the alias that its collections are named after. create_time_ms: since the epoch.
    """

    version_id: str
    catalogue: str
    space: Space
    create_time_ms: int
    note: str

    @property
    def collection(self) -> str:
        """The first collection: the version exists when it does, and a design when it has a row in it."""
        return f"{self.catalogue}_{self.version_id}"

    def companion_collection(self, companion: str) -> str:
        """The collection of a companion, whether or not the version has it."""
        return f"{self.catalogue}_{companion}_{self.version_id}"

    @property
    def collections(self) -> tuple[str, ...]:
        """All collections in the order of writing; the first collection is written last."""
        companions = (self.companion_collection(one.companion) for one in self.space.companions)
        return (*companions, self.collection)
