"""One interface to what writes texts: descriptions of photos, and restatements of requests.

`ModelDescriber` asks a vision-language model, wherever it runs; `CompactDescriber` needs none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar

from training.describe.models import answers, prompts
from training.describe.models.answers import Restated, restate_by_lexicon
from training.describe.models.question import Asker, ItemError, Question
from training.describe.photos import Photo
from training.kit.data.attribute_text import Attributes, Palette, describe_attributes

T = TypeVar("T")


class Describer(Protocol):
    """Writes texts. An item that has no text is an ItemError among the answers, never raised.

    name: of what writes, part of the key of every stored text, as are the versions of the wording. batch:
    items that it likes at once. parallel: calls that may run at the same time.
    """

    name: str
    batch: int
    parallel: int
    describe_version: str
    restate_version: str

    def describe(self, photos: Sequence[Photo]) -> list[str | ItemError]:
        """A description of the nails of each photo; "" where it shows none."""
        ...

    def restate(self, requests: Sequence[str]) -> list[Restated | ItemError]:
        """MDD and NNP of each request."""
        ...

    def stop(self) -> None:
        """Give up waiting: calls in other threads end as soon as they can."""
        ...


class ModelDescriber:
    """A `Describer` that asks a vision-language model."""

    describe_version = prompts.DESCRIBE.version
    restate_version = prompts.RESTATE.version

    def __init__(self, asker: Asker, *, max_tokens: int = 400) -> None:
        self.asker = asker
        self.max_tokens = max_tokens
        self.name, self.batch, self.parallel = asker.name, asker.batch, asker.parallel

    def describe(self, photos: Sequence[Photo]) -> list[str | ItemError]:
        return self._read([prompts.DESCRIBE.question((photo,)) for photo in photos], answers.read_description)

    def restate(self, requests: Sequence[str]) -> list[Restated | ItemError]:
        questions = [prompts.RESTATE.question(request=prompts.clean_request(request)) for request in requests]
        return self._read(questions, answers.read_restatement)

    def stop(self) -> None:
        self.asker.stop()

    def _read(self, questions: Sequence[Question], read: Callable[[str], T]) -> list[T | ItemError]:
        asked = self.asker.ask(questions, max_tokens=self.max_tokens)
        return [read_or_error(answer, read) for answer in asked]


class CompactDescriber:
    """A `Describer` of what compact perception found, and of requests by the lexicon.

    perceived: attributes and palette by the sha256 of the photo.
    """

    name = "compact"
    batch = 256
    parallel = 1
    restate_version = "1"

    def __init__(self, perceived: Mapping[str, tuple[Attributes, Palette]], *, least: float = 0.5) -> None:
        self.perceived = perceived
        self.least = least
        # Another perception has other words, so it is part of the version.
        known = json.dumps([least, sorted(perceived.items())])
        self.describe_version = f"1-{sha256(known.encode()).hexdigest()[:12]}"

    def describe(self, photos: Sequence[Photo]) -> list[str | ItemError]:
        return [self._describe(photo) for photo in photos]

    def restate(self, requests: Sequence[str]) -> list[Restated | ItemError]:
        return [restate_by_lexicon(request) for request in requests]

    def stop(self) -> None:
        """Nothing is waited for."""

    def _describe(self, photo: Photo) -> str | ItemError:
        try:
            found = self.perceived.get(photo.sha256)
        except OSError as error:
            return ItemError("photo", str(error))
        if found is None:
            return ItemError("photo", f"{photo.label}: nothing was perceived of it")
        return describe_attributes(*found, least=self.least)


def read_or_error(answer: str | ItemError, read: Callable[[str], T]) -> T | ItemError:
    """What `read` makes of an answer; ItemErrors are passed on, and those it raises returned."""
    if isinstance(answer, ItemError):
        return answer
    try:
        return read(answer)
    except ItemError as error:
        return error


def read_perceived(path: Path) -> dict[str, tuple[Attributes, Palette]]:
    """What perception found, one JSON object a line, by the sha256 of the photo.

    {"sha256": "..." or "image": "path beside this file", "attributes": {"shape": [["almond", 0.9], ...]},
    "palette": [{"lab": [L, a, b], "weight": 0.6}, ...]}. ValueError with file, line and what is wrong.
    """
    perceived = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                found = json.loads(line)
                sha256 = found.get("sha256") or Photo(path.parent / found["image"]).sha256
                attributes, palette = _attributes(found), _palette(found)
                describe_attributes(attributes, palette)  # raises now what would be raised later
            except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
                missing = "missing field " if isinstance(error, KeyError) else ""
                raise ValueError(f"{path}:{number}: {missing}{error}") from error
            perceived[sha256] = (attributes, palette)
    return perceived


def _attributes(found: dict[str, Any]) -> Attributes:
    return {
        kind: [(str(name), float(probability)) for name, probability in predicted]
        for kind, predicted in found["attributes"].items()
    }


def _palette(found: dict[str, Any]) -> Palette:
    return [
        ([float(value) for value in entry["lab"]], float(entry["weight"]))
        for entry in found.get("palette") or ()
    ]
