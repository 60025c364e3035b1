"""From a nail model's maps to single nails in photo pixels.

Two decoders, one result. `decode_interior` reads our compact model: a nail map and a map of nail interiors
(eroded cores), which keep touching nails apart. `decode_yolo_seg` reads a YOLO-seg export. Both undo the
letterbox and draw each mask at the photo's resolution from the continuous map, so that edges are smooth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nails.perception.boxes import box_iou, suppress
from nails.photo.preprocess import Letterbox

Maps = NDArray[np.floating[Any]]

_MIN_SEED_PIXELS = 2
_MIN_NAIL_PIXELS = 6  # of the map: a nail of 5 photo pixels is noise at any letterbox scale in use
_MAX_NAILS = 100
_YOLO_COEFFICIENTS = 32
_YOLO_CANDIDATES = 300
_DUPLICATE_BOX_IOU = 0.85


@dataclass(frozen=True, eq=False)
class NailInstance:
    """One nail. All coordinates are photo pixels.

    mask: bool [h,w], cut to the nail; `offset` (x, y) is where its top left pixel lies in the photo.
    box: (x0, y0, x1, y1) around the mask, float. centroid: mean (x, y) of the mask's pixels. area: pixels.
    score: in [0, 1].
    """

    mask: NDArray[np.bool_]
    offset: tuple[int, int]
    box: tuple[float, float, float, float]
    score: float
    centroid: tuple[float, float]
    area: int

    def full_mask(self, photo_size: tuple[int, int]) -> NDArray[np.bool_]:
        """The mask in a photo of `photo_size` (width, height): bool [height,width]."""
        full = np.zeros((photo_size[1], photo_size[0]), bool)
        x, y = self.offset
        full[y : y + self.mask.shape[0], x : x + self.mask.shape[1]] = self.mask
        return full


def instance_from_mask(
    mask: NDArray[np.bool_], score: float = 1.0, offset: tuple[int, int] = (0, 0)
) -> NailInstance:
    """The instance of a mask bool [h,w] whose top left is at `offset`. Raises ValueError when it is empty."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if columns.size == 0:
        raise ValueError("an empty mask is no nail")
    x0, x1, y0, y1 = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
    cut = np.ascontiguousarray(mask[y0:y1, x0:x1])
    left, top = offset[0] + x0, offset[1] + y0
    by_column, by_row = cut.sum(axis=0, dtype=np.int64), cut.sum(axis=1, dtype=np.int64)
    total = int(by_column.sum())
    centre_x = left + float(by_column @ (np.arange(cut.shape[1]) + 0.5)) / total
    centre_y = top + float(by_row @ (np.arange(cut.shape[0]) + 0.5)) / total
    outline = (float(left), float(top), float(left + x1 - x0), float(top + y1 - y0))
    return NailInstance(cut, (left, top), outline, score, (centre_x, centre_y), total)


def decode_interior(
    maps: Maps,
    letterbox: Letterbox,
    photo_size: tuple[int, int],
    *,
    min_score: float = 0.5,
    nail_threshold: float = 0.5,
    interior_threshold: float = 0.5,
) -> list[NailInstance]:
    """Nails of probability maps f32 [2,h,w] (0: nail, 1: interior of a nail), best score first.

    Each connected part of the nail map holds as many nails as it has connected interiors (one, when the core
    of a small nail has vanished); where it has several, a pixel belongs to the nearest interior. The score is
    the mean nail probability of the nail's pixels. Instances never overlap, so nothing is suppressed.
    `photo_size` is (width, height). Raises ValueError for maps of another shape.
    """
    if maps.ndim != 3 or maps.shape[0] != 2:
        raise ValueError(f"expected maps [2,h,w], got {maps.shape}")
    nail = np.nan_to_num(np.asarray(maps[0], np.float32), nan=0.0)
    inside = nail > nail_threshold
    seeds = (np.nan_to_num(maps[1], nan=0.0) > interior_threshold) & inside
    labels, count = _label_nails(inside, seeds)
    if count == 0:
        return []
    flat = labels.ravel()
    areas = np.bincount(flat, minlength=count + 1)
    scores = np.bincount(flat, weights=nail.ravel(), minlength=count + 1) / np.maximum(areas, 1)
    wanted = [
        label
        for label in range(1, count + 1)
        if areas[label] >= _MIN_NAIL_PIXELS and scores[label] >= min_score
    ]
    wanted.sort(key=lambda label: (-scores[label], label))
    field = nail - np.float32(nail_threshold)
    outside = -np.abs(field)
    grid = _Grid.of(letterbox, photo_size, (nail.shape[1], nail.shape[0]))
    found = []
    for label in wanted[:_MAX_NAILS]:
        box = _label_box(labels, label)
        window = _grown(box, nail.shape)
        own = labels[window] == label
        # Positive on the nail alone; over a neighbour it mirrors, so that the border runs midway.
        instance = grid.draw(np.where(own, field[window], outside[window]), window, float(scores[label]))
        if instance is not None:
            found.append(instance)
    return found


