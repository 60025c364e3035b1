"""Descriptions of photos, restatements of requests and judgements of pairs, kept in a file as they come.

    python -m training.describe describe PHOTOS ... --by endpoint --out described.jsonl
    python -m training.describe parse    --requests requests.txt --by qwen --model DIR --out restated.jsonl
    python -m training.describe judge    --mined mined.npz --data DRAWN --by endpoint --out judged.jsonl

A run that was stopped, or whose machine died, goes on with the same command.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.describe.describers import CompactDescriber, Describer, ModelDescriber, read_perceived
from training.describe.judges import DigitJudge, Judge, ModelJudge, StoredJudge
from training.describe.models.answers import Restated
from training.describe.models.question import RunError
from training.describe.options import Answering
from training.describe.pairs import PairIndex
from training.describe.photos import Photo, find_photos
from training.describe.requests import read_requests
from training.describe.running import Item, Tally, Worker, ask_all
from training.describe.store import Key, Store, request_digest
from training.kit.data.mined_pairs import Mined
from training.kit.flags import Positional, parse, subcommand

T = TypeVar("T")


PROGRAM = "python -m training.describe"


@dataclass(frozen=True, kw_only=True)
class Describe(Answering):
    """Write a description of the nails of each photo."""

    photos: Positional[tuple[Path, ...]]
    """photos, or folders of them"""
    by: Literal["endpoint", "qwen", "compact"]
    """who answers"""
    perceived: Path | None = None
    """with --by compact: what perception found, .jsonl"""
    least: float = 0.5
    """with --by compact: least probability of what is described"""

    def run(self) -> None:
        """Describe the photos that have no description yet."""
        if not self.photos:
            raise ValueError("name photos, or folders of them")
        if self.by == "compact" and self.perceived is None:
            raise ValueError("--by compact needs --perceived: what perception found")
        describer = _make_describer(self, self.by, self.perceived, self.least)
        photos = _readable(find_photos(self.photos))[: self.limit]

        def key(photo: Photo) -> Key:
            return Key("describe", photo.sha256, describer.name, describer.describe_version)

        with self.open_store() as store:
            _ask(photos, key, lambda photo: photo.label, describer.describe, describer, store)


@dataclass(frozen=True, kw_only=True)
class Parse(Answering):
    """Write MDD and NNP of each request."""

    requests: Path
    """a text file with a request a line, or an index.jsonl whose records have texts"""
    by: Literal["endpoint", "qwen", "compact"]
    """who answers"""

    def run(self) -> None:
        """Restate the requests that have no restatement yet."""
        describer = _make_describer(self, self.by)
        requests = list(dict.fromkeys(read_requests(self.requests)))[: self.limit]

        def key(request: str) -> Key:
            return Key("parse", request_digest(request), describer.name, describer.restate_version)

        def to_json(restated: Restated) -> dict[str, list[str]]:
            return {"mdd": list(restated.mdd), "nnp": list(restated.nnp)}

        with self.open_store() as store:
            _ask(requests, key, lambda request: request, describer.restate, describer, store, to_json)


@dataclass(frozen=True, kw_only=True)
class JudgePairs(Answering):
    """Give mined pairs of text and photo a confidence."""

    mined: Path
    """pairs, .npz of training.design.mining"""
    data: tuple[Path, ...]
    """folders with index.jsonl"""
    by: Literal["endpoint", "qwen"]
    """who answers"""
    split: str = ""
    """the split of --data that was mined"""
    described: Path | None = None
    """descriptions of the photos, as describe wrote them"""
    threshold: float = 0.7
    """least confidence kept"""
    pairs_out: Path | None = None
    """where the pairs that are kept go, .npz"""

    def run(self) -> None:
        """Give the pairs without a confidence one, and keep those with enough of it."""
        mined = Mined.load(self.mined)
        pairs = PairIndex(self.data, self.split, self.described)
        pairs.check(mined)
        judge: Judge = (
            DigitJudge(self.load_qwen())
            if self.by == "qwen"
            else ModelJudge(self.connect(), **self.answer_length())
        )
        with self.open_store() as store:
            stored = StoredJudge(pairs, store, name=judge.name, version=judge.version)
            numbers = list(zip(mined.text.tolist(), mined.photo.tolist(), strict=True))[: self.limit]
            _ask(
                numbers,
                lambda number: stored.key(pairs(*number)),
                lambda number: f"text {number[0]}, photo {number[1]}",
                lambda some: judge.judge([pairs(*number) for number in some]),
                judge,
                store,
            )
            kept = mined.judged(stored, self.threshold)
        print(f"{len(kept.text)} of {len(mined.text)} pairs have a confidence of {self.threshold:g} and more")
        if self.pairs_out is not None:
            kept.save(self.pairs_out)


Command = (
    Annotated[Describe, subcommand("describe")]
    | Annotated[Parse, subcommand("parse")]
    | Annotated[JudgePairs, subcommand("judge")]
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; exit codes: 2 for wrong options or settings, 1 for what failed, 130 when interrupted."""
    command: Describe | Parse | JudgePairs = parse(Command, argv, program=PROGRAM, about=__doc__)
    try:
        command.run()
    except ValidationError as error:
        wrong = error.errors()[0]
        field = ".".join(str(part) for part in wrong["loc"])
        _exit(2, f"error: LUNULA_ENDPOINT_{field.upper()}: {wrong['msg']}")
    except (RunError, RuntimeError, ValueError) as error:
        _exit(1, f"error: {error}")
    except OSError as error:
        _exit(1, f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}")
    except KeyboardInterrupt:
        _exit(130, "stopped; the same command goes on where this run stopped")


def _exit(code: int, message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(code)


def _make_describer(
    given: Answering, by: str, perceived: Path | None = None, least: float = 0.5
) -> Describer:
    """The describer that --by names."""
    if by == "compact":
        return CompactDescriber(read_perceived(perceived) if perceived is not None else {}, least=least)
    return ModelDescriber(given.load_qwen() if by == "qwen" else given.connect(), **given.answer_length())


def _ask(
    subjects: Sequence[T],
    key: Callable[[T], Key],
    label: Callable[[T], str],
    work: Callable[[Sequence[T]], Sequence[Any]],
    worker: Worker,
    store: Store,
    to_json: Callable[[Any], Any] = lambda answer: answer,
) -> None:
    """Ask about all of them with a bar that shows how far it is, and say how it went."""
    items: Iterator[Item[T]] = (Item(key(subject), subject, label(subject)) for subject in subjects)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} failed"),
    )
    tally = Tally()
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        task = progress.add_task("Asking", total=len(subjects), failed=0)
        with closing(ask_all(items, work, worker, store, to_json=to_json)) as tallies:
            for tally in tallies:
                asked = tally.stored + tally.answered + tally.failed
                progress.update(task, completed=asked, failed=tally.failed)
    print(f"{store.path}: {tally.answered} answered, {tally.failed} failed, {tally.stored} answered before")


def _readable(photos: Sequence[Photo]) -> list[Photo]:
    """Those photos whose files can be read; a line on standard error names each other one."""
    found = []
    for photo in photos:
        try:
            photo.sha256  # noqa: B018  # reads the file, once
        except OSError as error:
            print(f"left out: {photo.label}: {error.strerror}", file=sys.stderr)
        else:
            found.append(photo)
    return found


if __name__ == "__main__":
    main()
