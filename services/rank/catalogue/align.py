"""The companion `align`: vectors of the crops, for search by a reference photo or design."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from services.rank.catalogue.companion import VectorCompanion
from services.rank.upstream import EmbeddedDesign, check_fingerprint


@dataclass(frozen=True)
class AlignSpace:
    """The space "align"; `dimensions` numbers a vector."""

    companion: ClassVar[str] = "align"
    fingerprint: str
    dimensions: int

    def dump(self) -> str:
        """As text."""
        return json.dumps({"fingerprint": self.fingerprint, "dimensions": self.dimensions})


class AlignCompanion(VectorCompanion[AlignSpace]):
    """One vector a design."""

    name = "align"
    required = True

    def describe(self, made: EmbeddedDesign) -> AlignSpace:
        """Of the crop's vector."""
        return AlignSpace(made.align.fingerprint, len(made.align.values))

    def load(self, stored: str) -> AlignSpace:
        """Reads what `AlignSpace.dump` wrote."""
        return AlignSpace(**json.loads(stored))

    def dimensions(self, space: AlignSpace) -> int:
        """Of the vectors."""
        return space.dimensions

    def value(self, made: EmbeddedDesign, space: AlignSpace) -> list[float]:
        """The crop's vector."""
        check_fingerprint(made.align.fingerprint, space.fingerprint)
        return list(made.align.values)


ALIGN = AlignCompanion()
