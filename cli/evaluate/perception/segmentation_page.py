"""Every photo of a segmentation run with what was found, as one HTML file; the worst first."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cli.client.page import templates
from evaluation.perception.groups import GroupScore
from evaluation.perception.labelled import LabelledPhoto
from evaluation.perception.segmentation import MISSED, RIGHT, WRONG, SegmentationReport, painted
from nails.perception.nail_decode import NailInstance
from nails.photo.codec import encode_jpeg

WORST = 8
_LARGE, _SMALL = 400, 200
FAR_BELOW = 0.08
"""A group farther below the mean than this is marked."""


@dataclass(frozen=True)
class Drawing:
    """JPEGs of one photo, base64: as it is, and with what was found; `small` for the wall of all photos."""

    plain: str
    overlay: str
    small: str


def draw(photo: LabelledPhoto, found: Sequence[NailInstance]) -> Drawing:
    """The pictures of a photo for the page."""
    nothing = LabelledPhoto(photo.name, photo.image, photo.mask & False, ())
    return Drawing(
        plain=_jpeg(painted(nothing, (), side=_LARGE)),
        overlay=_jpeg(painted(photo, found, side=_LARGE)),
        small=_jpeg(painted(photo, found, side=_SMALL)),
    )


def render(
    report: SegmentationReport,
    drawings: Mapping[str, Drawing],
    groups: Mapping[str, Sequence[GroupScore]],
    *,
    data: str,
    model: str,
) -> str:
    """The page. data, model: what was measured, for its head."""
    return templates.get_template("segmentation.html.j2").render(
        report=report,
        drawings=drawings,
        groups=groups,
        data=data,
        model=model,
        worst=report.photos[:WORST],
        colours={"found rightly": _css(RIGHT), "found, but no nail": _css(WRONG), "missed": _css(MISSED)},
        far_below=FAR_BELOW,
    )


def _jpeg(image: NDArray[np.uint8]) -> str:
    return base64.b64encode(encode_jpeg(image, quality=82)).decode()


def _css(colour: tuple[int, int, int]) -> str:
    return "rgb({}, {}, {})".format(*colour)
