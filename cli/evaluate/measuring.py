"""Long measurements on an empty catalogue: photos are indexed, answers survive an interruption."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from rich.progress import Progress

from cli.client import indexing
from cli.client.models import DEFAULT_REPOSITORY
from cli.client.records import Record
from cli.console import errors
from cli.stack.own_stack import check_empty
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc


def digest_models(settings: str = "") -> str:
    """Eight hexadecimal digits for `settings` and the models of the own stack, on which answers depend."""
    made_with = hashlib.sha256(settings.encode())
    for path in sorted(DEFAULT_REPOSITORY.glob("*/model.toml")):
        made_with.update(path.read_bytes())
    return made_with.hexdigest()[:8]


class PartFile:
    """The lines of a run until it is complete: TARGET.DIGEST.part beside the file that it becomes.

    interrupted: whether an earlier run has left one; the half line at its end is dropped.
    """

    def __init__(self, target: Path, made_with: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path = target.with_name(f"{target.name}.{made_with}.part")
        self.interrupted = self.path.is_file()
        if self.interrupted:
            complete = self.path.read_text(encoding="utf-8").rpartition("\n")[0]
            self.path.write_text(f"{complete}\n" if complete else "", encoding="utf-8")

    def append(self, line: str) -> None:
        """Add a line, which ends with a line break."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)


async def index_photos(
    stub: rank_grpc.RankServiceAsyncStub,
    records: Sequence[Record],
    bar: Progress,
    *,
    own: Collection[str] = (),
    begin: Callable[[], object] = lambda: None,
    on_answer: Callable[[rank.IndexDesignsResponse], None] = lambda _: None,
) -> None:
    """Index `records` into a catalogue that is empty, or holds `own` designs of an interrupted run alone.

    begin: called before the first is indexed. What fails is printed. Raises RequestError for other designs.
    """
    task = bar.add_task("Indexing", total=len(records))
    await check_empty(stub, own)
    begin()

    def indexed(answer: rank.IndexDesignsResponse) -> None:
        on_answer(answer)
        bar.advance(task)

    outcome = await indexing.index(stub, records, on_answer=indexed)
    for design_id, error in outcome.failed.items():
        errors.print(f"not indexed: {design_id}: {error.message} [{error.reason}]", markup=False)
