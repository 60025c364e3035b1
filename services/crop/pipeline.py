"""The pipeline of one photo: decode, find nails and hands, apply the crop rules, extract the palette."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nails.colour.palette import extract_nail_palette
from nails.perception.crop_rules import choose_crop, cut_square, expand_square
from nails.perception.hands import Hand
from nails.perception.masks import encode_rle
from nails.perception.nail_decode import NailInstance
from nails.perception.overlay import draw_overlay
from nails.perception.quality import find_quality_flags
from nails.photo.codec import encode_jpeg, encode_png
from services.crop.models import HandFinder, NailFinder
from services.crop.results import Box, CropFormat, CropOptions, CroppedPhoto, HandResult, NailResult
from services.intake.photos import LoadedPhoto, PhotoIntake, PhotoSource
from services.kit.concurrency.together import together
from services.kit.deadline import Deadline
from services.kit.telemetry.timings import stage


@dataclass(frozen=True)
class CropPipeline:
    """Crops one photo at a time; many run at once, and the backend batches their inferences.

    work_side: longest side in pixels at which photos are searched and cropped; enough_side: a long side that
    suffices where decoding it is cheaper. jpeg_quality: of crops in JPEG, 1 to 100.
    """

    intake: PhotoIntake
    nails: NailFinder
    hands: HandFinder
    work_side: int
    enough_side: int
    jpeg_quality: int

    async def crop(self, source: PhotoSource, options: CropOptions, deadline: Deadline) -> CroppedPhoto:
        """Everything about a photo.

        Raises what PhotoIntake.load and InferenceBackend.infer raise, and DeadlineExceeded between stages.
        """
        async with self.intake.slot():
            photo = await self.intake.load(
                source, max_side=self.work_side, enough_side=self.enough_side, deadline=deadline
            )
            nails, hands = await together(
                self.nails.find(photo.image, min_score=options.min_nail_score, deadline=deadline),
                self.hands.find(photo.image, deadline=deadline),
            )
            deadline.check("cropping")
            with stage("postprocess"):
                return await self.intake.threads.run(self._finish, photo, nails, hands, options, deadline)

    def _finish(
        self,
        photo: LoadedPhoto,
        nails: Sequence[NailInstance],
        hands: Sequence[Hand],
        options: CropOptions,
        deadline: Deadline,
    ) -> CroppedPhoto:
        """From detections to the result; runs in a thread."""
        image = photo.image
        size = (image.shape[1], image.shape[0])
        decided = choose_crop(
            np.array([nail.box for nail in nails], np.float64).reshape(-1, 4),
            np.array([nail.centroid for nail in nails], np.float64).reshape(-1, 2),
            np.array([nail.area for nail in nails], np.float64),
            [hand.scored_joints for hand in hands],
            size,
        )
        square = expand_square(decided.box, size)
        crop = cut_square(image, square, options.size)
        deadline.check("reading the palette")
        palette = extract_nail_palette([(_window(image, nail), nail.mask) for nail in nails])
        overlay = b""
        if options.include_overlay:
            deadline.check("drawing the overlay")
            overlay = encode_png(draw_overlay(image, nails, hands, decided, square))
        return CroppedPhoto(
            size=photo.size,
            nails=tuple(
                _nail(nail, hand, photo, options.include_masks, deadline)
                for nail, hand in zip(nails, decided.hand_of_nail, strict=True)
            ),
            hands=tuple(_hand(hand, photo.scale) for hand in hands),
            target_hand=decided.target_hand,
            rule=decided.rule,
            crop_box=_scale_box(square, photo.scale),
            crop=encode_png(crop)
            if options.format is CropFormat.PNG
            else encode_jpeg(crop, self.jpeg_quality),
            palette=tuple(palette),
            flags=tuple(find_quality_flags(image, nails)),
            overlay=overlay,
        )


def _window(image: NDArray[np.uint8], nail: NailInstance) -> NDArray[np.uint8]:
    """The part of an image that a nail's mask covers."""
    x, y = nail.offset
    rows, columns = nail.mask.shape
    return image[y : y + rows, x : x + columns]


Scale = tuple[float, float]


def _scale_box(box: Sequence[float] | NDArray[np.float32], scale: Scale) -> Box:
    x0, y0, x1, y1 = (float(value) for value in box)
    return x0 * scale[0], y0 * scale[1], x1 * scale[0], y1 * scale[1]


def _nail(
    nail: NailInstance, hand: int, photo: LoadedPhoto, include_mask: bool, deadline: Deadline
) -> NailResult:
    """The nail in pixels of the photo itself."""
    deadline.check("encoding the masks")
    scale = photo.scale
    return NailResult(
        box=_scale_box(nail.box, scale),
        score=nail.score,
        centroid=(nail.centroid[0] * scale[0], nail.centroid[1] * scale[1]),
        area=nail.area * scale[0] * scale[1],
        hand=hand,
        counts=encode_rle(_photo_mask(nail, photo)) if include_mask else None,
    )


def _photo_mask(nail: NailInstance, photo: LoadedPhoto) -> NDArray[np.bool_]:
    """The nail's mask bool [H,W] over the photo itself."""
    width, height = photo.size
    if photo.scale == (1.0, 1.0):
        return nail.full_mask(photo.size)
    x, y = nail.offset
    rows, columns = nail.mask.shape
    x0, y0, x1, y1 = (round(edge) for edge in _scale_box((x, y, x + columns, y + rows), photo.scale))
    full = np.zeros((height, width), bool)
    grown = cv2.resize(nail.mask.astype(np.uint8), (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST_EXACT)
    full[y0:y1, x0:x1] = np.asarray(grown) > 0
    return full


def _hand(hand: Hand, scale: Scale) -> HandResult:
    joints = tuple(
        # (-1, -1) marks a joint that the model did not see; it is not scaled.
        ((float(x) * scale[0], float(y) * scale[1]) if score > 0 else (-1.0, -1.0), float(score))
        for (x, y), score in zip(hand.joints, hand.joint_scores, strict=True)
    )
    return HandResult(box=_scale_box(hand.box, scale), score=hand.score, joints=joints)
