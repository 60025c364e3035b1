"""`lunula train`: training, which needs an environment of its own with torch."""

from __future__ import annotations

import importlib.util

import typer

from cli.console import errors
from cli.programs import PASS_ON, run_module

_NO_TORCH = 1


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    group = typer.Typer(help="Train models (needs the training environment).", no_args_is_help=True)
    group.command("design", context_settings=PASS_ON)(design)
    app.add_typer(group, name="train")


def design(context: typer.Context) -> None:
    """Train rows of paper N's table and leave their embeddings for `eval design`; --help lists everything."""
    if importlib.util.find_spec("torch") is None:
        errors.print(
            "[red]error:[/red] torch is not installed beside this interpreter. `make train-env` builds the "
            "training environment; then: .venv-train/bin/lunula train design …"
        )
        raise typer.Exit(_NO_TORCH)
    raise typer.Exit(run_module("training.design.rows", *context.args))
