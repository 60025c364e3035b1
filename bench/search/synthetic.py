"""Synthetic catalogues and requests of any size.

Vectors: a mixture of Gaussians around the real vectors of the sample's designs, so that they lie where
EmbedService's requests look for them and come in clusters of near designs, as styles do; isotropic vectors
would all be equally far from every request, which no catalogue is. Words, tags and palettes are those of
synthetic designs, mixed at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.report import SAMPLE
from cli.client.records import find
from lunula.embed.v1 import embed_service_pb2 as embed_pb
from lunula.embed.v1 import embed_service_pb2_grpc as embed_grpc
from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import palette_pb2, photo_pb2
from services.intake.messages import palette_colours
from services.kit.client import call
from services.rank.catalogue.rows import DesignText, IndexedDesign
from services.rank.catalogue.version import Space

ARTISTS = 100  # of equal size, so that a filter on one of them keeps a hundredth
CLUSTER = 40  # designs of one style, on average
_WITHIN = 0.3  # share of the variance that lies within a cluster
_ELSEWHERE = 0.1  # variance outside of what the sample spans, for full rank
_TEXTS = 200  # synthetic designs whose words and palettes are mixed

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Cloud:
    """Where real vectors lie.

    mean [D]; spread [n, D]: normal combinations of its rows have the covariance of the vectors.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def fit(cls, vectors: NDArray[np.float64]) -> Cloud:
        """The cloud that vectors [n, D] are samples of, n > 1."""
        mean = vectors.mean(axis=0)
        return cls(mean, (vectors - mean) / np.sqrt(len(vectors) - 1))

    def sample(self, count: int, seed: int) -> Matrix:
        """Unit vectors [count, D] in clusters; the same for the same seed and count."""
        rng = np.random.default_rng(seed)
        rows, width = self.spread.shape
        alone = np.sqrt(_ELSEWHERE * np.square(self.spread).sum() / width)

        def normal(some: int) -> NDArray[np.float64]:
            spanned: NDArray[np.float64] = rng.standard_normal((some, rows)) @ self.spread
            beyond: NDArray[np.float64] = alone * rng.standard_normal((some, width))
            return spanned + beyond

        centres = normal(max(1, count // CLUSTER)) * np.sqrt(1 - _WITHIN)
        popular = rng.lognormal(0.0, 1.0, len(centres))
        chosen = rng.choice(len(centres), count, p=popular / popular.sum())
        vectors = self.mean + centres[chosen] + np.sqrt(_WITHIN) * normal(count)
        unit: Matrix = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit


@dataclass(frozen=True)
class DesignWords:
    """A synthetic design's words and colours."""

    title: str
    description: str
    tags: tuple[str, ...]
    palette: palette_pb2.Palette
    requests: tuple[str, ...]


@lru_cache(maxsize=4)
def make_words(count: int, seed: int) -> tuple[DesignWords, ...]:
    """Words and colours of synthetic designs, in both languages."""
    from training.synth.design.designs import sample_design
    from training.synth.text.texts import write_texts

    rng = np.random.default_rng(seed)
    return tuple(_read_words(write_texts(rng, sample_design(rng), "val")) for _ in range(count))


def _read_words(texts: dict[str, Any]) -> DesignWords:
    palette = palette_pb2.Palette(
        colours=[
            palette_pb2.PaletteColour(
                colour=palette_pb2.LabColour(l=item["lab"][0], a=item["lab"][1], b=item["lab"][2]),
                weight=item["weight"],
                name=item["name"],
            )
            for item in texts["palette"]
        ]
    )
    return DesignWords(
        title=texts["title"],
        description=texts["description"],
        tags=tuple(texts["tags"]),
        palette=palette,
        requests=tuple(text["text"] for text in texts["texts"]),
    )


def make_requests(count: int, seed: int) -> list[pb.SearchDesignsRequest]:
    """Requests that differ from each other, of all kinds and both languages; every second with a palette."""
    found: dict[str, palette_pb2.Palette] = {}
    size = 0
    while len(found) < count:
        size += count // 6 + 10
        for design in make_words(size, seed):
            found |= dict.fromkeys(design.requests, design.palette)
    order = np.random.default_rng(seed).permutation(len(found))[:count]
    texts = list(found)
    return [
        pb.SearchDesignsRequest(text=texts[index], palette=found[texts[index]] if place % 2 else None)
        for place, index in enumerate(order)
    ]


def name_artist(number: int) -> str:
    """Id of the artist of design `number`."""
    return f"artist-{number % ARTISTS:03}"


def make_designs(
    vectors: Matrix, aligns: Matrix, space: Space, *, seed: int, start: int = 0
) -> Iterator[IndexedDesign]:
    """The designs from number `start` on, one a row of `vectors` [n, D] and `aligns` [n, D_a]."""
    pool = make_words(_TEXTS, seed)
    for number in range(start, len(vectors)):
        # Seeded by the number, so that filling can go on anywhere.
        words, tags, colours = np.random.default_rng((seed, number)).integers(len(pool), size=3)
        yield IndexedDesign(
            text=DesignText(
                design_id=f"d{number:07}",
                title=pool[words].title,
                description=pool[words].description,
                artist_id=name_artist(number),
                tags=pool[tags].tags,
                attributes=(),
                context="",
            ),
            vector=vectors[number].tolist(),
            photo=f"aa/{number:064x}.jpg",
            digest=f"{number:064x}",
            fingerprint=space.fingerprint,
            palette=palette_colours(pool[colours].palette),
            crop_box=(0.0, 0.0, 1.0, 1.0),
            index_time_ms=0,
            companions={"align": aligns[number].tolist()},
        )


async def fit_clouds(embed: embed_grpc.EmbedServiceAsyncStub) -> tuple[Cloud, Cloud]:
    """Where the sample's designs lie in the spaces "design" and "align", as EmbedService sees them."""
    made: list[tuple[Sequence[float], Sequence[float]]] = []
    for record in find(SAMPLE):
        text = "\n".join(part for part in (record.title, record.description) if part)
        design = embed_pb.DesignInput(photo=photo_pb2.Photo(data=record.photo.read_bytes()), text=text)
        response: embed_pb.EmbedDesignsResponse = await call(
            embed.EmbedDesigns, embed_pb.EmbedDesignsRequest(designs=[design]), timeout=60
        )
        vectors = response.items[0].embedding
        made.append((vectors.design.values, vectors.align.values))
    return Cloud.fit(np.array([one for one, _ in made])), Cloud.fit(np.array([one for _, one in made]))
