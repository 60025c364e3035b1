"""A channel of a search: one way in which designs can match a request, in one file.

A channel looks at the request (`prepare`). Where the request has input for it, the channel becomes a
`Retriever`: that returns candidates from the index, and scores exactly any designs that other channels found.
A design that a channel cannot measure is left out of its scores: its term then contributes 0, and its note or
raw value of 0 is not a measurement.

To add a channel: a file beside this one, a line in `channels/__init__.py`, its weight in the message
`ChannelWeights`, and tests.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nails.fusion import Map, Term
from services.kit.models import ModelVersion
from services.rank.catalogue.rows import LIGHT_FIELDS
from services.rank.catalogue.view import Found, Row, View
from services.rank.clients.crop import CropClient
from services.rank.clients.embed import EmbedClient
from services.rank.clients.upstream_call import Budget
from services.rank.photos.store import Photos
from services.rank.request import SearchRequest
from services.rank.upstream import EmbeddedQuery


class ChannelUnavailable(Exception):
    """The request has input for a channel that this server cannot serve; the text says why, for people."""


@dataclass(frozen=True)
class Preparation:
    """What channels may use to prepare themselves for a request.

    query: the embedded text, shared by all channels; None where the request has no words and no colours.
    """

    request: SearchRequest
    view: View
    query: asyncio.Task[EmbeddedQuery | None]
    crop: CropClient
    embed: EmbedClient
    photos: Photos
    budget: Budget


@dataclass(frozen=True)
class Scope:
    """Where a retriever looks. fields: of the designs' rows that its candidates are to bring along."""

    view: View
    expression: str
    limit: int
    fields: Sequence[str]


class Pool:
    """The candidates of all channels, to be scored by each.

    ids: in the order in which they were found. found: by channel. limit: of candidates a channel. rows: of
    the first collection that came with the candidates, by id.
    """

    def __init__(self, view: View, found: Mapping[str, Sequence[Found]], limit: int) -> None:
        self.view = view
        self.found = found
        self.limit = limit
        everything = [one for candidates in found.values() for one in candidates]
        self.ids = list(dict.fromkeys(one.design_id for one in everything))
        self.rows: dict[str, Row] = {}
        for one in everything:
            if LIGHT_FIELDS[0] in one.row:
                self.rows[one.design_id] = one.row
        self._complete: asyncio.Task[Mapping[str, Row]] | None = None

    async def all_rows(self) -> Mapping[str, Row]:
        """Rows of all candidates that exist, with LIGHT_FIELDS; read once for all who ask.

        A candidate without a row is the rest of an interrupted write in a companion.
        """
        if self._complete is None:
            self._complete = asyncio.create_task(self._read_rows())
        return await self._complete

    async def _read_rows(self) -> Mapping[str, Row]:
        missing = [design_id for design_id in self.ids if design_id not in self.rows]
        if not missing:
            return self.rows
        return self.rows | await self.view.read(missing, ("design_id", *LIGHT_FIELDS))


@dataclass(frozen=True, kw_only=True)
class Retriever(ABC):
    """A channel with its input of one request.

    expression: what every hit must meet because of this input; "" for nothing. fields: of the designs' rows
    that `score` reads: other channels' candidates bring them along. models: that took part in preparing.
    """

    expression: str = ""
    fields: tuple[str, ...] = ()
    models: tuple[ModelVersion, ...] = ()

    async def candidates(self, scope: Scope) -> list[Found]:
        """The best designs, best first; none for a channel that only scores."""
        del scope
        return []

    @abstractmethod
    async def score(self, pool: Pool) -> Mapping[str, float]:
        """Raw measures by id. Designs that cannot be measured are left out."""


class Channel(ABC):
    """One way to match.

    name: in messages, settings and terms. default_weight: where neither request nor setting gives one. map:
    brings its raw measure to [0, 1].
    """

    name: ClassVar[str]
    default_weight: ClassVar[float]
    map: ClassVar[Map]

    @abstractmethod
    async def prepare(self, preparation: Preparation) -> Retriever | None:
        """None where the request has no input for it. Raises ChannelUnavailable, LunulaError."""

    def explain(self, term: Term) -> str:
        """What the term means for a hit, for people; "" for nothing worth saying."""
        del term
        return ""


async def exact_cosines(
    pool: Pool, channel: str, vector: Sequence[float], *, companion: str = ""
) -> dict[str, float]:
    """Cosines of all candidates with `vector`: the index's, and computed for those of other channels."""
    cosines = {one.design_id: one.raw for one in pool.found[channel]}
    missing = [design_id for design_id in pool.ids if design_id not in cosines]
    rows = {} if companion else pool.rows
    brought = {design_id: rows[design_id] for design_id in missing if "vector" in rows.get(design_id, {})}
    unread = [design_id for design_id in missing if design_id not in brought]
    if unread:
        brought |= await pool.view.read(unread, ("design_id", "vector"), companion=companion)
    query = np.asarray(vector, np.float64)
    query /= np.linalg.norm(query)
    for design_id in missing:
        if design_id in brought:
            stored = np.asarray(brought[design_id]["vector"], np.float64)
            cosines[design_id] = float(stored @ query / np.linalg.norm(stored))
    return cosines
