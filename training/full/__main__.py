"""Published encoders in place of the compact ones: list, fetch, export.

docs/encoders.md says what changes when one takes a compact model's place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from training.full.catalogue import ENCODERS, UnknownEncoder, encoder
from training.full.export import export, provenance
from training.full.fetch import download, fetch
from training.full.pins import pin_of
from training.kit.export.model import ExportError
from training.kit.flags import Positional, arg, parse
from training.kit.pins import Pin, PinError, Progress, record, verify
from training.kit.weights import WeightsError

PROGRAM = "python -m training.full"
# Never in the folder of weights: who gives the files must not say which files are right.
OWN_PINS = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "lunula" / "pins.toml"
PINS_HELP = "pins of your own, which fill what the shipped ones leave open; else ~/.config/lunula/pins.toml"


Name = Positional[Annotated[str, arg(metavar="NAME", help="one of: " + ", ".join(ENCODERS))]]
OwnPins = Annotated[Path | None, arg(metavar="FILE", help=PINS_HELP)]
_Source = tyro.conf.create_mutex_group(required=True)


@dataclass(frozen=True)
class List:
    """What there is, and whether its files are pinned."""

    def run(self) -> None:
        """Print a table."""
        rows = [("name", "kind", "embedding", "tokens", "input", "licence", "files")]
        for name, each in ENCODERS.items():
            facts, pin = each.facts, pin_of(name)
            tokens = (
                "" if facts.tokens is None else f"{facts.tokens[0]} x {facts.tokens[1]}".replace("-1", "L")
            )
            taken = (
                f"{facts.image.size} px" if facts.image else f"{facts.text.longest} ids" if facts.text else ""
            )
            files = f"no checksum of {', '.join(pin.unknown)}" if pin.unknown else "pinned"
            rows.append((name, facts.kind, str(facts.embedding), tokens, taken, pin.licence, files))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@dataclass(frozen=True)
class Fetch:
    """Download the files of NAME at the pinned revision and check their checksums (needs the network)."""

    name: Name
    out: Annotated[Path, arg(metavar="DIR")]
    """where the files go"""
    pins: OwnPins = None

    def run(self) -> None:
        """Download what is not there yet."""
        encoder(self.name)
        pin = pin_of(self.name, _find_own_pins(self.pins))
        print(f"{self.name}: licence {pin.licence}")
        fetch(pin, self.out, download)
        print(f"next: {PROGRAM} export {self.name} --weights {self.out} --to REPOSITORY")


@dataclass(frozen=True)
class Export:
    """ONNX out of local files.

    Makes TO/<kind> (kind: image_align, image_style or text_encode) out of the files in DIR, after checking
    that they are the pinned ones. Nothing is downloaded.
    """

    name: Name
    to: Annotated[Path, arg(metavar="REPOSITORY")]
    """a model repository"""
    weights: Annotated[Path | None, arg(metavar="DIR"), _Source] = None
    """the folder with the published files"""
    tiny: Annotated[bool, _Source] = False
    """random weights at a tiny size, to prove the route without files"""
    fp16: bool = False
    """store the weights as fp16; refused where embeddings turn too far"""
    pins: OwnPins = None
    record_pin: bool = False
    """where no checksum is published: hash the files in DIR, write the checksums to your pins file and take
    these files from now on; downloads nothing"""

    def run(self) -> None:
        """Export, and print how far the graph is from torch."""
        chosen = encoder(self.name)
        torch.manual_seed(0)
        if self.weights is None:
            chosen = chosen.tiny()
            pin, network = None, chosen.build()
        else:
            pin = self._check_weights(self.weights)
            network = chosen.load(self.weights)
        origin = provenance(chosen, self._command(), pin)
        report = export(chosen, network, self.to, origin=origin, half=self.fp16)
        print(f"{self.to / chosen.facts.kind}: {report.size / 2**20:.1f} MiB")
        for name, error in report.graph_error.items():
            line = (
                f"  {name}: max abs error {error:.1e}, cosine {report.graph_cosine[name]:.6f} against torch"
            )
            if self.fp16:
                line += f"; fp16 weights {report.half_error[name]:.1e}, {report.half_cosine[name]:.6f}"
            print(line)

    def _check_weights(self, weights: Path) -> Pin:
        """The complete pin that the files in `weights` fulfil."""
        if self.record_pin:
            target = self.pins or OWN_PINS
            pin = pin_of(self.name, target if target.exists() else None)
            complete = record(pin, weights, target, _bar())
            print(f"{target}: recorded {', '.join(complete.files)} of {complete.name}")
            return complete
        pin = pin_of(self.name, _find_own_pins(self.pins))
        verify(pin, weights, _bar())
        return pin

    def _command(self) -> str:
        source = "--tiny" if self.tiny else "--weights DIR"
        return f"{PROGRAM} export {self.name} {source} --to REPOSITORY" + (" --fp16" if self.fp16 else "")


def _find_own_pins(given: Path | None) -> Path | None:
    """The person's pins file: the given one, which must exist, or the usual one if it does."""
    return given or (OWN_PINS if OWN_PINS.exists() else None)


def _bar() -> Progress:
    """Bytes hashed, one bar a file, on standard error."""
    from tqdm import tqdm

    bars: dict[str, Callable[[int], object]] = {}

    def progress(name: str, count: int) -> None:
        if name not in bars:
            bars[name] = tqdm(desc=f"checking {name}", unit="B", unit_scale=True, disable=None).update
        bars[name](count)

    return progress


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the work is done; 1 with a message where files, names or results are not as they must be."""
    command: List | Fetch | Export = parse(List | Fetch | Export, arguments, program=PROGRAM, about=__doc__)
    try:
        command.run()
    except (PinError, WeightsError, ExportError, UnknownEncoder, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
