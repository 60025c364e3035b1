"""The form of NAIL-STAR (paper N): a folder with `nailstar.jsonl`, one photo with its request a line.

    {"id": "000017", "image": "images/000017.jpg", "split": "test", "request": "Long almond nails …",
     "lang": "en", "palette": [[52.1, 60.3, 14.0], "#f4d9d0"], "targets": ["000017", "000350"],
     "subset": "multi"}

- `id`: unique in the file. `image`: relative to the folder, inside it. `split`: train, val or test.
- `request`: what the person writes, 1 to 10,000 characters. `lang`: a BCP 47 tag such as en, ja, pt-BR.
- `palette`: up to 12 colours, CIELAB [L, a, b] that a display can show, or "#rrggbb"; [] for none.
- `targets`: ids of all photos of the same split that satisfy the request, the photo itself first.
- `subset`: multi where there are several targets, single where there is one.

Further fields are kept as they are. Those that the evaluation knows: `composition` (bool: the request says
something of an accent or a finger), `binding` ({"family", "case", "member"}: photos of a family show the same
colours, bound in different ways).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import ConfigDict, Field, PlainValidator, model_validator

from evaluation.errors import DataError
from evaluation.json_lines import (
    FILLED,
    UNICODE,
    FileName,
    LanguageTag,
    Line,
    parse_line,
    require_valid,
    scan_lines,
    write_lines,
)
from nails.colour.cielab import srgb_to_lab
from nails.colour.palette import PaletteError, validate_palette

LISTING: Final = "nailstar.jsonl"
SPLITS: Final = ("train", "val", "test")
SUBSETS: Final = ("multi", "single")
MAX_REQUEST: Final = 10_000  # as the services take it
_MAX_ID = 128
_MAX_LINE = 8 << 20  # bytes; the longest lists of targets stay far below
_HEX = re.compile(r"#[0-9A-Fa-f]{6}")
_FIELDS = ("id", "image", "split", "request", "lang", "palette", "targets", "subset")

Lab = tuple[float, float, float]


class NailStarError(DataError):
    """A file that is not in the form; the message names file, line and field."""


@dataclass(frozen=True)
class Entry:
    """One line. palette: CIELAB; targets: ids, the photo itself first; more: the further fields."""

    id: str
    image: str
    split: str
    request: str
    lang: str
    palette: tuple[Lab, ...]
    targets: tuple[str, ...]
    subset: str
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def composition(self) -> bool:
        """Whether the request says something of an accent or a finger."""
        return bool(self.more.get("composition", False))

    @property
    def family(self) -> str:
        """The family of photos with the same colours in other places; "" for none."""
        return str(self.more.get("binding", {}).get("family", ""))


def read(folder: Path) -> list[Entry]:
    """The entries of a folder, in the file's order. Raises NailStarError for the first fault."""
    return require_valid(scan(folder))


def scan(folder: Path) -> Iterator[Entry | NailStarError]:
    """Every valid entry and every fault, those of single lines first.

    Raises OSError where the file cannot be read.
    """
    path = folder / LISTING
    if not path.is_file():
        yield NailStarError(f"{path}: no such file")
        return
    lines: dict[str, int] = {}
    splits: dict[str, str] = {}
    entries: list[Entry] = []
    for found in scan_lines(path, _MAX_LINE, lambda line, where: parse(line, where, folder), NailStarError):
        if isinstance(found, NailStarError):
            yield found
            continue
        number, entry = found
        lines[entry.id], splits[entry.id] = number, entry.split
        entries.append(entry)
        yield entry
    if not lines:
        yield NailStarError(f"{path}: no entries")
    for entry in entries:
        where = f"{path}:{lines[entry.id]}: targets"
        for target in entry.targets:
            if target not in splits:
                yield NailStarError(f"{where}: no entry has the id {target!r}")
            elif splits[target] != entry.split:
                yield NailStarError(f"{where}: {target!r} is of split {splits[target]}, not {entry.split}")


def _parse_colour(value: Any) -> Lab:
    """CIELAB from [L, a, b] or "#rrggbb"."""
    if isinstance(value, str) and _HEX.fullmatch(value):
        rgb = np.frombuffer(bytes.fromhex(value[1:]), np.uint8)
        lightness, a, b = (float(channel) for channel in srgb_to_lab(rgb))
        return lightness, a, b
    numbers = isinstance(value, list) and len(value) == 3
    if not numbers or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        raise ValueError(f"neither [L, a, b] nor #rrggbb: {value!r:.40}")
    try:
        return float(value[0]), float(value[1]), float(value[2])
    except OverflowError:
        raise ValueError("a number that is no colour") from None


class _Binding(Line):
    model_config = ConfigDict(extra="allow")

    family: str


class _Line(Line):
    """The fields of a line; further ones are kept."""

    model_config = ConfigDict(extra="allow")

    id: Annotated[str, Field(max_length=_MAX_ID), UNICODE, FILLED]
    image: FileName
    split: Literal["train", "val", "test"]
    request: Annotated[str, Field(max_length=MAX_REQUEST), UNICODE, FILLED]
    lang: LanguageTag
    palette: list[Annotated[Lab, PlainValidator(_parse_colour)]]
    targets: list[str]
    subset: Literal["multi", "single"]
    composition: bool = False
    binding: _Binding = _Binding(family="")

    @model_validator(mode="after")
    def _check_targets(self) -> _Line:
        if self.targets[:1] != [self.id]:
            raise ValueError(f"targets: the first is not the photo itself, {self.id!r}")
        if len(set(self.targets)) != len(self.targets):
            raise ValueError("targets: an id is there twice")
        if (self.subset == "multi") != (len(self.targets) > 1):
            raise ValueError(f"subset: {self.subset}, but there are {len(self.targets)} targets")
        return self


def parse(line: bytes, where: str, folder: Path) -> Entry:
    """One line, checked by itself. where: file and line for messages; folder: that of the images.

    Raises NailStarError.
    """
    form = parse_line(_Line, line, where, NailStarError, root=folder.resolve(), finite=False)
    try:
        palette = tuple(colour.lab for colour in validate_palette(form.palette))
    except PaletteError as error:
        place = "palette" if error.index is None else f"palette[{error.index}]"
        raise NailStarError(f"{where}: {place}: {error}") from None
    return Entry(
        id=form.id,
        image=form.image,
        split=form.split,
        request=form.request,
        lang=form.lang,
        palette=palette,
        targets=tuple(form.targets),
        subset=form.subset,
        more=form.model_dump(exclude=set(_FIELDS), exclude_unset=True),
    )


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write entries as `path`, whole or not at all. Raises OSError."""
    write_lines(
        path, ({name: getattr(entry, name) for name in _FIELDS} | dict(entry.more) for entry in entries)
    )
