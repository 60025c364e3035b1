"""`lunula train`: training, which runs in an environment of its own, with torch."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import typer

from cli.console import errors
from cli.workbench.programs import PASS_ON, run_module

_NO_TORCH = 1


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    group = typer.Typer(help="Train models (needs `make train-env`).", no_args_is_help=True)
    group.command("design", context_settings=PASS_ON)(design)
    group.command("artist", context_settings=PASS_ON)(artist)
    group.command("aesthetic", context_settings=PASS_ON)(aesthetic)
    app.add_typer(group, name="train")


def design(context: typer.Context) -> None:
    """Train the design models and every row of paper N's table; --help lists the steps."""
    _train("training.design.rows", *context.args)


def artist(context: typer.Context) -> None:
    """Train paper A's models of artists: STEP … --data DIR --out RUN; --help lists the steps."""
    _train("training.artist", *context.args)


def aesthetic(context: typer.Context) -> None:
    """Train paper Q's aesthetic models: STEP … --data DIR --out RUN; --help lists the steps."""
    _train("training.aesthetic", *context.args)


def _train(module: str, *args: str) -> None:
    """Run a program of the training environment and end with its exit code."""
    interpreter = trainer()
    if interpreter is None:
        errors.print(
            "[red]error:[/red] there is no torch here: build the training environment with `make train-env`"
        )
        raise typer.Exit(_NO_TORCH)
    raise typer.Exit(run_module(module, *args, interpreter=interpreter))


def trainer() -> Path | None:
    """The interpreter that trains: this one if it has torch, else `.venv-train` beside this environment."""
    if importlib.util.find_spec("torch") is not None:
        return Path(sys.executable)
    beside = Path(sys.prefix).parent / ".venv-train" / "bin" / "python"
    return beside if beside.exists() else None
