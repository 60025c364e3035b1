"""Pages of hits show the whole photo, whatever its shape."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from cli.client.page import Answer, render_html, render_png
from lunula.rank.v1 import rank_service_pb2 as rank
from nails.photo.codec import encode_png

RED, GREEN, BLUE = (220, 30, 30), (30, 200, 30), (30, 30, 220)


def photo(width: int, height: int) -> bytes:
    """Green, with a red begin and a blue end of its longer side, which a cut to a square would lose."""
    image = np.full((height, width, 3), GREEN, np.uint8)
    along = image if height >= width else image.swapaxes(0, 1)
    along[: len(along) // 8] = RED
    along[-len(along) // 8 :] = BLUE
    return encode_png(image)


def answer(data: bytes) -> Answer:
    hit = rank.Hit(design=rank.Design(design_id="d1", title="<b>almond</b>"), score=0.5)
    hit.terms.add(channel="design", raw=0.4, normalised=0.5, weight=1.0, contribution=0.5)
    return Answer("“red”", rank.SearchDesignsResponse(hits=[hit]), {"d1": data})


@pytest.mark.parametrize(("width", "height"), [(300, 700), (700, 300), (400, 400)])
def test_the_picture_shows_both_ends_of_a_photo(width: int, height: int) -> None:
    picture = np.asarray(Image.open(io.BytesIO(render_png(answer(photo(width, height)), columns=1))))
    for colour in (RED, GREEN, BLUE):
        assert (np.abs(picture[..., :3].astype(int) - colour).max(axis=-1) < 40).sum() > 200


@pytest.mark.parametrize(("width", "height"), [(300, 700), (700, 300)])
def test_the_page_carries_the_whole_photo_and_does_not_cut_it(width: int, height: int) -> None:
    page = render_html([answer(photo(width, height))])
    found = re.search(r"data:image/jpeg;base64,([^\"]+)", page)
    assert found is not None
    shown = Image.open(io.BytesIO(base64.b64decode(found[1])))
    assert shown.width / shown.height == pytest.approx(width / height, rel=0.02)
    assert "object-fit: contain" in page
    assert "object-fit: cover" not in page
    assert "&lt;b&gt;almond" in page


def test_a_photo_that_cannot_be_read_leaves_its_place_empty() -> None:
    assert render_png(answer(b"no photo"), columns=1).startswith(b"\x89PNG")
    assert "data:image" not in render_html([answer(b"no photo")])


def test_the_page_says_what_a_channel_did_not_measure_and_what_was_left_out() -> None:
    shown = answer(photo(300, 300))
    shown.response.hits[0].terms.add(channel="aesthetic", normalised=0.5, weight=0.1, note="not <scored>")
    shown.response.unavailable_channels["description"] = "no full-text <search>"
    page = render_html([shown])
    assert "not &lt;scored&gt;" in page
    assert "description was left out: no full-text &lt;search&gt;" in page
