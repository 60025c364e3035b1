"""Hands: boxes from the detector, 21 joints from the pose model.

Joints are in the hand5 order: 0 wrist; 1-4 thumb; 5-8 forefinger; 9-12 middle; 13-16 ring; 17-20 little
finger; the last of each is the tip (paper N (b) 2). A hand exists only where the detector found a box: a pose
model given the whole photo instead would invent one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nails.parameters import read_share
from nails.perception.boxes import suppress
from nails.photo.preprocess import Letterbox, PoseTransform

JOINTS = 21
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
# Bones as pairs of joints, for drawing.
BONES: tuple[tuple[int, int], ...] = tuple(
    (0 if joint % 4 == 1 else joint - 1, joint) for joint in range(1, JOINTS)
)
_MAX_HANDS = 10
MIN_HAND_SCORE, MAX_HAND_IOU = 0.3, 0.5

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand in photo pixels.

    box: f32 [4] (x0, y0, x1, y1). joints: f32 [21,2]; (-1, -1) where the model saw none. joint_scores: f32
    [21]. score: the detector's, in [0, 1].
    """

    box: NDArray[np.float32]
    score: float
    joints: NDArray[np.float32]
    joint_scores: NDArray[np.float32]

    @property
    def scored_joints(self) -> NDArray[np.float32]:
        """f32 [21,3]: x, y, score; what `nails.perception.crop_rules` takes."""
        return np.concatenate([self.joints, self.joint_scores[:, None]], axis=1)


def decode_hand_boxes(
    boxes: Floats,
    scores: Floats,
    letterbox: Letterbox,
    photo_size: tuple[int, int],
    *,
    min_score: float = MIN_HAND_SCORE,
    nms_iou: float = MAX_HAND_IOU,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes f32 [n,4] in photo pixels and scores f32 [n], best first, of a detector's raw output.

    boxes: [A,4] (x0, y0, x1, y1) in input pixels; scores: [A] in [0, 1]. Those below `min_score`, not finite
    or outside the photo are dropped; overlaps above `nms_iou` are suppressed. At most 10 hands.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise ValueError(f"expected boxes [A,4] and scores [A], got {boxes.shape}, {scores.shape}")
    usable = np.isfinite(boxes).all(axis=1) & np.isfinite(scores) & (scores >= min_score)
    limits = np.array([photo_size[0], photo_size[1]] * 2, np.float32)
    placed = np.clip(letterbox.to_photo(boxes[usable]), 0, limits)
    kept_scores = scores[usable].astype(np.float32)
    solid = (placed[:, 2] - placed[:, 0] >= 1) & (placed[:, 3] - placed[:, 1] >= 1)
    placed, kept_scores = placed[solid], kept_scores[solid]
    kept = suppress(placed, kept_scores, nms_iou)[:_MAX_HANDS]
    return placed[kept], kept_scores[kept]


@dataclass(frozen=True)
class HandDecoder:
    """How the outputs of one `hand_detect` are decoded, so that serving and evaluation cannot disagree.

    min_score, nms_iou: as `decode_hand_boxes` takes them. The scale of a detector's scores depends on its
    training, so its parameters (strings, as in config.pbtxt) give both.
    """

    min_score: float = MIN_HAND_SCORE
    nms_iou: float = MAX_HAND_IOU

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> HandDecoder:
        """The decoder that a model's `parameters` ask for. Raises ValueError for a number outside (0, 1)."""
        return cls(
            read_share(parameters, "min_score", MIN_HAND_SCORE),
            read_share(parameters, "nms_iou", MAX_HAND_IOU),
        )

    def decode(
        self, boxes: Floats, scores: Floats, letterbox: Letterbox, photo_size: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """`decode_hand_boxes` with the model's own limits."""
        return decode_hand_boxes(
            boxes, scores, letterbox, photo_size, min_score=self.min_score, nms_iou=self.nms_iou
        )


def decode_simcc(
    simcc_x: Floats, simcc_y: Floats, transform: PoseTransform
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Joints f32 [21,2] in photo pixels and their scores f32 [21] of one hand's SimCC output.

    simcc_x, simcc_y: [21,B]: one score for each of B bins, B / size bins a pixel (2 for 512 bins over 256
    pixels). A joint lies at the best bin, its score is the mean of the two best values; where that is not
    positive the joint is (-1, -1) with score 0.
    """
    if simcc_x.shape != simcc_y.shape or simcc_x.ndim != 2:
        raise ValueError(f"expected two arrays [21,B], got {simcc_x.shape}, {simcc_y.shape}")
    bins_per_pixel = simcc_x.shape[1] / transform.size
    best = np.stack([simcc_x.argmax(axis=1), simcc_y.argmax(axis=1)], axis=1)
    scores = (0.5 * (simcc_x.max(axis=1) + simcc_y.max(axis=1))).astype(np.float32)
    seen = np.isfinite(scores) & (scores > 0)
    joints = transform.to_photo(best / bins_per_pixel)
    joints = np.where(seen[:, None], joints, np.float32(-1)).astype(np.float32)
    return joints, np.where(seen, scores, np.float32(0)).astype(np.float32)


def assemble_hands(
    boxes: Floats,
    scores: Floats,
    simcc_x: Floats,
    simcc_y: Floats,
    transforms: Sequence[PoseTransform],
) -> list[Hand]:
    """Hands of n boxes [n,4], scores [n] and pose outputs [n,21,B]; no box, no hand.

    Raises ValueError where the counts differ, so that a pose made without a box cannot pass.
    """
    count = len(boxes)
    if not (len(scores) == len(simcc_x) == len(simcc_y) == len(transforms) == count):
        raise ValueError("every hand needs one box, one score and one pose")
    hands = []
    for index in range(count):
        joints, joint_scores = decode_simcc(simcc_x[index], simcc_y[index], transforms[index])
        hands.append(Hand(np.asarray(boxes[index], np.float32), float(scores[index]), joints, joint_scores))
    return hands
