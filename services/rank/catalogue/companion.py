"""A companion collection: what a catalogue version keeps of a design beside its own vector and its text.

It is one collection `NAME_<companion>_vN` with at most one row a design, built and dropped with the version.
A required companion exists wherever the version does. An optional one may be missing: from a version that was
made before the companion existed, or while its model was not served. It is then built when designs are next
written; reading it earlier raises `CollectionMissing`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from services.rank.catalogue.rows import NO_VECTOR, IndexedDesign, filter_scalars
from services.rank.catalogue.version import CompanionSpace, Space
from services.rank.upstream import EmbeddedDesign

S = TypeVar("S", bound=CompanionSpace)


class Companion(ABC, Generic[S]):
    """One kind of companion. S: what a version says of it."""

    name: ClassVar[str]
    required: ClassVar[bool] = False
    searched: ClassVar[bool] = False
    """Whether its vectors are searched, under the same filters as the design's own."""

    def space(self, space: Space) -> S | None:
        """What a version with that space keeps of this companion; None where it keeps nothing."""
        found: Any = next((one for one in space.companions if one.companion == self.name), None)
        return found  # type: ignore[no-any-return]  # companions load their own spaces

    @abstractmethod
    def describe(self, made: EmbeddedDesign) -> S | None:
        """What a version made now would keep, as one embedded design shows it; None for nothing."""

    @abstractmethod
    def load(self, stored: str) -> S:
        """Reads what `S.dump` wrote."""

    @abstractmethod
    def value(self, made: EmbeddedDesign, space: S) -> Any | None:
        """What is kept of a design in such a space; None for nothing.

        Raises FailedPrecondition FINGERPRINT_MISMATCH where a required value is of other models.
        """

    @abstractmethod
    def row(self, design: IndexedDesign) -> dict[str, Any] | None:
        """The row of a design; None where it has nothing to keep."""

    def dimensions(self, space: S) -> int:
        """Of the vector field. Milvus wants one in every collection."""
        del space
        return len(NO_VECTOR)

    def texts(self) -> Mapping[str, int]:
        """Further text fields and their lengths in bytes."""
        return {}

    def usable(self, described: Mapping[str, Any]) -> bool:
        """Whether the collection, as Milvus describes it, has a form that can be read and written today."""
        del described
        return True

    def embed_options(self, space: S) -> Mapping[str, Any]:
        """Options of `EmbedClient.embed_design` without which EmbedService does not make the value."""
        del space
        return {}


class VectorCompanion(Companion[S]):
    """Vectors that are searched. A row is its design's: filters need the scalars here too."""

    searched = True

    def row(self, design: IndexedDesign) -> dict[str, Any] | None:
        """Scalars and the vector."""
        value = design.companions.get(self.name)
        return None if value is None else {**filter_scalars(design.text), "vector": list(value)}


class DataCompanion(Companion[S]):
    """Data that are read by id, in one text field with the name of the companion.

    A row counts while its digest is that of the design; else it is of an earlier photo or text, left by a
    writer that did not know of the companion.
    """

    def row(self, design: IndexedDesign) -> dict[str, Any] | None:
        """The text, and the digest of the state of the design that it is of."""
        value = design.companions.get(self.name)
        if value is None:
            return None
        return {
            "design_id": design.text.design_id,
            "vector": list(NO_VECTOR),
            "digest": design.digest,
            self.name: value,
        }

    def usable(self, described: Mapping[str, Any]) -> bool:
        """Rows without a digest might be stale, so a collection of the old form is of no use."""
        return any(field["name"] == "digest" for field in described["fields"])
