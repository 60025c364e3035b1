"""Works of synthetic artists in the form that paper A's models are trained on (`evaluation.artist.works`).

    lunula data artists from-synth DIR

Writes DIR/works.jsonl for a run of `lunula data synth --kind artists`: photo, title, description, artist, and
the masks of nails and hands, with which the background alone can be tested. With --words N the run needs no
photos: DIR/works.jsonl gets the texts of a run of N images that is never rendered, for models of words.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from tyro.conf import Positional, arg

from evaluation.artist.works import LISTING, write
from training.kit.flags import parse
from training.synth.command import reported_errors
from training.synth.kinds.artists import ARTISTS, MOST_ARTISTS
from training.synth.kinds.subjects import choose_subject
from training.synth.run.index import numbered_records
from training.synth.run.writer import MOST, photo_seed
from training.synth.text.artist_words import describe_work

_NEEDED = ("id", "image", "mask", "hands_mask", "artist", "title", "description")


def make_work(record: dict[str, Any]) -> dict[str, Any]:
    """A line of works.jsonl from a record of the run."""
    return {name: record[name] for name in _NEEDED} | {"lang": record["language"]}


def read_index(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of a run of kind artists. Raises ValueError that names file and line."""
    for where, record in numbered_records(folder):
        for name in (*_NEEDED, "language"):
            if not isinstance(record.get(name), str):
                raise ValueError(f"{where}: {name}: missing; this needs kind artists")
        yield record


def words_alone(n: int, seed: int, artists: int = ARTISTS) -> Iterator[dict[str, Any]]:
    """The works of a run of `n` photos that is not rendered: its texts alone, in a hundredth of the time."""
    for number in range(n):
        own = photo_seed(seed, number)
        rng = np.random.default_rng([own, zlib.crc32(b"artists")])
        subject = choose_subject(rng, own, "artists", artists)
        assert subject.who is not None  # of this kind, every photo is someone's
        texts = describe_work(own, subject.design, subject.split, subject.who.wording)
        yield {
            "id": f"{number:06d}",
            "image": "",
            "title": texts["title"],
            "description": texts["description"],
            "artist": subject.who.id,
            "lang": texts["language"],
        }


@dataclass(frozen=True)
class Options:
    """What `lunula data artists from-synth` takes."""

    folder: Positional[Annotated[Path, arg(metavar="DIR")]]
    """a run of `lunula data synth --kind artists`"""
    words: Annotated[int | None, arg(metavar="N")] = None
    """only the texts of N works, without images"""
    seed: int = 7
    """with --words: of the run"""
    artists: int = ARTISTS
    """with --words: artists of the run"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run `lunula data artists from-synth`."""
    given: Options = parse(Options, argv, program="lunula data artists from-synth", about=__doc__)
    with reported_errors(given.folder):
        if given.words is None:
            works: Iterator[dict[str, Any]] = map(make_work, read_index(given.folder))
        elif 1 <= given.words <= MOST and 1 <= given.artists <= MOST_ARTISTS:
            works = words_alone(given.words, given.seed, given.artists)
        else:
            raise ValueError(f"--words 1 to {MOST:,}, --artists 1 to {MOST_ARTISTS:,}")
        count = write(given.folder, works)
    print(f"{given.folder / LISTING}: {count:,} works")


if __name__ == "__main__":
    main()
