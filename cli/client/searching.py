"""Searches, and fetches the photos of what was found."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np

from cli.client.page import Answer
from cli.errors import RequestError
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from lunula.type.v1 import palette_pb2, photo_pb2
from nails.colour.cielab import srgb_to_lab
from services.kit.client import call
from services.kit.errors import NotFound

_HEX = re.compile(r"#?([0-9a-fA-F]{6})")
_OPERATORS = {
    "=": rank.FILTER_OPERATOR_ANY_OF,
    "!=": rank.FILTER_OPERATOR_NONE_OF,
    "&=": rank.FILTER_OPERATOR_ALL_OF,
}
_FILTER = re.compile(r"(?P<field>[a-z_.]+)(?P<operator>!=|&=|=)(?P<values>.+)")


class ArtistScope(StrEnum):
    """Whose designs, seen from the artist of a reference design."""

    ANY = "any"
    SAME = "same"
    OTHERS = "others"


SCOPES = {
    ArtistScope.ANY: rank.ARTIST_SCOPE_UNSPECIFIED,
    ArtistScope.SAME: rank.ARTIST_SCOPE_SAME,
    ArtistScope.OTHERS: rank.ARTIST_SCOPE_OTHERS,
}


def parse_palette(colours: Sequence[str]) -> palette_pb2.Palette:
    """A palette of equal weights from `#rrggbb` codes.

    Raises:
        RequestError: a code is not six hexadecimal digits.
    """
    palette = palette_pb2.Palette()
    for colour in colours:
        match = _HEX.fullmatch(colour.strip())
        if match is None:
            raise RequestError(f"{colour!r} is not a colour like #f4c2c2")
        code = match.group(1)
        rgb = np.array([int(code[index : index + 2], 16) for index in (0, 2, 4)], np.uint8)
        lightness, a, b = (float(value) for value in srgb_to_lab(rgb))
        palette.colours.add(colour=palette_pb2.LabColour(l=lightness, a=a, b=b))
    return palette


def parse_filter(text: str) -> rank.Filter:
    """A filter from `field=value[,value]`, `field!=value`, or `tags&=value,value` (all of them).

    Raises:
        RequestError: the text has another form.
    """
    match = _FILTER.fullmatch(text.strip())
    if match is None:
        raise RequestError(f"{text!r} is not a filter like artist_id=artist-003 or attributes.shape!=square")
    return rank.Filter(
        field=match["field"],
        operator=_OPERATORS[match["operator"]],
        values=[value.strip() for value in match["values"].split(",")],
    )


def parse_weights(text: str) -> rank.ChannelWeights:
    """Weights from `design=1,description=0.3`.

    Raises:
        RequestError: an unknown channel or a weight that is not a number.
    """
    weights = rank.ChannelWeights()
    known = {field.name for field in weights.DESCRIPTOR.fields}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name.strip() not in known:
            raise RequestError(f"unknown channel {name.strip()!r}; there are {', '.join(sorted(known))}")
        try:
            setattr(weights, name.strip(), float(value))
        except ValueError as error:
            raise RequestError(f"{value!r} is not a weight") from error
    return weights


def parse_reference(value: str) -> tuple[photo_pb2.Photo | None, str]:
    """A reference as typed: a file's photo, or a design id."""
    path = Path(value)
    if path.is_file():
        return photo_pb2.Photo(data=path.read_bytes()), ""
    return None, value


async def search(
    stub: rank_grpc.RankServiceAsyncStub, request: rank.SearchDesignsRequest, *, timeout_s: float = 30.0
) -> rank.SearchDesignsResponse:
    """One page of hits.

    Raises:
        LunulaError: as the service reports it.
    """
    response: rank.SearchDesignsResponse = await call(stub.SearchDesigns, request, timeout=timeout_s)
    return response


async def fetch_photos(
    stub: rank_grpc.RankServiceAsyncStub, found: rank.SearchDesignsResponse, *, timeout_s: float = 30.0
) -> dict[str, bytes]:
    """The photos of the hits, encoded, by design id; of the version that was searched, less those deleted."""

    async def one(design_id: str) -> tuple[str, bytes]:
        request = rank.GetDesignRequest(design_id=design_id, version_id=found.version_id, include_photo=True)
        try:
            response: rank.GetDesignResponse = await call(stub.GetDesign, request, timeout=timeout_s)
        except NotFound:
            return design_id, b""
        return design_id, response.design.photo.data

    return dict(await asyncio.gather(*(one(hit.design.design_id) for hit in found.hits)))


def describe(request: rank.SearchDesignsRequest) -> str:
    """A request in one line, for titles."""
    parts = [f"“{request.text}”"] if request.text else []
    if request.palette.colours:
        parts.append(f"{len(request.palette.colours)} palette colours")
    if request.WhichOneof("reference"):
        parts.append(f"like {request.reference_design_id or 'a reference photo'}")
    if request.artist_scope:
        same = request.artist_scope == rank.ARTIST_SCOPE_SAME
        parts.append("by the same artist" if same else "by other artists")
    if request.aesthetic_tags:
        parts.append(f"scored as {', '.join(request.aesthetic_tags)}")
    for item in request.filters:
        operator = rank.FilterOperator.Name(item.operator).removeprefix("FILTER_OPERATOR_").lower()
        parts.append(f"{item.field} {operator.replace('_', ' ')} {', '.join(item.values)}")
    return ", ".join(parts)


async def answer(
    stub: rank_grpc.RankServiceAsyncStub, request: rank.SearchDesignsRequest, *, note: str = ""
) -> Answer:
    """Search and fetch the photos of the hits."""
    response = await search(stub, request)
    return Answer(describe(request), response, await fetch_photos(stub, response), note)
