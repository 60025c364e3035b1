"""`lunula data`: synthetic photographs, requests for them in NAIL-STAR's form, and works of artists."""

from __future__ import annotations

import typer

from cli.workbench import artists_data, nailstar_data
from cli.workbench.programs import PASS_ON, run_module


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    group = typer.Typer(help="Draw synthetic photographs and look at them.", no_args_is_help=True)
    group.command("synth", context_settings=PASS_ON)(synth)
    group.command("sheet", context_settings=PASS_ON)(sheet)
    group.command("held-out")(held_out)
    group.command("degraded", context_settings=PASS_ON)(degraded)
    nailstar_data.register(group)
    artists_data.register(group)
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


def degraded(context: typer.Context) -> None:
    """Draw sets photographed from bad to good: --n 40 --steps 5 --seed 3 --out DIR; --help lists all."""
    raise typer.Exit(run_module("training.synth.degradation", *context.args))


def _generator(*args: str) -> None:
    """Run the generator and end with its exit code."""
    raise typer.Exit(run_module("training.synth", *args))
