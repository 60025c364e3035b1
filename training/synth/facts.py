"""What a sentence about a design claims, and which other designs of a run fulfil it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.claims import Claim, holds, satisfies

__all__ = ["Claim", "Claims", "find_accepted", "holds", "satisfies"]


@dataclass
class Claims:
    """Claims in the order in which they were made."""

    items: list[Claim] = field(default_factory=list)

    def add(self, scope: str, kind: str, value: str) -> None:
        """Remember a claim once."""
        if value and (scope, kind, value) not in self.items:
            self.items.append((scope, kind, value))


def find_accepted(records: Sequence[dict[str, Any]], most: int = 50) -> list[list[tuple[list[str], int]]]:
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
