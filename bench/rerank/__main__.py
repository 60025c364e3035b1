"""What the aesthetic score costs a search, and what image tokens take of a disk.

    python -m bench rerank [--designs 2000] [--milvus lite|server|both] [--requests 100] [--json FILE]

Scoring the head of a list, 200 designs with the tags of one request: reading their tokens from the catalogue,
unpacking them, the model behind RankService's own queue, and all of it as a search does it, beside the bare
model, ONNX Runtime with one thread on the same arrays, in turns. Then SearchDesigns itself with the aesthetic
score off and on, over real services in processes of their own, one and four requests in flight; there only
the designs of the head that fit are scored. Catalogues are synthetic (bench.search.synthetic) with the tokens
of the sample's photos. Bytes of a design: packed, as a text, and on disk.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import Progress

from bench.callers import in_thread, take_turns, times_over
from bench.report import REPOSITORY, print_table, read_options, refuse, wide_console, write_figures
from bench.rerank.catalogue import bytes_on_disk, embed_sample_tokens, fill
from bench.search.synthetic import fit_clouds, make_requests
from bench.search.tables import Row, make_row, show
from bench.services import running_service
from cli.stack.memory import proportional_bytes
from lunula.embed.v1 import embed_service_pb2_grpc as embed_grpc
from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.rank.v1.rank_service_pb2_grpc import RankServiceStub
from nails.aesthetic.rerank import AESTHETIC, DEFAULT_HEAD, DEFAULT_WEIGHT
from nails.fusion import Logistic
from services.kit.client import call, connect
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.inference.config import read_config
from services.kit.inference.local import LocalBackend, load_session
from services.kit.retry import Backoff
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.store import Store
from services.rank.catalogue.tokens import TOKENS, TokenBatch, decode_tokens
from services.rank.catalogue.version import Version
from services.rank.catalogue.view import View
from services.rank.clients.embed import EmbedClient
from services.rank.clients.upstream_call import Budget
from services.rank.request import SearchRequest
from services.rank.rerank.aesthetic import AestheticReranker, Defaults
from services.rank.rerank.aesthetic_model import AestheticModel, tag_matrix
from services.rank.rerank.base import ScoredCandidates
from services.rank.upstream import EmbeddedQuery, Vector
from tools.milvus_server import LAUNCHER, running

IN_FLIGHT = (1, 4)
_TAGS = ("wedding", "marble")
_HEADS = 20  # different ones; they come again and again
_NEVER = Deadline.never()
_SHARES, _MAPS = {"design": 1.0}, {"design": Logistic(0.75, 0.15)}
_REQUEST = SearchRequest("", (), None, "", "", "", {})


@dataclass(frozen=True)
class Options:
    """What `python -m bench rerank` takes."""

    designs: int = 2_000
    """size of the catalogue"""
    milvus: Literal["lite", "server", "both"] | None = None
    """what is installed, where it is not given"""
    requests: int = 100
    """times that each is asked"""
    json: Path | None = None
    """file for the figures"""
    state: Path = Path(".lunula/bench-rerank")
    """where things are kept"""


def sample_heads(count: int) -> list[list[str]]:
    """Ids of designs that might be the head of a list, 200 of `count` each."""
    rng = np.random.default_rng(5)
    return [[f"d{n:07}" for n in rng.choice(count, DEFAULT_HEAD, replace=False)] for _ in range(_HEADS)]


async def read_digests(view: View, ids: Sequence[str]) -> dict[str, str]:
    """What the first step of a search brings along of these designs."""
    rows = await view.read(ids, ("design_id", "digest"))
    return {design_id: str(row["digest"]) for design_id, row in rows.items()}


async def parts_section(
    milvus: Milvus,
    version: Version,
    embed: EmbedClient,
    tags: Sequence[Vector],
    count: int,
    times: int,
    name: str,
) -> list[Row]:
    """Every part of scoring 200 designs, and the whole, beside the bare model."""
    view, threads = Store(milvus).at(version, _NEVER), WorkThreads(2)
    backend = LocalBackend(REPOSITORY, (AESTHETIC,))
    model = AestheticModel(backend)
    reranker = AestheticReranker(
        model=model,
        embed=embed,
        threads=threads,
        defaults=Defaults(DEFAULT_WEIGHT, DEFAULT_HEAD),
        timeout_s=60,
        forget=lambda _: None,
    )
    plan = reranker.plan(_REQUEST, None, first_page=True)
    query = EmbeddedQuery(Vector((), ""), (), (), tuple(tags), ())
    space = TOKENS.space(version.space)
    assert space is not None
    try:
        scorer = await model.get()
        matrix = tag_matrix(scorer, tags)
        session = load_session(read_config(REPOSITORY / AESTHETIC), 1)
        lists = [await read_digests(view, ids) for ids in sample_heads(count)]
        rows = [await view.read_current(TOKENS.name, digests, (TOKENS.name,)) for digests in lists]
        batches = [decode_tokens(one, space) for one in rows]
        assert all(len(batch.ids) == DEFAULT_HEAD for batch in batches)
        tag = np.tile(matrix, (DEFAULT_HEAD, 1, 1))
        mask = np.ones(tag.shape[:2], np.float32)

        def bare(batch: TokenBatch) -> Any:
            return session.run(
                None, {"tokens": batch.tokens, "align": batch.align, "tag": tag, "tag_mask": mask}
            )

        async def read(digests: Mapping[str, str]) -> Any:
            return await view.read_current(TOKENS.name, digests, (TOKENS.name,))

        async def unpack(one: Any) -> Any:
            return await threads.run(decode_tokens, one, space)

        async def infer(batch: TokenBatch) -> Any:
            return await model.score(scorer, batch.tokens, batch.align, matrix, _NEVER)

        async def whole(digests: Mapping[str, str]) -> Any:
            measures = {design_id: {"design": 0.8} for design_id in digests}
            ranking = await plan.rerank(ScoredCandidates(measures, digests, _SHARES, _MAPS), query, view)
            assert not ranking.unavailable, ranking.unavailable
            return None

        def again(items: Sequence[Any]) -> list[Any]:
            return [items[number % len(items)] for number in range(times)]

        taken = await take_turns(
            {
                "bare model": (in_thread(bare), again(batches)),
                "read": (read, again(lists)),
                "unpack": (unpack, again(rows)),
                "infer": (infer, again(batches)),
                "score and reorder, whole": (whole, again(lists)),
            },
            1,
        )
    finally:
        threads.close()
        await backend.close()
    return [
        make_row(
            what,
            name,
            one,
            1,
            over_bare=None if what == "bare model" else times_over(one, taken["bare model"]),
        )
        for what, one in taken.items()
    ]


async def search_section(address: str, pids: Sequence[int], times: int, name: str) -> list[Row]:
    """SearchDesigns with the aesthetic score off and on; *over bare* is over itself with it off."""
    rows = []
    async with connect(address) as channel:
        stub = RankServiceStub(channel)

        def ask(weight: float) -> Any:
            async def one(request: pb.SearchDesignsRequest) -> pb.SearchDesignsResponse:
                sent = pb.SearchDesignsRequest()
                sent.CopyFrom(request)
                sent.aesthetic_weight = weight
                response: pb.SearchDesignsResponse = await call(stub.SearchDesigns, sent, timeout=60)
                assert not (weight and "aesthetic" in response.unavailable_channels)
                return response

            return one

        for number, in_flight in enumerate(IN_FLIGHT):
            asked = make_requests(2 * times, seed=40 + number)
            taken = await take_turns(
                {"off": (ask(0.0), asked[::2]), "on": (ask(0.1), asked[1::2])}, in_flight, processes=pids
            )
            rows.append(make_row("SearchDesigns, aesthetic score off", name, taken["off"], in_flight))
            over = times_over(taken["on"], taken["off"])
            rows.append(
                make_row("SearchDesigns, aesthetic score on", name, taken["on"], in_flight, over_bare=over)
            )
    return rows


async def measure(options: Options, progress: Progress) -> tuple[list[Row], dict[str, Any]]:
    """All sections."""
    rows: list[Row] = []
    facts: dict[str, Any] = {"designs": options.designs}
    milvus_kind = options.milvus or ("both" if LAUNCHER.exists() else "lite")
    with ExitStack() as resources:
        log = options.state / "embed.log"
        embed = resources.enter_context(
            running_service("services.embed", log, "--backend=local", f"--model-repository={REPOSITORY}")
        )
        backend = LocalBackend(REPOSITORY, (AESTHETIC,))
        scorer = await AestheticModel(backend).get()
        await backend.close()
        async with connect(embed[0]) as channel:
            stub = embed_grpc.EmbedServiceStub(channel)
            client = EmbedClient(channel, timeout_s=60, space_ttl_s=0)
            budget = Budget(_NEVER, Backoff())
            space = await client.space(budget, packing=scorer.packing)
            clouds, sample = await fit_clouds(stub), await embed_sample_tokens(stub)
            tags = await client.embed_texts(_TAGS, {}, budget)
        tokens = TOKENS.space(space)
        assert tokens is not None
        packed = tokens.packing.size(tokens.dims)
        facts |= {
            "model": scorer.version.fingerprint,
            "grid": scorer.packing.grid,
            "bits": scorer.packing.bits,
            "packed_bytes": packed,
            "with_vector_bytes": tokens.size,
            "text_bytes": 4 * -(-tokens.size // 3),
        }
        folder = options.state / tokens.fingerprint[:12]
        folder.mkdir(parents=True, exist_ok=True)
        for kind in ("lite", "server") if milvus_kind == "both" else (milvus_kind,):
            name = f"{options.designs:,} on {'Milvus Lite' if kind == 'lite' else 'a Milvus server'}"
            with ExitStack() as stack:
                uri = str(folder / f"lite-{options.designs}.db")
                if kind == "server":
                    uri, _ = stack.enter_context(running(folder / "server"))
                milvus = Milvus(uri, timeout_s=300)
                task = progress.add_task(f"filling {name}", total=options.designs)
                try:
                    version = await fill(
                        milvus,
                        f"rerank{options.designs}",
                        space,
                        clouds,
                        sample,
                        options.designs,
                        partial(progress.advance, task),
                    )
                    rows += await parts_section(
                        milvus, version, client, tags, options.designs, options.requests, name
                    )
                finally:
                    await milvus.close()
                if kind == "lite":
                    facts["disk_bytes"] = {
                        part: bytes_on_disk(Path(uri), collection) / options.designs
                        for part, collection in zip(
                            ("tokens", "crop's vector", "design"), version.collections, strict=True
                        )
                    }
                address, pid = stack.enter_context(
                    running_service(
                        "services.rank",
                        options.state / "rank.log",
                        f"--embed-address={embed[0]}",
                        f"--milvus-uri={uri}",
                        f"--catalogue=rerank{options.designs}",
                        f"--blob-dir={options.state / 'photos'}",
                        f"--model-repository={REPOSITORY}",
                    )
                )
                rows += await search_section(address, [pid, embed[1]], options.requests, name)
                facts.setdefault("rank_memory_bytes", {})[kind] = proportional_bytes(pid)
    return rows, facts


def show_bytes(facts: dict[str, Any], console: Console) -> None:
    """Print what a design takes."""
    sizes = {
        "tokens, packed": f"{facts['packed_bytes']:,}",
        "with the photo's vector": f"{facts['with_vector_bytes']:,}",
        "as a text": f"{facts['text_bytes']:,}",
    }
    for part, size in facts.get("disk_bytes", {}).items():
        sizes[f"on disk in Milvus Lite: {part}"] = f"{size:,.0f}"
    title = f"bytes a design, grid {facts['grid']}, {facts['bits']} bits"
    print_table(("what", "bytes"), sizes.items(), console=console, title=title, numbers_from=1)
    for kind, size in facts.get("rank_memory_bytes", {}).items():
        console.print(f"RankService on {kind}: {size / 2**20:.0f} MiB", highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its tables."""
    options = read_options(Options, "python -m bench rerank", __doc__, arguments)
    if options.requests < 20 or options.designs < 2 * DEFAULT_HEAD:
        refuse(f"at least 20 requests and {2 * DEFAULT_HEAD} designs")
    if not (REPOSITORY / AESTHETIC / "config.pbtxt").is_file():
        sys.exit("there is no model `aesthetic` in triton_models")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    options.state.mkdir(parents=True, exist_ok=True)
    with Progress(console=Console(stderr=True)) as progress:
        rows, facts = asyncio.run(measure(options, progress))
    console = wide_console(150)
    show(rows, console)
    show_bytes(facts, console)
    write_figures(options.json, {**facts, "rows": [asdict(item) for item in rows]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
