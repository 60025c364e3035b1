"""Messages of CropService to plain objects and back; each error names the field that is wrong."""

from __future__ import annotations

import math

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from nails.perception.quality import QualityFlag
from services.crop.results import Box, CropFormat, CropOptions, CroppedPhoto, HandResult, NailResult, Point
from services.intake.messages import palette_message
from services.kit.errors import LunulaError, invalid_field
from services.kit.wire.errors import to_item_error

DEFAULT_CROP_SIZE = 384
MIN_CROP_SIZE, MAX_CROP_SIZE = 16, 1024

OVERLAY_SIDE = 1280
"""Overlays are at most this wide and high."""

_FORMATS = {
    pb.CROP_FORMAT_UNSPECIFIED: CropFormat.PNG,
    pb.CROP_FORMAT_PNG: CropFormat.PNG,
    pb.CROP_FORMAT_JPEG: CropFormat.JPEG,
}
_FLAGS = {flag: pb.QualityFlag.Value(f"QUALITY_FLAG_{flag.name}") for flag in QualityFlag}


def read_options(options: pb.CropOptions, *, default_min_score: float) -> CropOptions:
    """The options with defaults filled in. default_min_score: in [0, 1], where the caller gives no other.

    Raises InvalidArgument CROP_SIZE_OUT_OF_RANGE, CROP_FORMAT_UNKNOWN or SCORE_OUT_OF_RANGE.
    """
    size, score = options.crop_size or DEFAULT_CROP_SIZE, options.min_nail_score
    if not MIN_CROP_SIZE <= size <= MAX_CROP_SIZE:
        description = f"must be 0 or in {MIN_CROP_SIZE}..{MAX_CROP_SIZE}, is {size}"
        raise invalid_field("CROP_SIZE_OUT_OF_RANGE", "options.crop_size", description)
    if options.crop_format not in _FORMATS:
        raise invalid_field(
            "CROP_FORMAT_UNKNOWN", "options.crop_format", f"no format {int(options.crop_format)}"
        )
    if not (math.isfinite(score) and 0.0 <= score <= 1.0):
        raise invalid_field("SCORE_OUT_OF_RANGE", "options.min_nail_score", f"must be in [0, 1], is {score}")
    return CropOptions(
        size=size,
        format=_FORMATS[options.crop_format],
        include_masks=options.include_masks,
        include_overlay=options.include_overlay,
        min_nail_score=score or default_min_score,
    )


def check_response_size(count: int, options: CropOptions, max_bytes: int) -> None:
    """Raises InvalidArgument ANSWER_TOO_LARGE when the results of `count` photos might not fit a message.

    Decided before any work, by the largest that the images could be: three bytes a pixel.
    """
    each = 3 * options.size**2 + (3 * OVERLAY_SIDE**2 if options.include_overlay else 0)
    fitting = max(1, int(0.9 * max_bytes) // each)
    if count > fitting:
        raise invalid_field(
            "ANSWER_TOO_LARGE",
            "photos",
            f"must have at most {fitting} items with these options, has {count}; StreamCrops takes more",
        )


def crop_item(outcome: CroppedPhoto | LunulaError) -> pb.CropItem:
    """The message of a result or an error."""
    if isinstance(outcome, LunulaError):
        return pb.CropItem(error=to_item_error(outcome))
    width, height = outcome.size
    size = photo_pb2.ImageSize(width=width, height=height)
    return pb.CropItem(
        result=pb.CropResult(
            size=size,
            nails=[_nail_message(nail, size) for nail in outcome.nails],
            hands=[_hand_message(hand) for hand in outcome.hands],
            target_hand=outcome.target_hand,
            rule=pb.CropRule.ValueType(outcome.rule.value),
            crop_box=_box_message(outcome.crop_box),
            crop=outcome.crop,
            palette=palette_message(outcome.palette),
            quality_flags=[_FLAGS[flag] for flag in outcome.flags],
            overlay=outcome.overlay,
        )
    )


def _box_message(box: Box) -> photo_pb2.Box:
    x0, y0, x1, y1 = box
    return photo_pb2.Box(x0=x0, y0=y0, x1=x1, y1=y1)


def _point_message(point: Point) -> photo_pb2.Point:
    return photo_pb2.Point(x=point[0], y=point[1])


def _nail_message(nail: NailResult, size: photo_pb2.ImageSize) -> pb.Nail:
    mask = None if nail.counts is None else pb.RleMask(size=size, counts=nail.counts)
    return pb.Nail(
        box=_box_message(nail.box),
        score=nail.score,
        centroid=_point_message(nail.centroid),
        area=nail.area,
        hand_index=nail.hand,
        mask=mask,
    )


def _hand_message(hand: HandResult) -> pb.Hand:
    joints = [pb.Joint(position=_point_message(point), score=score) for point, score in hand.joints]
    return pb.Hand(box=_box_message(hand.box), score=hand.score, joints=joints)
