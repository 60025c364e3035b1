"""`lunula data`: synthetic photographs."""

from __future__ import annotations

import subprocess
import sys

import typer

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    group = typer.Typer(help="Draw synthetic photographs and look at them.", no_args_is_help=True)
    group.command("synth", context_settings=_PASS_ON)(synth)
    app.add_typer(group, name="data")


def synth(context: typer.Context) -> None:
    """Draw photographs: --kind designs --n 20000 --seed 7 --out DIR; --help lists everything."""
    # A program of its own: the generator belongs to training, which the client does not import.
    finished = subprocess.run([sys.executable, "-m", "training.synth", *context.args], check=False)
    raise typer.Exit(finished.returncode)
