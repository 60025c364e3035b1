"""Works of artists: reading them, and splitting them by artist so that every artist is in every part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nails.words import words
from training.design.records import Design, read_designs


@dataclass(frozen=True)
class Split:
    """Works in three parts, and works of strangers. `artists` is sorted; labels index it."""

    artists: tuple[str, ...]
    train: tuple[Design, ...]
    val: tuple[Design, ...]
    test: tuple[Design, ...]
    strangers: tuple[Design, ...]

    def labels(self, works: Sequence[Design]) -> NDArray[np.int64]:
        """Index of each work's artist: i64 [N]; -1 for a stranger."""
        place = {artist: index for index, artist in enumerate(self.artists)}
        return np.array([place.get(work.artist, -1) for work in works], np.int64)


def read_works(folder: Path, limit: int | None = None) -> list[Design]:
    """Works whose artist is known."""
    return [work for work in read_designs(folder, limit) if work.artist]


def split_works(
    works: Sequence[Design], *, seed: int, val: float = 0.15, test: float = 0.15, strangers: int = 0
) -> Split:
    """Stratified by artist. `strangers` artists, drawn by the seed, are set apart entirely."""
    rng = np.random.default_rng(seed)
    names = sorted({work.artist for work in works})
    apart = set(rng.permutation(names)[:strangers].tolist())
    parts: dict[str, list[Design]] = {"train": [], "val": [], "test": [], "strangers": []}
    for name in names:
        own = [work for work in works if work.artist == name]
        if name in apart:
            parts["strangers"] += own
            continue
        order = rng.permutation(len(own))
        first, second = max(1, round(len(own) * val)), max(1, round(len(own) * test))
        for place, index in enumerate(order):
            part = "val" if place < first else "test" if place < first + second else "train"
            parts[part].append(own[index])
    return Split(
        artists=tuple(name for name in names if name not in apart),
        train=tuple(parts["train"]),
        val=tuple(parts["val"]),
        test=tuple(parts["test"]),
        strangers=tuple(parts["strangers"]),
    )


def composed_works(count: int, seed: int, artists: Sequence[str]) -> list[Design]:
    """Further works of the same synthetic artists as words alone: photos take longer to draw."""
    from training.synth.artist_words import written
    from training.synth.artists import artist_design, artist_of

    known = set(artists)
    works = []
    for number in range(count):
        own = seed * 10_000_000 + number
        who = artist_of(own)
        said = written(own, artist_design(np.random.default_rng([seed, number]), who), "train", who.wording)
        if who.id in known:
            works.append(
                Design(
                    name=f"words-{number:06d}",
                    image=Path(),
                    mask=None,
                    crop=(0.0, 0.0, 0.0, 0.0),
                    palette=(),
                    requests=(),
                    artist=who.id,
                    title=str(said["title"]),
                    description=str(said["description"]),
                )
            )
    return works


def line(work: Design) -> str:
    """What the text model reads of a work: the words of its title and description."""
    return " ".join(words(f"{work.title} {work.description}"))
