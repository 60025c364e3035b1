"""`lunula eval`: figures on labelled data."""

from __future__ import annotations

import typer

from cli.evaluate.aesthetic import command as aesthetic
from cli.evaluate.aesthetic import rerank_command, sweep_command
from cli.evaluate.artist import command as artist
from cli.evaluate.perception import hands_command, segmentation_command
from cli.evaluate.retrieval import channels_command, design_command
from cli.evaluate.retrieval import command as retrieval


def register(app: typer.Typer) -> None:
    """Add `lunula eval` and its commands to `app`."""
    group = typer.Typer(help="Measure against labelled data.", no_args_is_help=True)
    group.command("retrieval")(retrieval.retrieval)
    group.command("segmentation")(segmentation_command.segmentation)
    group.command("hands")(hands_command.hands)
    group.command("design")(design_command.design)
    group.command("channels")(channels_command.channels)
    group.command("artist")(artist.artist)
    group.command("aesthetic")(aesthetic.aesthetic)
    group.command("aesthetic-sweep")(sweep_command.aesthetic_sweep)
    group.command("rerank")(rerank_command.rerank)
    group.command("errors")(design_command.error_counts)
    app.add_typer(group, name="eval")
