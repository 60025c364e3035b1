"""Checks of CropService's options; each error names the field that is wrong."""

from __future__ import annotations

import math

from lunula.crop.v1 import crop_service_pb2 as pb
from services.crop.findings import CropFormat, CropOptions
from services.kit.errors import InvalidArgument

DEFAULT_CROP_SIZE = 384
MIN_CROP_SIZE, MAX_CROP_SIZE = 16, 1024

OVERLAY_SIDE = 1280
"""Overlays are at most this wide and high."""

_FORMATS = {
    pb.CROP_FORMAT_UNSPECIFIED: CropFormat.PNG,
    pb.CROP_FORMAT_PNG: CropFormat.PNG,
    pb.CROP_FORMAT_JPEG: CropFormat.JPEG,
}


def read_options(options: pb.CropOptions, *, default_min_score: float) -> CropOptions:
    """The options with defaults filled in.

    Raises InvalidArgument CROP_SIZE_OUT_OF_RANGE, CROP_FORMAT_UNKNOWN or SCORE_OUT_OF_RANGE.
    """
    size = options.crop_size or DEFAULT_CROP_SIZE
    if not MIN_CROP_SIZE <= size <= MAX_CROP_SIZE:
        raise _wrong(
            "CROP_SIZE_OUT_OF_RANGE",
            "options.crop_size",
            f"must be 0 or in {MIN_CROP_SIZE}..{MAX_CROP_SIZE}, is {size}",
        )
    if options.crop_format not in _FORMATS:
        raise _wrong("CROP_FORMAT_UNKNOWN", "options.crop_format", f"no format {int(options.crop_format)}")
    score = options.min_nail_score
    if not (math.isfinite(score) and 0.0 <= score <= 1.0):
        raise _wrong("SCORE_OUT_OF_RANGE", "options.min_nail_score", f"must be in [0, 1], is {score}")
    return CropOptions(
        size=size,
        format=_FORMATS[options.crop_format],
        include_masks=options.include_masks,
        include_overlay=options.include_overlay,
        min_nail_score=score or default_min_score,
    )


def check_answer_size(count: int, options: CropOptions, max_bytes: int) -> None:
    """Raises InvalidArgument ANSWER_TOO_LARGE when the answers to `count` photos might not fit a message.

    Judged before any work, by what the images could take at worst: three bytes a pixel.
    """
    each = 3 * options.size**2 + (3 * OVERLAY_SIDE**2 if options.include_overlay else 0)
    fitting = max(1, int(0.9 * max_bytes) // each)
    if count > fitting:
        raise _wrong(
            "ANSWER_TOO_LARGE",
            "photos",
            f"must have at most {fitting} items with these options, has {count}; StreamCrops takes more",
        )


def _wrong(reason: str, field: str, description: str) -> InvalidArgument:
    return InvalidArgument(f"{field} {description}", reason=reason, fields=[(field, description)])
