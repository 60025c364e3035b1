"""Photos as people share them: several in one picture, with margins, borders and a telephone's bars."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nails.perception.crop_rules import choose_crop

U8 = NDArray[np.uint8]
Part = tuple[U8, U8, U8, dict[str, Any]]  # image, nail instances, hands, record

GRIDS = ((1, 1), (1, 1), (1, 2), (2, 1), (2, 2))


def page(rng: np.random.Generator, size: int, parts: list[Part], grid: tuple[int, int]) -> Part:
    """Lay `parts` (image u8 [h,w,3], nails and hands u8 [h,w], record) out in a grid of (rows, columns).

    Returns one picture whose longer side is `size`. The record is that of the first part with the nails and
    hands of all; what is cut off is no longer listed. Raises ValueError for too few parts.
    """
    rows, columns = grid
    if len(parts) < rows * columns:
        raise ValueError(f"{rows * columns} photos are needed, {len(parts)} given")
    tall, wide = [(4, 3), (1, 1), (16, 9), (3, 4)][int(rng.integers(0, 4))]
    height, width = (size, round(size * wide / tall)) if tall >= wide else (round(size * tall / wide), size)
    image = np.empty((height, width, 3), np.uint8)
    image[:] = rng.choice([[255] * 3, [0] * 3, rng.integers(0, 256, 3).tolist()])
    mask, whose = np.zeros((2, height, width), np.uint8)
    top, bottom = (int(v * height) for v in rng.uniform(0.03, 0.16, 2)) if rows == columns == 1 else (0, 0)
    gap = int(rng.choice([0, 1, rng.uniform(2, 14)]) * size / 640)
    _bars(rng, image, top, bottom)
    nails: list[dict[str, Any]] = []
    hands: list[dict[str, Any]] = []
    for place in range(rows * columns):
        row, column = divmod(place, columns)
        y0 = top + row * (height - top - bottom) // rows + gap
        y1 = top + (row + 1) * (height - top - bottom) // rows - gap
        x0, x1 = column * width // columns + gap, (column + 1) * width // columns - gap
        _insert(image, mask, whose, (x0, y0, x1, y1), parts[place], nails, hands)
    record = {**parts[0][3], "size": [width, height], "arrangement": "page", "nails": nails, "hands": hands}
    joints = [np.array([[x, y, float(v > 0)] for x, y, v in hand["joints"]]) for hand in hands]
    rule = choose_crop(
        np.array([nail["box"] for nail in nails], float),
        np.array([nail["centroid"] for nail in nails], float),
        np.array([nail["area"] for nail in nails], float),
        joints,
        (width, height),
    )
    record["crop"] = {
        "box": [float(v) for v in rule.box],
        "rule": int(rule.rule),
        "target_hand": rule.target_hand,
    }
    return image, mask, whose, record


def _insert(
    image: U8,
    mask: U8,
    whose: U8,
    cell: tuple[int, int, int, int],
    part: Part,
    nails: list[dict[str, Any]],
    hands: list[dict[str, Any]],
) -> None:
    """Fill a cell x0, y0, x1, y1 with the middle of a photo; what is seen of it joins `nails` and `hands`."""
    photo, instances, owners, record = part
    x0, y0, x1, y1 = cell
    w, h = x1 - x0, y1 - y0
    scale = max(w / photo.shape[1], h / photo.shape[0])
    fit = (max(round(photo.shape[1] * scale), w), max(round(photo.shape[0] * scale), h))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    photo = np.asarray(cv2.resize(photo, fit, interpolation=method), np.uint8)
    instances = np.asarray(cv2.resize(instances, fit, interpolation=cv2.INTER_NEAREST), np.uint8)
    left, upper = (fit[0] - w) // 2, (fit[1] - h) // 2
    owners = np.asarray(cv2.resize(owners, fit, interpolation=cv2.INTER_NEAREST), np.uint8)
    owners = owners[upper : upper + h, left : left + w]
    whose[y0:y1, x0:x1] = np.where(owners > 0, owners + whose.max(), 0)
    image[y0:y1, x0:x1] = photo[upper : upper + h, left : left + w]
    seen = instances[upper : upper + h, left : left + w]
    first = len(hands)
    for nail in record["nails"]:
        ys, xs = np.nonzero(seen == nail["instance"])
        if len(ys) < 12 or len(nails) >= 250:  # instances are u8
            continue
        instance = len(nails) + 1
        mask[y0:y1, x0:x1][ys, xs] = instance
        box = [int(xs.min()) + x0, int(ys.min()) + y0, int(xs.max()) + 1 + x0, int(ys.max()) + 1 + y0]
        centre = [round(float(xs.mean()) + x0, 2), round(float(ys.mean()) + y0, 2)]
        hand = nail["hand"] + first if nail["hand"] >= 0 else -1
        nails.append(
            {**nail, "instance": instance, "hand": hand, "box": box, "area": len(ys), "centroid": centre}
        )
    for hand in record["hands"]:
        joints = []
        for x, y, visible in hand["joints"]:
            u, v = x * scale - left + x0, y * scale - upper + y0
            inside = x0 <= u < x1 and y0 <= v < y1
            joints.append([round(u, 2), round(v, 2), visible if inside else 0])
        box = np.array(hand["box"]) * scale - [left - x0, upper - y0] * 2
        clipped = np.clip(np.rint(box).astype(int), [x0, y0] * 2, [x1, y1] * 2).tolist()
        whole = clipped[2] > clipped[0] and clipped[3] > clipped[1]
        hands.append({**hand, "joints": joints, "box": clipped if whole else [0, 0, 0, 0]})


def _bars(rng: np.random.Generator, image: U8, top: int, bottom: int) -> None:
    """Words, a clock, round buttons and hearts in the margins above and below a photo."""
    h, w = image.shape[:2]
    dark = 20 if image[0, 0].mean() > 120 else 235
    for y0, y1 in ((0, top), (h - bottom, h)):
        if y1 - y0 < 10:
            continue
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.uniform(0, 0.9) * w), int(rng.uniform(y0 + 8, y1 - 2))
            if rng.random() < 0.6:
                word = "".join(
                    rng.choice(list("abcdefghilmnoprstuvw0123456789:%@#"), int(rng.integers(2, 12)))
                )
                cv2.putText(image, word, at, cv2.FONT_HERSHEY_SIMPLEX, w / 1400, (dark,) * 3, 1, cv2.LINE_AA)
            else:
                colour = tuple(int(v) for v in rng.integers(0, 256, 3))
                radius = max(2, (y1 - y0) // 5)
                cv2.circle(image, at, radius, colour, int(rng.choice([-1, 1])), cv2.LINE_AA)
