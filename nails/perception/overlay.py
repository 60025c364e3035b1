"""Pictures for people: a photo with its nails, hands and crop drawn on it, and strips of palette colours."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nails.colour.cielab import lab_to_srgb_u8
from nails.colour.palette import PaletteColour
from nails.perception.crop_rules import MIN_JOINT_SCORE, Crop
from nails.perception.hands import BONES, Hand
from nails.perception.nail_decode import NailInstance

Image8 = NDArray[np.uint8]
Rgb = tuple[int, int, int]

# One colour a hand, far apart for most kinds of colour vision; the last is for nails of no hand.
_HAND_COLOURS: tuple[Rgb, ...] = ((0, 158, 255), (255, 140, 0), (0, 200, 120), (225, 60, 200), (240, 220, 40))
_NO_HAND: Rgb = (170, 170, 170)
_CROP: Rgb = (255, 40, 60)
_RULE_NAMES = {
    1: "rule 1: whole photo",
    2: "rule 2: all nails",
    3: "rule 3: three + nearest",
    4: "rule 4: target hand",
}
_MAX_SIDE = 1280
_MIN_SIDE = 480


def draw_overlay(
    image: Image8,
    nails: Sequence[NailInstance],
    hands: Sequence[Hand] = (),
    crop: Crop | None = None,
    crop_box: Sequence[float] | None = None,
) -> Image8:
    """The photo [H,W,3] with masks, joints, the crop box and its rule drawn on it; RGB uint8.

    Nails have the colour of their hand (grey without one) and their index in the result, with the score. The
    crop box is red: `crop_box` where given (the padded square), else the crop's own. Joints below 0.3 are not
    drawn. Large photos are reduced to a long side of 1280, tiny ones enlarged to 480.
    """
    scale = _scale(image)
    canvas = _resize(image, scale)
    owners = crop.hand_of_nail if crop is not None else (-1,) * len(nails)
    for nail, owner in zip(nails, owners, strict=True):
        _draw_mask(canvas, nail, _hand_colour(owner), scale)
    unit = max(1, round(max(canvas.shape[:2]) / 500))
    for index, hand in enumerate(hands):
        _draw_hand(canvas, hand, _hand_colour(index), scale, unit)
    box = crop_box if crop_box is not None else (crop.box if crop is not None else None)
    if box is not None:
        corners = [round(float(value) * scale) for value in box]
        height, width = canvas.shape[:2]
        start = min(max(corners[0], unit), width - unit), min(max(corners[1], unit), height - unit)
        end = max(min(corners[2], width - 1 - unit), 0), max(min(corners[3], height - 1 - unit), 0)
        cv2.rectangle(canvas, start, end, (0, 0, 0), 3 * unit, cv2.LINE_AA)
        cv2.rectangle(canvas, start, end, _CROP, 2 * unit, cv2.LINE_AA)
    return _draw_labels(canvas, nails, hands, owners, crop, scale)


def palette_strip(colours: Sequence[PaletteColour], *, width: int = 320, height: int = 64) -> Image8:
    """Swatches side by side, as wide as their weights, with name and share: RGB uint8 [height,width,3].

    Text is black or white, whichever reads better. An empty palette gives a grey strip with the text "no
    colours".
    """
    strip = Image.new("RGB", (width, height), (200, 200, 200))
    pen = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size=max(9, height // 5))
    if not colours:
        pen.text((6, height // 3), "no colours", fill=(60, 60, 60), font=font)
        return np.array(strip)
    total = sum(colour.weight for colour in colours) or 1.0
    edges = np.rint(np.cumsum([0.0, *(colour.weight / total for colour in colours)]) * width).astype(int)
    for colour, start, end in zip(colours, edges[:-1], edges[1:], strict=True):
        if end <= start:  # a share below one pixel
            continue
        red, green, blue = (int(value) for value in lab_to_srgb_u8(colour.lab))
        pen.rectangle((int(start), 0, int(end) - 1, height), fill=(red, green, blue))
        ink = (0, 0, 0) if colour.lab[0] > 55 else (255, 255, 255)
        for line, text in enumerate((colour.name.replace("_", " "), f"{colour.weight / total:.0%}")):
            top = height // 8 + line * (height // 5 + 6)
            while text and pen.textlength(text, font=font) > end - start - 6:
                text = text[:-1]  # noqa: PLW2901  cut until it fits its swatch
            pen.text((int(start) + 4, top), text, fill=ink, font=font)
    return np.array(strip)


def contact_sheet(images: Sequence[Image8], *, columns: int = 5, cell: int = 256, gap: int = 6) -> Image8:
    """Images of any size, each fitted into a square cell, row by row on white: RGB uint8."""
    rows = max(1, -(-len(images) // columns))
    sheet = np.full((rows * (cell + gap) + gap, columns * (cell + gap) + gap, 3), 255, np.uint8)
    for index, image in enumerate(images):
        scale = cell / max(image.shape[:2])
        fitted = _resize(image, scale)[:cell, :cell]
        top = gap + index // columns * (cell + gap) + (cell - fitted.shape[0]) // 2
        left = gap + index % columns * (cell + gap) + (cell - fitted.shape[1]) // 2
        sheet[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return sheet


def _scale(image: Image8) -> float:
    long_side = max(image.shape[:2])
    return float(min(max(long_side, _MIN_SIDE), _MAX_SIDE)) / float(long_side)


def _resize(image: Image8, scale: float) -> Image8:
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.array(cv2.resize(image, size, interpolation=method), np.uint8)


def _hand_colour(index: int) -> Rgb:
    return _NO_HAND if index < 0 else _HAND_COLOURS[index % len(_HAND_COLOURS)]


def _draw_mask(canvas: Image8, nail: NailInstance, colour: Rgb, scale: float) -> None:
    contours, _ = cv2.findContours(nail.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    placed = [
        np.rint((contour.reshape(-1, 2) + 0.5 + np.array(nail.offset)) * scale).astype(np.int32)
        for contour in contours
    ]
    tinted = canvas.copy()
    cv2.fillPoly(tinted, placed, colour)
    # A light tint: the polish underneath must stay visible.
    cv2.addWeighted(tinted, 0.3, canvas, 0.7, 0, dst=canvas)
    thickness = max(1, round(max(canvas.shape[:2]) / 400))
    cv2.polylines(canvas, placed, True, (0, 0, 0), thickness + 2, cv2.LINE_AA)
    cv2.polylines(canvas, placed, True, colour, thickness, cv2.LINE_AA)


def _draw_hand(canvas: Image8, hand: Hand, colour: Rgb, scale: float, unit: int) -> None:
    points = [(round(float(x) * scale), round(float(y) * scale)) for x, y in hand.joints]
    seen = [float(score) >= MIN_JOINT_SCORE for score in hand.joint_scores]
    for first, second in BONES:
        if seen[first] and seen[second]:
            cv2.line(canvas, points[first], points[second], colour, unit, cv2.LINE_AA)
    for point, visible in zip(points, seen, strict=True):
        if visible:
            cv2.circle(canvas, point, 2 * unit + 1, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(canvas, point, 2 * unit, colour, -1, cv2.LINE_AA)


def _draw_labels(
    canvas: Image8,
    nails: Sequence[NailInstance],
    hands: Sequence[Hand],
    owners: Sequence[int],
    crop: Crop | None,
    scale: float,
) -> Image8:
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    size = max(11, round(max(canvas.shape[:2]) / 48))
    font = ImageFont.load_default(size=size)
    for index, (nail, owner) in enumerate(zip(nails, owners, strict=True)):
        text = f"{index} {nail.score:.2f}"
        x, y = nail.centroid[0] * scale, nail.centroid[1] * scale
        if size * pen.textlength(text, font=font) > 0.5 * nail.area * scale**2:
            # It would hide the nail: above it, or below where there is no room.
            above, below = nail.box[1] * scale - 0.8 * size, nail.box[3] * scale + 0.8 * size
            y = above if above > 2.5 * size else below
        _tag(pen, (x, y), text, font, _hand_colour(owner), canvas.shape)
    for index, hand in enumerate(hands):
        x, y = (float(hand.box[0]) + float(hand.box[2])) / 2 * scale, float(hand.box[3]) * scale - size
        target = " target" if crop is not None and crop.target_hand == index else ""
        text = f"hand {index} {hand.score:.2f}{target}"
        _tag(pen, (x, y), text, font, _hand_colour(index), canvas.shape)
    if crop is not None:
        text = f"{_RULE_NAMES[int(crop.rule)]}   nails {len(nails)}   hands {len(hands)}"
        pen.rectangle((0, 0, pen.textlength(text, font=font) + size, size * 1.6), fill=_CROP)
        pen.text((size / 2, size * 0.2), text, fill=(255, 255, 255), font=font)
    return np.array(picture)


def _tag(
    pen: ImageDraw.ImageDraw,
    centre: tuple[float, float],
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    colour: Rgb,
    shape: tuple[int, ...],
) -> None:
    """A small label centred on a point and kept inside the picture."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 6, bottom - top + 4
    x = min(max(0.0, centre[0] - width / 2), max(0.0, shape[1] - width))
    y = min(max(0.0, centre[1] - height / 2), max(0.0, shape[0] - height))
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    pen.text((x + 3 - left, y + 2 - top), text, fill=(0, 0, 0), font=font)
