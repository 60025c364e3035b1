"""Batches for ranking: groups of eight photos that share a tag.

In an epoch a photo with two tags stands in two groups, one of each; photos without a tag are groups of their
own, for which the null token asks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.aesthetic.material import NONE, Rows

SIZE = 8


def draw_groups(tags: Rows, rows: Rows, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """An epoch's groups in random order: rows i64 [G,8] and their tag i64 [G] (NONE for photos without one).

    tags: i64 [N,2] of all photos; rows: those to group. What is left over of a tag is filled up with others
    of its photos; a tag with one photo makes no group.
    """
    found: list[NDArray[np.int64]] = []
    names: list[int] = []
    bare = rows[(tags[rows] == NONE).all(axis=1)]
    for tag in [NONE, *np.unique(tags[rows][tags[rows] != NONE]).tolist()]:
        own = bare if tag == NONE else rows[(tags[rows] == tag).any(axis=1)]
        if len(own) < 2:
            continue
        order = rng.permutation(own)
        short = -len(order) % SIZE
        # The filling comes from the others as long as there are any, so that no photo meets itself.
        filling = rng.permutation(order[: len(order) - (SIZE - short)]) if short else order[:0]
        if len(filling) < short:
            filling = np.resize(order, short)
        blocks = np.concatenate([order, filling[:short]]).reshape(-1, SIZE)
        found.append(blocks)
        names += [tag] * len(blocks)
    if not found:
        raise ValueError("no two photos share a tag")
    shuffled = rng.permutation(len(names))
    return np.concatenate(found)[shuffled], np.array(names, np.int64)[shuffled]


def batches(tags: Rows, rows: Rows, groups: int, rng: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
    """The groups of an epoch, `groups` at a time: rows [g,8], tags [g]."""
    blocks, names = draw_groups(tags, rows, rng)
    for start in range(0, len(blocks), groups):
        yield blocks[start : start + groups], names[start : start + groups]


def find_slots(tags: Rows, blocks: Rows, names: Rows) -> Rows:
    """In which place of a photo's tags its group's tag stands: i64 [g,8], 0 for the null token."""
    own = tags[blocks]  # [g,8,2]
    place: Rows = (own == names[:, None, None]).argmax(axis=2)
    return np.where(names[:, None] == NONE, 0, place)
