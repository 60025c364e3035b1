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

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from evaluation.errors import DataError
from evaluation.json_lines import file_of, object_of, scan_lines, text_of
from nails.colour.cielab import srgb_to_lab
from nails.colour.palette import PaletteError, validate

LISTING: Final = "nailstar.jsonl"
SPLITS: Final = ("train", "val", "test")
SUBSETS: Final = ("multi", "single")
MAX_REQUEST: Final = 10_000  # as the services take it
_MAX_ID = 128
_MAX_LINE = 8 << 20  # bytes; the longest lists of targets stay far below
_LANG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_HEX = re.compile(r"#[0-9A-Fa-f]{6}")
_FIELDS = ("id", "image", "split", "request", "lang", "palette", "targets", "subset")

Lab = tuple[float, float, float]


class NailStarError(DataError):
    """A file that is not in the form; the message says file, line and field."""


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
    entries = []
    for found in scan(folder):
        if isinstance(found, NailStarError):
            raise found
        entries.append(found)
    return entries


def scan(folder: Path) -> Iterator[Entry | NailStarError]:
    """Every entry that is in order and every fault, those of single lines first.

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


def parse(line: bytes, where: str, folder: Path) -> Entry:
    """One line, checked by itself. where: file and line for messages; folder: that of the images.

    Raises NailStarError.
    """
    fields = object_of(line, where, _FIELDS, NailStarError)
    own = _text(fields, "id", where, _MAX_ID)
    targets = _targets(fields["targets"], own, where)
    subset = _one_of(fields, "subset", SUBSETS, where)
    if (subset == "multi") != (len(targets) > 1):
        raise NailStarError(f"{where}: subset: {subset}, but there are {len(targets)} targets")
    lang = _text(fields, "lang", where, 35)
    if not _LANG.fullmatch(lang):
        raise NailStarError(f"{where}: lang: {lang!r} is no language tag such as en or ja")
    image = _text(fields, "image", where, 4096)
    file_of(image, "image", where, folder.resolve(), NailStarError)
    return Entry(
        id=own,
        image=image,
        split=_one_of(fields, "split", SPLITS, where),
        request=_text(fields, "request", where, MAX_REQUEST),
        lang=lang,
        palette=_palette(fields["palette"], where),
        targets=targets,
        subset=subset,
        more=_more(fields, where),
    )


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write entries as `path`, whole or not at all. Raises OSError."""
    draft = path.with_name(path.name + ".part")
    with draft.open("w", encoding="utf-8") as file:
        for entry in entries:
            fields = {name: getattr(entry, name) for name in _FIELDS} | dict(entry.more)
            file.write(json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n")
    draft.replace(path)


def _text(fields: Mapping[str, Any], name: str, where: str, most: int) -> str:
    value = text_of(fields, name, where, most, NailStarError)
    if not value.strip():
        raise NailStarError(f"{where}: {name}: empty")
    return value


def _one_of(fields: Mapping[str, Any], name: str, choices: tuple[str, ...], where: str) -> str:
    value = fields[name]
    if value not in choices:
        raise NailStarError(f"{where}: {name}: {value!r} is not one of {', '.join(choices)}")
    return str(value)


def _targets(value: Any, own: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(target, str) for target in value):
        raise NailStarError(f"{where}: targets: not a list of ids")
    if value[:1] != [own]:
        raise NailStarError(f"{where}: targets: the first is not the photo itself, {own!r}")
    if len(set(value)) != len(value):
        raise NailStarError(f"{where}: targets: an id is there twice")
    return tuple(value)


def _palette(value: Any, where: str) -> tuple[Lab, ...]:
    if not isinstance(value, list):
        raise NailStarError(f"{where}: palette: not a list of colours")
    labs = [_lab(colour, f"{where}: palette[{index}]") for index, colour in enumerate(value)]
    try:
        return tuple(colour.lab for colour in validate(labs))
    except PaletteError as error:
        place = "palette" if error.index is None else f"palette[{error.index}]"
        raise NailStarError(f"{where}: {place}: {error}") from None


def _lab(value: Any, where: str) -> Lab:
    if isinstance(value, str) and _HEX.fullmatch(value):
        rgb = np.frombuffer(bytes.fromhex(value[1:]), np.uint8)
        lightness, a, b = (float(channel) for channel in srgb_to_lab(rgb))
        return lightness, a, b
    numbers = isinstance(value, list) and len(value) == 3
    if not numbers or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        raise NailStarError(f"{where}: neither [L, a, b] nor #rrggbb: {value!r:.40}")
    try:
        return float(value[0]), float(value[1]), float(value[2])
    except OverflowError:
        raise NailStarError(f"{where}: a number that is no colour") from None


def _more(fields: Mapping[str, Any], where: str) -> dict[str, Any]:
    more = {name: value for name, value in fields.items() if name not in _FIELDS}
    if not isinstance(more.get("composition", False), bool):
        raise NailStarError(f"{where}: composition: not true or false")
    if "binding" in more:
        binding = more["binding"]
        if not isinstance(binding, dict) or not isinstance(binding.get("family"), str):
            raise NailStarError(f"{where}: binding: not an object with a family")
    return more
