"""Search results as one HTML file with the photos inside, and as one PNG."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cli.client.tables import hex_code
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.type.v1 import palette_pb2
from nails.photo.codec import PhotoError, decode_photo, encode_jpeg, encode_png

_CHANNEL_COLOURS = {
    "design": "#c2185b",
    "description": "#00838f",
    "palette": "#f9a825",
    "reference": "#5e35b1",
    "aesthetic": "#2e7d32",
}
_PAPER = 244  # grey level behind photos that are not square
# Templates escape everything: texts come from outside.
templates = Environment(loader=PackageLoader("cli"), autoescape=True, undefined=StrictUndefined)


@dataclass(frozen=True)
class Answer:
    """A request, what came back, and the photos of its hits by design id (encoded files)."""

    request: str
    response: rank.SearchDesignsResponse
    photos: Mapping[str, bytes]
    note: str = ""


def inline_jpeg(data: bytes, *, height: int) -> str:
    """A photo for a data URI, base64, `height` pixels high; empty when it cannot be decoded."""
    try:
        image = decode_photo(data, max_side=2 * height)
    except PhotoError:
        return ""
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return base64.b64encode(encode_jpeg(small, quality=85)).decode()


def _whole(data: bytes, side: int) -> NDArray[np.uint8]:
    """The whole photo on a light square of `side` pixels, RGB; the square alone when it cannot be decoded.

    Cut to a square, upright photos would lose their fingertips.
    """
    square: NDArray[np.uint8] = np.full((side, side, 3), _PAPER, np.uint8)
    try:
        image = decode_photo(data, max_side=side * 2)
    except PhotoError:
        return square
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


def _colours(palette: palette_pb2.Palette) -> list[tuple[str, str]]:
    return [(hex_code(item.colour), item.name) for item in palette.colours]


def render_html(answers: Sequence[Answer], *, title: str = "Lunula") -> str:
    """One self-contained page: a section per request, a card per hit with photo, colours and breakdown."""
    sections = [
        {
            "request": answer.request,
            "note": answer.note,
            "left_out": sorted(answer.response.unavailable_channels.items()),
            "colours": _colours(answer.response.palette),
            "cards": [
                {
                    "hit": hit,
                    "colours": _colours(hit.design.palette),
                    "image": inline_jpeg(answer.photos.get(hit.design.design_id, b""), height=320),
                }
                for hit in answer.response.hits
            ],
        }
        for answer in answers
    ]
    return templates.get_template("hits.html.j2").render(
        title=title, channels=_CHANNEL_COLOURS, sections=sections
    )


def render_png(answer: Answer, *, columns: int = 5, side: int = 240) -> bytes:
    """The hits of one request as a grid of thumbnails with rank, score and a bar of its terms."""
    caption = 46
    hits = answer.response.hits
    rows = max(1, -(-len(hits) // columns))
    sheet = Image.new("RGB", (columns * (side + 8) + 8, rows * (side + caption + 8) + 8), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for index, hit in enumerate(hits):
        left = 8 + (index % columns) * (side + 8)
        top = 8 + (index // columns) * (side + caption + 8)
        photo = answer.photos.get(hit.design.design_id)
        if photo:
            sheet.paste(Image.fromarray(_whole(photo, side)), (left, top))
        draw.text(
            (left, top + side + 3), f"{index + 1}. {hit.score:.3f}  {hit.design.design_id}", "black", font
        )
        start = float(left)
        for term in hit.terms:
            end = start + side * term.contribution
            if end - start >= 1:
                colour = _CHANNEL_COLOURS.get(term.channel, "#888888")
                draw.rectangle((start, top + side + 24, end, top + side + 34), fill=colour)
            start = end
    return encode_png(np.asarray(sheet))