def decode_yolo_seg(
    boxes: Maps,
    protos: Maps,
    letterbox: Letterbox,
    photo_size: tuple[int, int],
    *,
    min_score: float = 0.5,
    nms_iou: float = 0.5,
) -> list[NailInstance]:
    """Nails of a YOLO-seg export, best score first.

    boxes: f32 [4+C+32,A]: centre x, y, width, height in input pixels, C class scores in [0, 1], mask
    coefficients. protos: f32 [32,h,w]. A nail's score is its best class score; those below `min_score` are
    dropped, and of two whose *masks* overlap by more than `nms_iou` the better stays (slanted neighbours
    share much of their boxes and nothing of their masks). `photo_size` is (width, height).
    """
    if (
        boxes.ndim != 2
        or boxes.shape[0] < 4 + 1 + _YOLO_COEFFICIENTS
        or protos.shape[0] != _YOLO_COEFFICIENTS
    ):
        raise ValueError(f"expected boxes [4+C+32,A] and protos [32,h,w], got {boxes.shape}, {protos.shape}")
    class_scores = boxes[4:-_YOLO_COEFFICIENTS].max(axis=0)
    usable = np.isfinite(boxes).all(axis=0) & (class_scores >= min_score)
    chosen = np.flatnonzero(usable)
    chosen = chosen[np.argsort(-class_scores[chosen], kind="stable")][:_YOLO_CANDIDATES]
    if chosen.size == 0:
        return []
    centre, half = boxes[:2, chosen].T, boxes[2:4, chosen].T / 2
    corners = np.concatenate([centre - half, centre + half], axis=1).astype(np.float64)
    kept = suppress(corners, class_scores[chosen], _DUPLICATE_BOX_IOU)[:_MAX_NAILS]
    chosen, corners = chosen[kept], corners[kept]

    grid = _Grid.of(letterbox, photo_size, (protos.shape[2], protos.shape[1]))
    coefficients = boxes[-_YOLO_COEFFICIENTS:, chosen].T.astype(np.float32)
    found: list[NailInstance] = []
    for index in range(len(chosen)):
        x0, y0, x1, y1 = corners[index] / grid.stride
        window = _grown((int(x0), int(y0), int(np.ceil(x1)), int(np.ceil(y1))), protos.shape[1:])
        piece = protos[:, window[0], window[1]]
        if 0 in piece.shape:
            continue
        logits = np.tensordot(coefficients[index], piece, axes=1).astype(np.float32)
        limits = letterbox.to_photo(corners[index])
        instance = grid.draw(logits, window, float(class_scores[chosen[index]]), limits)
        if instance is not None and not any(instance_iou(instance, other) > nms_iou for other in found):
            found.append(instance)
    return found


def instance_iou(first: NailInstance, second: NailInstance) -> float:
    """Intersection over union of two nails' masks."""
    x0, y0 = (max(first.offset[axis], second.offset[axis]) for axis in (0, 1))
    x1 = min(first.offset[0] + first.mask.shape[1], second.offset[0] + second.mask.shape[1])
    y1 = min(first.offset[1] + first.mask.shape[0], second.offset[1] + second.mask.shape[0])
    if x1 <= x0 or y1 <= y0:
        return 0.0
    cuts = [
        nail.mask[y0 - nail.offset[1] : y1 - nail.offset[1], x0 - nail.offset[0] : x1 - nail.offset[0]]
        for nail in (first, second)
    ]
    common = int(np.count_nonzero(cuts[0] & cuts[1]))
    return common / (first.area + second.area - common)


def suppress_instances(found: Sequence[NailInstance], max_iou: float = 0.5) -> list[NailInstance]:
    """Of nails whose masks overlap by more than `max_iou` keep the best (paper N (b) 1)."""
    kept: list[NailInstance] = []
    for nail in sorted(found, key=lambda one: -one.score):
        boxes = np.array([other.box for other in kept]).reshape(-1, 4)
        near = np.flatnonzero(box_iou(np.array(nail.box), boxes) > 0)
        if all(instance_iou(nail, kept[index]) <= max_iou for index in near):
            kept.append(nail)
    return kept


Window = tuple[slice, slice]


