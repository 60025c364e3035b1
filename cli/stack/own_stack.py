"""A stack with an empty catalogue, for a command that measures and leaves nothing behind."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli.client.models import DEFAULT_REPOSITORY
from cli.console import errors
from cli.errors import RequestError
from cli.ports import Addresses, free_addresses
from cli.stack.processes import Stack, StackOptions
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from services.kit.client import call

EmptyRank = Annotated[
    str,
    typer.Option(
        "--rank",
        help="RankService with an empty catalogue; by default a stack of its own is started and stopped.",
        metavar="HOST:PORT",
    ),
]
"""The option of commands that fill a catalogue to measure on it."""


_LISTED = 1_000


async def check_empty(stub: rank_grpc.RankServiceAsyncStub, own: Collection[str] = ()) -> None:
    """Looks at the live catalogue before anything is indexed into it.

    own: ids that may be there already, from a run that was interrupted. Raises RequestError for any other
    design, LunulaError.
    """
    allowed = set(own)
    request = rank.ListDesignsRequest(page_size=_LISTED if allowed else 1)
    while True:
        response: rank.ListDesignsResponse = await call(stub.ListDesigns, request, timeout=60.0)
        others = [design.design_id for design in response.designs if design.design_id not in allowed]
        if others or response.total_size > len(allowed):
            which = f", such as {others[0]!r}" if others else ""
            raise RequestError(
                f"the catalogue is not empty (designs: {response.total_size:,}{which}). Nothing was indexed; "
                "name a RankService with an empty one, or leave --rank away"
            )
        if not response.next_page_token:
            return
        request.page_token = response.next_page_token


@contextmanager
def own_stack(*, triton: bool = False) -> Iterator[Addresses]:
    """Starts the services on free ports, and removes them and what they stored at the end."""
    with tempfile.TemporaryDirectory(prefix="lunula-eval-") as state:
        options = StackOptions(Path(state), DEFAULT_REPOSITORY, free_addresses(), triton=triton)
        with Stack(options, report=lambda line: errors.print(f"[dim]{line}[/dim]")):
            yield options.addresses
