"""Answers kept as they come, one JSON object a line, so that a killed run goes on where it stopped.

An answer is found again by what was asked about (the sha256 of a photo, request or pair), for what (the
task), whom (name) and how (version of the prompt). A line is one write to a file opened for appending; of a
kill only a last line without its end can come, which is cut off when the file is opened to be written again.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from training.describe.models.answers import Restated
from training.describe.models.question import ItemError


class Key(NamedTuple):
    """What an answer is stored under."""

    task: str  # "describe", "parse", "judge"
    subject: str  # sha256
    by: str
    version: str


@dataclass
class Answers:
    """What a file of answers says; of several lines about one thing, the last."""

    answers: dict[Key, Any] = field(default_factory=dict)
    errors: dict[Key, str] = field(default_factory=dict)
    size: int = 0  # bytes of whole lines

    def take(self, key: Key, answer: Any, error: str | None) -> None:
        """Keep an answer, or the error in its place."""
        (self.errors if error is None else self.answers).pop(key, None)
        if error is None:
            self.answers[key] = answer
        else:
            self.errors[key] = error


def read_answers(path: Path) -> Answers:
    """The answers of a file, which may still be written. ValueError names the line that is none."""
    found = Answers()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                break
            found.size += len(line)
            try:
                entry = json.loads(line)
                key = Key(*(str(entry[part]) for part in Key._fields))
                error = str(entry["error"]) if "error" in entry else None
                found.take(key, entry["answer"] if error is None else None, error)
            except (ValueError, KeyError, TypeError) as error_of_line:
                missing = "missing field " if isinstance(error_of_line, KeyError) else ""
                raise ValueError(f"{path}:{number}: {missing}{error_of_line}") from error_of_line
    return found


def read_descriptions(path: Path, by: str = "") -> dict[str, str]:
    """Descriptions by sha256 of the photo, of one describer or of all: where there are several, the last."""
    return {
        key.subject: str(answer)
        for key, answer in read_answers(path).answers.items()
        if key.task == "describe" and by in ("", key.by)
    }


def read_restatements(path: Path, by: str = "") -> dict[str, Restated]:
    """MDD and NNP by `request_digest`, of one describer or of all: where there are several, the last."""
    return {
        key.subject: Restated(tuple(answer["mdd"]), tuple(answer["nnp"]))
        for key, answer in read_answers(path).answers.items()
        if key.task == "parse" and by in ("", key.by)
    }


def request_digest(request: str) -> str:
    """The sha256 under which a request's restatement is kept."""
    return sha256(request.encode("utf-8", "replace")).hexdigest()


class Store:
    """A file of answers being written. One process at a time; its threads take turns outside.

    ValueError names the line that is not an answer; RuntimeError where another process writes the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RuntimeError(f"{path}: another run writes to it") from None
            self.contents = read_answers(path)
            if self.contents.size < os.fstat(self._file).st_size:
                os.ftruncate(self._file, self.contents.size)
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.fsync(self._file)
        os.close(self._file)

    def __contains__(self, key: Key) -> bool:
        return key in self.contents.answers or key in self.contents.errors

    def answer(self, key: Key, default: Any = None) -> Any:
        """The answer kept under a key."""
        return self.contents.answers.get(key, default)

    def add(self, key: Key, answer: Any, *, of: str = "") -> None:
        """Keep an answer (any JSON) or an ItemError; `of` is for the reader of the file."""
        entry: dict[str, Any] = {**key._asdict(), "of": of}
        failed = isinstance(answer, ItemError)
        entry["error" if failed else "answer"] = str(answer) if failed else answer
        # A lone surrogate, which JSON lets a server send, has no UTF-8.
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            raise OSError(f"{self.path}: only {written} of {len(line)} bytes were written")
        self.contents.take(key, None if failed else answer, str(answer) if failed else None)

    def forget_errors(self) -> None:
        """Ask again about what had no answer."""
        self.contents.errors.clear()
