"""The form of works whose artist is known (paper A): a folder with `works.jsonl`, one work a line.

    {"id": "000017", "image": "images/000017.jpg", "title": "Milky pink nails",
     "description": "Long almond nails …", "artist": "mira", "lang": "en", "labels": {"bottle": 0.91}}

- `id`: unique in the file. `artist`: whose work it is. Both 1 to 128 characters.
- `image`: relative to the folder, inside it; "" for a work without a photo.
- `title`, `description`: "" where there are none, up to 1,000 and 10,000 characters, as the service takes
  them. A work has a photo or words.
- `lang` (may be left out): a BCP 47 tag such as en, ja, pt-BR. `labels` (may be left out): what an object
  detector saw in the photo, each label with the highest confidence in 0..1.

Further fields are kept as they are. Those that training knows: `mask` and `hands_mask`, pictures of the
photo's size, relative to the folder, 0 where there is no nail, and no hand.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from evaluation.errors import DataError
from evaluation.json_lines import (
    FILLED,
    UNICODE,
    FileName,
    Line,
    OptionalFileName,
    OptionalLanguageTag,
    parse_line,
    require_valid,
    scan_lines,
    write_lines,
)

LISTING: Final = "works.jsonl"
MAX_TITLE: Final = 1_000
MAX_DESCRIPTION: Final = 10_000
MASKS: Final = ("mask", "hands_mask")
_MAX_NAME = 128
_MAX_LINE = 1 << 20  # bytes
_MAX_LABELS = 1_000
_UNSEEN = ("Cc", "Cf", "Zl", "Zp")  # control characters and line breaks
_FIELDS = ("id", "image", "title", "description", "artist", "lang", "labels")


def _check_name(value: str) -> str:
    """An id goes into file names of tables and lines of labels, so it is one printable line."""
    if value != value.strip() or any(unicodedata.category(letter) in _UNSEEN for letter in value):
        raise ValueError(f"{value!r} has blanks around it or a control character in it")
    return value


_Name = Annotated[str, Field(max_length=_MAX_NAME), UNICODE, FILLED, AfterValidator(_check_name)]
_Confidence = Annotated[float, Field(ge=0, le=1)]


class _Line(Line):
    """The fields of a line; further ones are kept."""

    model_config = ConfigDict(extra="allow")

    id: _Name
    image: OptionalFileName
    title: Annotated[str, Field(max_length=MAX_TITLE), UNICODE]
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION), UNICODE]
    artist: _Name
    lang: OptionalLanguageTag = ""
    labels: Annotated[dict[_Name, _Confidence], Field(max_length=_MAX_LABELS, default_factory=dict)]
    mask: FileName = ""
    hands_mask: FileName = ""

    @model_validator(mode="after")
    def _check_content(self) -> _Line:
        if not (self.image or self.title.strip() or self.description.strip()):
            raise ValueError("image: a work without a photo, a title and a description")
        return self


class WorksError(DataError):
    """A file that is not in the form; the message names file, line and field."""


@dataclass(frozen=True)
class Work:
    """One line. image: absolute, None without a photo; lang: "" where unknown; labels: confidences in 0..1
    by label; more: the further fields, those of MASKS as absolute paths."""

    id: str
    image: Path | None
    title: str
    description: str
    artist: str
    lang: str = ""
    labels: Mapping[str, float] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Title and description in one, "" for a work without words."""
        return f"{self.title} {self.description}".strip()


def read(folder: Path) -> list[Work]:
    """The works of a folder, in the file's order. Raises WorksError for the first fault, OSError for files
    that cannot be read."""
    return require_valid(scan(folder))


def scan(folder: Path) -> Iterator[Work | WorksError]:
    """Every valid work and every fault, in the file's order."""
    path = folder / LISTING
    if not path.is_file():
        yield WorksError(f"{path}: no such file")
        return
    root = folder.resolve()
    nothing = True
    for found in scan_lines(path, _MAX_LINE, lambda line, where: parse(line, where, root), WorksError):
        nothing = False
        yield found if isinstance(found, WorksError) else found[1]
    if nothing:
        yield WorksError(f"{path}: no works")


def parse(line: bytes, where: str, root: Path) -> Work:
    """One line, checked by itself. where: file and line for messages; root: the resolved folder.

    Raises WorksError.
    """
    form = parse_line(_Line, line, where, WorksError, root=root)
    more = form.model_dump(exclude=set(_FIELDS), exclude_unset=True)
    return Work(
        id=form.id,
        image=root / form.image if form.image else None,
        title=form.title,
        description=form.description,
        artist=form.artist,
        lang=form.lang,
        labels=form.labels,
        more=more | {name: root / more[name] for name in MASKS if name in more},
    )


def write(folder: Path, entries: Iterable[Mapping[str, Any]]) -> int:
    """Write lines in the form as `folder`/works.jsonl, whole or not at all, and return how many.

    What is written is not checked; `scan` does. Raises OSError.
    """
    return write_lines(folder / LISTING, entries)


def digest(folder: Path) -> str:
    """sha256 of the listing: names the data that a model was trained on."""
    return hashlib.sha256((folder / LISTING).read_bytes()).hexdigest()
