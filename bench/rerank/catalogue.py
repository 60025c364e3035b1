"""A synthetic catalogue whose designs have image tokens, for bench.rerank."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from bench.report import SAMPLE
from bench.search.synthetic import Cloud, make_designs
from cli.client.records import find
from lunula.embed.v1 import embed_service_pb2 as embed_pb
from lunula.embed.v1 import embed_service_pb2_grpc as embed_grpc
from lunula.type.v1 import photo_pb2
from nails.aesthetic.tokens import Packing, pack, unpack
from services.kit.client import call
from services.kit.deadline import Deadline
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.rows import IndexedDesign
from services.rank.catalogue.store import Store
from services.rank.catalogue.tokens import TOKENS, TokenSpace, encode_tokens
from services.rank.catalogue.version import Space, Version
from services.rank.catalogue.versions import Catalogue
from services.rank.upstream import ImageTokens

_WRITE_ROWS = 200
_NOISE = 0.05
_SEED = 23
_NEVER = Deadline.never()
_WHOLE = Packing(7, 16)


@dataclass(frozen=True)
class SampleTokens:
    """Of one photo: whole tokens in the packing _WHOLE, and its vector in the space "align"."""

    data: bytes
    align: tuple[float, ...]


async def embed_sample_tokens(embed: embed_grpc.EmbedServiceAsyncStub) -> list[SampleTokens]:
    """The whole tokens of the sample's photos, as EmbedService makes them."""
    found = []
    for record in find(SAMPLE):
        request = embed_pb.EmbedDesignsRequest(
            designs=[embed_pb.DesignInput(photo=photo_pb2.Photo(data=record.photo.read_bytes()))],
            token_packing=embed_pb.TokenPacking(grid=_WHOLE.grid, bits=_WHOLE.bits),
        )
        response: embed_pb.EmbedDesignsResponse = await call(embed.EmbedDesigns, request, timeout=60)
        made = response.items[0].embedding
        found.append(SampleTokens(made.tokens.data, tuple(made.photo_align.values)))
    return found


def add_tokens(
    rows: Iterator[IndexedDesign], sample: Sequence[SampleTokens], space: TokenSpace, *, start: int
) -> Iterator[IndexedDesign]:
    """The designs with tokens of the sample's photos, each a little changed, so that none are equal."""
    whole = [unpack(one.data, _WHOLE, space.dims).astype(np.float32) for one in sample]
    for number, row in enumerate(rows, start=start):
        rng = np.random.default_rng((_SEED, number))
        tokens = whole[number % len(whole)]
        changed = tokens + _NOISE * tokens.std() * rng.standard_normal(tokens.shape)
        align = np.asarray(sample[number % len(sample)].align) + 0.01 * rng.standard_normal(space.align_dims)
        align /= np.linalg.norm(align)
        data = pack(changed.astype(np.float32), space.packing)
        packed = ImageTokens(data, space.packing, space.dims, space.fingerprint)
        text = encode_tokens(packed, align.tolist(), space)
        yield replace(row, companions={**row.companions, TOKENS.name: text})


async def fill(
    milvus: Milvus,
    name: str,
    space: Space,
    clouds: tuple[Cloud, Cloud],
    sample: Sequence[SampleTokens],
    count: int,
    on_written: Callable[[int], None],
) -> Version:
    """The catalogue `name` with so many designs; goes on where an earlier run stopped."""
    store = Store(milvus)

    async def read_space() -> Space:
        return space

    version = await Catalogue(milvus, store, name).live_or_first(read_space, _NEVER)
    tokens = TOKENS.space(version.space)
    if tokens is None:
        raise SystemExit(f"error: the catalogue {name} of an earlier run keeps no tokens: remove --state")
    view = store.at(version, _NEVER)
    there = await view.count() // _WRITE_ROWS * _WRITE_ROWS
    on_written(there)
    vectors, aligns = clouds[0].sample(count, _SEED), clouds[1].sample(count, _SEED + 1)
    designs = make_designs(vectors, aligns, space, seed=_SEED, start=there)
    rows = add_tokens(designs, sample, tokens, start=there)
    while batch := list(islice(rows, _WRITE_ROWS)):
        await view.upsert(batch)
        on_written(len(batch))
    await view.flush(least_rows=0)
    return version


def bytes_on_disk(folder: Path, collection: str) -> int:
    """Of one collection of Milvus Lite, with its log."""
    return sum(
        path.stat().st_size for path in (folder / "collections" / collection).rglob("*") if path.is_file()
    )
