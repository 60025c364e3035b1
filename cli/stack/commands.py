"""`lunula up`, `lunula demo` and `lunula doctor`."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from cli.client.models import DEFAULT_REPOSITORY
from cli.console import console, errors_as_exit_codes
from cli.ports import DEFAULT_PORTS, addresses_from, free_addresses
from cli.stack import demo as demo_run
from cli.stack import doctor as doctor_run
from cli.stack.processes import Stack, StackOptions

_STATE = Path(".lunula/state")
Triton = Annotated[
    bool, typer.Option("--triton", help="Serve the models from the real Triton (needs `make triton` once).")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("up")(up)
    app.command("demo")(demo)
    app.command("doctor")(doctor)


def up(
    state: Annotated[Path, typer.Option(help="Where the catalogue, photos and logs are kept.")] = _STATE,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = DEFAULT_REPOSITORY,
    triton: Triton = False,
    milvus_uri: Annotated[
        str, typer.Option(help="A Milvus server, http://…; by default Milvus Lite under the state folder.")
    ] = "",
    port_base: Annotated[
        int,
        typer.Option(
            min=1,
            max=65_532,
            help="Port of the first service; the others have the next three: crop, embed, rank, classify.",
        ),
    ] = DEFAULT_PORTS["crop"],
) -> None:
    """Run the four services, one process each, until Ctrl-C or SIGTERM."""
    addresses = addresses_from(port_base)
    options = StackOptions(state, repository, addresses, triton=triton, milvus_uri=milvus_uri)
    # Both signals interrupt, so that a stack that is still starting stops as well. SIGINT is set too: a shell
    # without job control starts what it runs in the background with SIGINT ignored.
    for interrupting in (signal.SIGINT, signal.SIGTERM):
        signal.signal(interrupting, signal.default_int_handler)
    try:
        with errors_as_exit_codes(), Stack(options, report=console.print) as stack:
            console.print(f"ready; logs in {state / 'logs'}; Ctrl-C stops everything", markup=False)
            while True:
                stack.check()
                time.sleep(1.0)
    except KeyboardInterrupt:
        console.print("stopped")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pages.")] = Path("reports/demo"),
    repository: Annotated[Path, typer.Option(help="The model repository.")] = DEFAULT_REPOSITORY,
    catalogue: Annotated[Path, typer.Option(help="What to index.")] = DEFAULT_REPOSITORY.parent / "sample",
    triton: Triton = False,
) -> None:
    """Start everything, index the sample catalogue, search it in two languages and by colour, stop."""
    with errors_as_exit_codes():
        demo_run.run(
            out=out, repository=repository, catalogue=catalogue, triton=triton, addresses=free_addresses()
        )


def doctor(
    repository: Annotated[Path, typer.Option(help="The model repository.")] = DEFAULT_REPOSITORY,
) -> None:
    """Check this machine and installation, and say what to do about what is missing."""
    if not doctor_run.check(repository, console):
        raise typer.Exit(1)
