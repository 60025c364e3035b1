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
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from evaluation.errors import DataError
from evaluation.json_lines import file_of, object_of, scan_lines, text_of

LISTING: Final = "works.jsonl"
MAX_TITLE: Final = 1_000
MAX_DESCRIPTION: Final = 10_000
MASKS: Final = ("mask", "hands_mask")
_MAX_NAME = 128
_MAX_PATH = 4096
_MAX_LINE = 1 << 20  # bytes
_MAX_LABELS = 1_000
_UNSEEN = ("Cc", "Cf", "Zl", "Zp")  # control characters and line breaks
_LANG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_NEEDED = ("id", "image", "title", "description", "artist")
_FIELDS = (*_NEEDED, "lang", "labels")


class WorksError(DataError):
    """A file that is not in the form; the message says file, line and field."""


@dataclass(frozen=True)
class Work:
    """One line. image: absolute, None without a photo; lang: "" where not said; labels: confidences in 0..1
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
    works = []
    for found in scan(folder):
        if isinstance(found, WorksError):
            raise found
        works.append(found)
    return works


def scan(folder: Path) -> Iterator[Work | WorksError]:
    """Every work that is in order and every fault, in the file's order."""
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
    fields = object_of(line, where, _NEEDED, WorksError, finite=True)
    image = text_of(fields, "image", where, _MAX_PATH, WorksError)
    title = text_of(fields, "title", where, MAX_TITLE, WorksError)
    description = text_of(fields, "description", where, MAX_DESCRIPTION, WorksError)
    if not (image or title.strip() or description.strip()):
        raise WorksError(f"{where}: image: a work without a photo, a title and a description")
    more = {name: value for name, value in fields.items() if name not in _FIELDS}
    return Work(
        id=_name(fields, "id", where),
        image=file_of(image, "image", where, root, WorksError) if image else None,
        title=title,
        description=description,
        artist=_name(fields, "artist", where),
        lang=_lang(fields, where),
        labels=_labels(fields.get("labels", {}), where),
        more=_more(more, where, root),
    )


def write(folder: Path, entries: Iterable[Mapping[str, Any]]) -> int:
    """Write lines in the form as `folder`/works.jsonl, whole or not at all, and return how many.

    What is written is not checked; `scan` does. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{LISTING}.part"
    count = 0
    with draft.open("w", encoding="utf-8") as file:
        for entry in entries:
            file.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    draft.replace(folder / LISTING)
    return count


def digest(folder: Path) -> str:
    """sha256 of the listing: names the data that a model was trained on."""
    return hashlib.sha256((folder / LISTING).read_bytes()).hexdigest()


def _name(fields: Mapping[str, Any], name: str, where: str) -> str:
    """An id: it goes into file names of tables and lines of labels, so it is one printable line."""
    value = text_of(fields, name, where, _MAX_NAME, WorksError)
    if not value.strip():
        raise WorksError(f"{where}: {name}: empty")
    if value != value.strip() or any(unicodedata.category(letter) in _UNSEEN for letter in value):
        raise WorksError(f"{where}: {name}: {value!r} has blanks around it or a control character in it")
    return value


def _lang(fields: Mapping[str, Any], where: str) -> str:
    value = text_of({"lang": fields.get("lang", "")}, "lang", where, 35, WorksError)
    if value and not _LANG.fullmatch(value):
        raise WorksError(f"{where}: lang: {value!r} is no language tag such as en or ja")
    return value


def _labels(value: Any, where: str) -> dict[str, float]:
    if not isinstance(value, dict):
        raise WorksError(f"{where}: labels: not an object of confidences by label")
    if len(value) > _MAX_LABELS:
        raise WorksError(f"{where}: labels: {len(value):,} are more than {_MAX_LABELS:,}")
    labels = {}
    for label, confidence in value.items():
        _name({"labels": label}, "labels", where)
        number = isinstance(confidence, int | float) and not isinstance(confidence, bool)
        if not number or not 0 <= confidence <= 1:
            raise WorksError(f"{where}: labels: {label}: {confidence!r:.40} is no confidence in 0..1")
        labels[label] = float(confidence)
    return labels


def _more(more: dict[str, Any], where: str, root: Path) -> dict[str, Any]:
    for name in MASKS:
        if name in more:
            value = text_of(more, name, where, _MAX_PATH, WorksError)
            more[name] = file_of(value, name, where, root, WorksError)
    return more
