"""The shipped pins of the published encoders, and their gaps filled from a pins file of the user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from training.kit.pins import Pin, PinError, read_pins

SHIPPED = Path(__file__).with_name("pins.toml")


def pin_of(encoder: str, recorded: Path | None = None) -> Pin:
    """The pin of an encoder, gaps filled from the pins file `recorded`.

    Raises PinError where there is none, or where `recorded` contradicts the shipped pin.
    """
    name = encoder.removesuffix("-text")  # both ways of a BEiT-3 are in one checkpoint
    shipped = read_pins(SHIPPED)
    if name not in shipped:
        raise PinError(f"{SHIPPED.name}: no pin for {name}")
    pin = shipped[name]
    if recorded is None:
        return pin
    own = read_pins(recorded).get(name)
    if own is None:
        return pin
    files = dict(pin.files)
    for path, sha256 in own.files.items():
        if path not in files:
            raise PinError(f"{recorded}: {name} has no file {path!r}")
        if files[path] and sha256 != files[path]:
            raise PinError(f"{recorded}: {name}.files.{path!r} contradicts the pinned {files[path]}")
        files[path] = sha256
    return replace(pin, files=files)
