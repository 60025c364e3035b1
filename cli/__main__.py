"""Entry point of `lunula`: puts the commands together."""

from __future__ import annotations

import typer

from cli.client import aesthetic, artists, models, photos
from cli.client import commands as catalogue
from cli.evaluate import commands as evaluation_commands
from cli.stack import commands as stack_commands
from cli.workbench import data, train

app = typer.Typer(
    name="lunula",
    help="Find nail designs from a sentence, palette colours, a reference photo, or an occasion.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
)
stack_commands.register(app)
catalogue.register(app)
photos.register(app)
aesthetic.register(app)
artists.register(app)
models.register(app)
data.register(app)
train.register(app)
evaluation_commands.register(app)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