@dataclass(frozen=True)
class _Grid:
    """Where the cells of a map lie in the photo: cell = (photo * scale + pad) / stride."""

    letterbox: Letterbox
    photo_size: tuple[int, int]
    stride: float

    @classmethod
    def of(cls, letterbox: Letterbox, photo_size: tuple[int, int], map_size: tuple[int, int]) -> _Grid:
        canvas = round(letterbox.scale * max(photo_size))  # the side that the photo was fitted to
        return cls(letterbox, photo_size, canvas / max(map_size))

    def draw(
        self,
        field: NDArray[np.float32],
        window: Window,
        score: float,
        limits: NDArray[np.float32] | None = None,
    ) -> NailInstance | None:
        """The nail where `field` (the map cut to `window`) is positive, at photo resolution.

        `limits` (4,) cuts it to a box in photo pixels. None when nothing of it lies in the photo.
        """
        rows, columns = window
        cells = np.array([columns.start, rows.start, columns.stop, rows.stop], np.float64) * self.stride
        area = self.letterbox.to_photo(cells)
        if limits is not None:
            area[:2], area[2:] = np.maximum(area[:2], limits[:2]), np.minimum(area[2:], limits[2:])
        width, height = self.photo_size
        x0, y0 = max(0, int(np.floor(area[0]))), max(0, int(np.floor(area[1])))
        x1, y1 = min(width, int(np.ceil(area[2]))), min(height, int(np.ceil(area[3])))
        if x1 <= x0 or y1 <= y0:
            return None
        box = self.letterbox
        step_x, step_y = box.scale_x / self.stride, box.scale_y / self.stride
        # Centre of photo pixel (x, y) to index in the cut map; +0.5 and -0.5 are the pixel centres.
        matrix = np.array(
            [
                [step_x, 0, (x0 + 0.5) * step_x + box.pad_x / self.stride - 0.5 - columns.start],
                [0, step_y, (y0 + 0.5) * step_y + box.pad_y / self.stride - 0.5 - rows.start],
            ]
        )
        drawn = cv2.warpAffine(
            np.ascontiguousarray(field, np.float32),
            matrix,
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        mask = np.asarray(drawn) > 0
        return instance_from_mask(mask, score, (x0, y0)) if mask.any() else None


def _label_nails(inside: NDArray[np.bool_], seeds: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Label [h,w] each nail pixel with its nail, 1..count; 0 is no nail."""
    part_count, raw_parts, part_stats, _ = cv2.connectedComponentsWithStats(
        inside.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S
    )
    parts = np.asarray(raw_parts, np.int32)
    seed_count, raw_seeds, seed_stats, _ = cv2.connectedComponentsWithStats(
        seeds.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S
    )
    seed_labels = np.asarray(raw_seeds, np.int32)
    labels = parts.copy()
    # A seed lies within one part, since seeds are cut to the nail map.
    seeds_of_part: dict[int, list[int]] = {}
    for seed in range(1, seed_count):
        if seed_stats[seed, cv2.CC_STAT_AREA] >= _MIN_SEED_PIXELS:
            window = _stat_window(seed_stats[seed])
            first = np.argmax(seed_labels[window] == seed)
            part = int(parts[window].flat[first])
            seeds_of_part.setdefault(part, []).append(seed)
    count = part_count - 1
    for part, members in sorted(seeds_of_part.items()):
        if len(members) < 2:
            continue
        window = _stat_window(part_stats[part])
        own, piece = parts[window] == part, seed_labels[window]
        nearest = _nearest_seed(np.where(own, piece, 0), members)
        target = labels[window]
        for rank, seed in enumerate(members):
            # The first keeps the part's label; the others get new ones.
            if rank:
                count += 1
                target[own & (nearest == seed)] = count
    return labels, count


def _nearest_seed(piece: NDArray[np.int32], members: list[int]) -> NDArray[np.int32]:
    """For each pixel the nearest of the seeds `members` in `piece` [h,w]."""
    chosen = np.isin(piece, members)
    _, raw = cv2.distanceTransformWithLabels(
        np.where(chosen, 0, 255).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    regions = np.asarray(raw, np.int32)
    # The transform numbers the seeds itself: read at the seeds which number is which of ours.
    names = np.zeros(int(regions.max()) + 1, np.int32)
    names[regions[chosen]] = piece[chosen]
    return names[regions]


def _stat_window(stats: NDArray[Any]) -> Window:
    left, top = int(stats[cv2.CC_STAT_LEFT]), int(stats[cv2.CC_STAT_TOP])
    width, height = int(stats[cv2.CC_STAT_WIDTH]), int(stats[cv2.CC_STAT_HEIGHT])
    return slice(top, top + height), slice(left, left + width)


def _label_box(labels: NDArray[np.int32], label: int) -> tuple[int, int, int, int]:
    own = labels == label
    columns, rows = np.flatnonzero(own.any(axis=0)), np.flatnonzero(own.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _grown(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> Window:
    """The window of a box of cells with one more on each side, where the edge's zero crossing may lie."""
    height, width = shape[0], shape[1]
    rows = slice(max(0, box[1] - 1), max(0, min(height, box[3] + 1)))
    return rows, slice(max(0, box[0] - 1), max(0, min(width, box[2] + 1)))
