"""The full encoders at the command line: list, fetch, export; docs/encoders.md says what they are for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from training.full.catalogue import ENCODERS, UnknownEncoder, encoder
from training.full.export import export, provenance
from training.full.fetch import download, fetch
from training.full.pins import pin_of
from training.kit.export.model import ExportError
from training.kit.pins import Pin, PinError, Progress, record, verify
from training.kit.weights import WeightsError

PROGRAM = "python -m training.full"
# Never in the folder of weights: who gives the files must not say which files are right.
OWN_PINS = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "lunula" / "pins.toml"
PINS_HELP = (
    "your own pins file, which fills what the shipped pins leave open (default: ~/.config/lunula/pins.toml)"
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Published encoders in place of the compact ones.",
        epilog="docs/encoders.md says what changes when one takes a compact model's place.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="what there is, and whether its files are pinned")
    listing.set_defaults(run=_list)

    getting = commands.add_parser(
        "fetch",
        help="download the pinned files of one (needs the network)",
        description="Downloads the files of NAME at the pinned revision and checks their checksums.",
    )
    getting.add_argument("name", metavar="NAME", help="one of: " + ", ".join(ENCODERS))
    getting.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")
    getting.add_argument("--pins", type=Path, metavar="FILE", help=PINS_HELP)
    getting.set_defaults(run=_fetch)

    making = commands.add_parser(
        "export",
        help="ONNX out of local files",
        description="Makes TO/<kind> (kind: image_align, image_style or text_encode) out of the files in "
        "DIR, after checking that they are the pinned ones. Nothing is downloaded.",
    )
    making.add_argument("name", metavar="NAME", help="one of: " + ", ".join(ENCODERS))
    source = making.add_mutually_exclusive_group(required=True)
    source.add_argument("--weights", type=Path, metavar="DIR", help="the folder with the published files")
    source.add_argument(
        "--tiny", action="store_true", help="random weights at a tiny size, to prove the route without files"
    )
    making.add_argument("--to", type=Path, required=True, metavar="REPOSITORY", help="a model repository")
    making.add_argument(
        "--fp16", action="store_true", help="store the weights as fp16; refused where embeddings turn too far"
    )
    making.add_argument("--pins", type=Path, metavar="FILE", help=PINS_HELP)
    making.add_argument(
        "--record-pin",
        action="store_true",
        help="where no checksum is published: hash the files in DIR, write the checksums to your pins file "
        "and take these files from now on; downloads nothing",
    )
    making.set_defaults(run=_export)
    return top


def _list(_: argparse.Namespace) -> None:
    rows = [("name", "kind", "embedding", "tokens", "input", "licence", "files")]
    for name, each in ENCODERS.items():
        facts, pin = each.facts, pin_of(name)
        tokens = "" if facts.tokens is None else f"{facts.tokens[0]} x {facts.tokens[1]}".replace("-1", "L")
        taken = f"{facts.image.size} px" if facts.image else f"{facts.text.longest} ids" if facts.text else ""
        files = f"no checksum of {', '.join(pin.unknown)}" if pin.unknown else "pinned"
        rows.append((name, facts.kind, str(facts.embedding), tokens, taken, pin.licence, files))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _fetch(given: argparse.Namespace) -> None:
    encoder(given.name)
    pin = pin_of(given.name, _own_pins(given))
    print(f"{given.name}: licence {pin.licence}")
    fetch(pin, given.out, download)
    print(f"next: {PROGRAM} export {given.name} --weights {given.out} --to REPOSITORY")


def _export(given: argparse.Namespace) -> None:
    chosen = encoder(given.name)
    torch.manual_seed(0)
    if given.tiny:
        chosen = chosen.tiny()
        pin, network = None, chosen.build()
    else:
        pin = _checked(given)
        network = chosen.load(given.weights)
    origin = provenance(chosen, _command(given), pin)
    report = export(chosen, network, given.to, origin=origin, half=given.fp16)
    print(f"{given.to / chosen.facts.kind}: {report.size / 2**20:.1f} MiB")
    for name, error in report.graph_error.items():
        line = f"  {name}: max abs error {error:.1e}, cosine {report.graph_cosine[name]:.6f} against torch"
        if given.fp16:
            line += f"; fp16 weights {report.half_error[name]:.1e}, {report.half_cosine[name]:.6f}"
        print(line)


def _checked(given: argparse.Namespace) -> Pin:
    """The complete pin that the files in `given.weights` fulfil."""
    if given.record_pin:
        target = given.pins or OWN_PINS
        pin = pin_of(given.name, target if target.exists() else None)
        complete = record(pin, given.weights, target, _bar())
        print(f"{target}: recorded {', '.join(complete.files)} of {complete.name}")
        return complete
    pin = pin_of(given.name, _own_pins(given))
    verify(pin, given.weights, _bar())
    return pin


def _own_pins(given: argparse.Namespace) -> Path | None:
    """The person's pins file: the given one, which must exist, or the usual one if it does."""
    if given.pins:
        return Path(given.pins)
    return OWN_PINS if OWN_PINS.exists() else None


def _bar() -> Progress:
    """Bytes hashed, one bar a file, on standard error."""
    from tqdm import tqdm

    bars: dict[str, Callable[[int], object]] = {}

    def progress(name: str, count: int) -> None:
        if name not in bars:
            bars[name] = tqdm(desc=f"checking {name}", unit="B", unit_scale=True, disable=None).update
        bars[name](count)

    return progress


def _command(given: argparse.Namespace) -> str:
    source = "--tiny" if given.tiny else "--weights DIR"
    return f"{PROGRAM} export {given.name} {source} --to REPOSITORY" + (" --fp16" if given.fp16 else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the work is done; 1 with a message where files, names or results are not as they must be."""
    given = parser().parse_args(arguments)
    try:
        given.run(given)
    except (PinError, WeightsError, ExportError, UnknownEncoder, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
