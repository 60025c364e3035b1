"""Builds the weights of `text_encode` from the installed package: `python -m tools.text_encode.build`.

Nothing is downloaded and torch is not needed. The source files and the result are pinned by checksum; a file
that is already right is left alone, and a new one appears in one step.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from nails.language.word_pieces import SourceMismatch, file_sha256
from tools.text_encode.weights import load_source

DEFAULT_OUT = Path("triton_models/text_encode/1/model.onnx")


def expected_sha256(model_toml: Path) -> str:
    """The checksum that `model_toml` promises. Raises OSError, KeyError, TOMLDecodeError."""
    return str(tomllib.loads(model_toml.read_text("utf-8"))["model"]["weights_sha256"])


def build(out: Path, *, model_toml: Path | None = None) -> bool:
    """Make `out` the model that `model_toml` (by default of `out`'s model folder) names.

    Returns whether a file was written. Raises SourceMismatch if the package or the result is not the pinned
    one; then `out` is as it was.
    """
    expected = expected_sha256(model_toml or out.parent.parent / "model.toml")
    if out.is_file() and file_sha256(out) == expected:
        return False
    from tools.text_encode.graph import build_graph

    data = build_graph(load_source())
    out.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=out.parent, prefix=".building-")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        found = file_sha256(part)
        if found != expected:
            raise SourceMismatch(f"the model built has sha256 {found}, model.toml says {expected}")
        part.chmod(0o644)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when the file is right afterwards."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.text_encode.build",
        description="Convert the sentence encoder of the installed package to ONNX.",
    )
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_OUT, help="the file to write (default: %(default)s)"
    )
    parser.add_argument(
        "--model-toml", type=Path, help="the description that names its checksum (default: beside its folder)"
    )
    options = parser.parse_args(arguments)
    try:
        written = build(options.out, model_toml=options.model_toml)
    except SourceMismatch as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.out}: {'written' if written else 'already right'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
