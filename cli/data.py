"""`lunula data`: synthetic photographs."""

from __future__ import annotations

import subprocess
import sys

import typer

_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    group = typer.Typer(help="Draw synthetic photographs and look at them.", no_args_is_help=True)
    group.command("synth", context_settings=_PASS_ON)(synth)
    group.command("sheet", context_settings=_PASS_ON)(sheet)
    group.command("held-out")(held_out)
    app.add_typer(group, name="data")


def synth(context: typer.Context) -> None:
    """Draw photographs: --kind designs --n 20000 --seed 7 --out DIR; --help lists everything."""
    _generator(*context.args)


def sheet(context: typer.Context) -> None:
    """Draw a contact sheet: --kind aesthetics --seed 7 --out sheet.png; --help lists everything."""
    _generator("sheet", *context.args)


def held_out() -> None:
    """Print, as JSON, the words, colour pairs, sentence templates and stories that training never meets."""
    _generator("held-out")


def _generator(*args: str) -> None:
    """Run the generator and end with its exit code.

    A program of its own: it belongs to training, which the client does not import.
    """
    try:
        code = subprocess.run([sys.executable, "-m", "training.synth", *args], check=False).returncode
    except KeyboardInterrupt:  # the generator has said so itself
        code = _INTERRUPTED
    raise typer.Exit(code)
