"""Pinned files: what a published model is made of, and whether a folder holds exactly that.

Nothing is read as weights before its checksum is right. A pin without a checksum refuses every file until the
person records what they have in a pins file of their own, which fills gaps of the shipped pins and never
overrides them.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

PIECE = 1 << 22  # bytes hashed between two reports of progress
SHA256 = re.compile(r"[0-9a-f]{64}")
Progress = Callable[[str, int], None]  # file, further bytes


class PinError(ValueError):
    """A pins file, or files of weights, that are not as pinned."""


@dataclass(frozen=True)
class Pin:
    """A published model. `repository`: of the hub, or the address of a folder. `files`: sha256 by path, empty
    where unknown."""

    name: str
    repository: str
    revision: str
    licence: str
    files: Mapping[str, str]

    @property
    def unknown(self) -> list[str]:
        """Files without a checksum."""
        return [path for path, sha256 in self.files.items() if not sha256]


def read_pins(path: Path) -> dict[str, Pin]:
    """The pins of a TOML file by name of the model. Raises PinError naming file, model and field."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise PinError(f"{path}: {error}") from error
    return {name: _pin(path, name, table) for name, table in tables.items()}


def _pin(path: Path, name: str, table: object) -> Pin:
    if not isinstance(table, dict):
        raise PinError(f"{path}: {name} is not a table")
    texts: dict[str, str] = {}
    for field in ("repository", "revision", "licence"):
        value = table.get(field)
        if not isinstance(value, str):
            raise PinError(f"{path}: {name}.{field} is not a text")
        texts[field] = value
    files = table.get("files")
    if not isinstance(files, dict) or not files:
        raise PinError(f"{path}: {name}.files is not a table of paths")
    for file, sha256 in files.items():
        if not isinstance(sha256, str) or (sha256 and not SHA256.fullmatch(sha256)):
            raise PinError(f"{path}: {name}.files.{file!r} is no sha256 (64 lower-case hex digits, or empty)")
        if Path(file).is_absolute() or ".." in Path(file).parts:
            raise PinError(f"{path}: {name}.files.{file!r} lies outside the folder of weights")
    return Pin(name=name, files=files, **texts)


def sha256_of(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """sha256 hex of a file, read in pieces. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
            if progress:
                progress(len(piece))
    return digest.hexdigest()


def measured(pin: Pin, folder: Path, progress: Progress | None = None) -> dict[str, str]:
    """sha256 of every file of `pin` in `folder`. Raises PinError naming the files that are not there."""
    absent = [path for path in pin.files if not (folder / path).is_file()]
    if absent:
        raise PinError(f"{folder}: {pin.name} needs {', '.join(absent)} of {pin.repository}, {pin.revision}")
    return {
        path: sha256_of(folder / path, partial(progress, path) if progress else None) for path in pin.files
    }


def verify(pin: Pin, folder: Path, progress: Progress | None = None) -> dict[str, str]:
    """sha256 of every file of `pin` in `folder`, all as pinned.

    Raises PinError: a file is absent, has no pinned checksum, or is another one.
    """
    if pin.unknown:
        raise PinError(
            f"{pin.name}: no checksum is known of {', '.join(pin.unknown)}, so nothing says that your files "
            "are the published ones. If you trust where you have them from, run the same command with "
            f"--record-pin: it downloads nothing, hashes the files in {folder} and writes the checksums to a "
            "pins file of yours."
        )
    found = measured(pin, folder, progress)
    wrong = [
        f"{folder / path} has sha256 {sha256}, pinned is {pin.files[path]}"
        for path, sha256 in found.items()
        if sha256 != pin.files[path]
    ]
    if wrong:
        raise PinError(f"{pin.name}: not the pinned files\n  " + "\n  ".join(wrong))
    return found


def record(pin: Pin, folder: Path, target: Path, progress: Progress | None = None) -> Pin:
    """Hashes the files of `pin` in `folder` and writes their checksums to the pins file `target`, where other
    models stay. Returns the complete pin.

    Raises PinError where a file is absent or differs from a checksum that is pinned already.
    """
    found = measured(pin, folder, progress)
    for path, sha256 in found.items():
        if pin.files[path] and pin.files[path] != sha256:
            raise PinError(f"{folder / path} has sha256 {sha256}, pinned is {pin.files[path]}")
    complete = replace(pin, files=found)
    pins = read_pins(target) if target.exists() else {}
    pins[pin.name] = complete
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(_toml(each) for each in pins.values()), encoding="utf-8")
    return complete


def _toml(pin: Pin) -> str:
    lines = [f"[{json.dumps(pin.name)}]"]
    lines += [
        f"{field} = {json.dumps(getattr(pin, field))}" for field in ("repository", "revision", "licence")
    ]
    lines += [f"[{json.dumps(pin.name)}.files]"]
    lines += [f"{json.dumps(path)} = {json.dumps(sha256)}" for path, sha256 in pin.files.items()]
    return "\n".join(lines) + "\n"
