"""Photos drawn for one situation each: how hands lie, what is painted and whose skin it is are fixed.

Only the pose within a manner, the light and the surface follow the seed. No photo effects: what is tested is
the situation, not the telephone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.synth.background import surfaces
from training.synth.design.designs import Design, Look
from training.synth.graphics.light import Light
from training.synth.graphics.photo_effects import plain_photo
from training.synth.hand.skin import SkinStyle
from training.synth.nail.press_on import sample_set
from training.synth.scene import layout
from training.synth.scene.render import render

RED = Look("red")
WIDTH, HEIGHT = 448, 336


@dataclass(frozen=True)
class Scene:
    """image u8 [h,w,3]; labels u8 [h,w], the number of each nail; bodies bool [h,w], skin and sleeves."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    bodies: NDArray[np.bool_]

    @property
    def count(self) -> int:
        """Nails of at least 60 pixels: smaller ones are slivers at a fold."""
        return int((np.bincount(self.labels.ravel())[1:] >= 60).sum())

    def window(self, x0: int, y0: int, x1: int, y1: int) -> Scene:
        """A part of it."""
        part = slice(y0, y1), slice(x0, x1)
        return Scene(self.image[part].copy(), self.labels[part].copy(), self.bodies[part].copy())

    def jpeg(self, *, orientation: int = 1) -> bytes:
        """Encoded, with an EXIF orientation."""
        exif = Image.Exif()
        exif[0x0112] = orientation
        buffer = io.BytesIO()
        Image.fromarray(self.image).save(buffer, format="JPEG", quality=95, subsampling=0, exif=exif)
        return buffer.getvalue()


def scene(
    seed: int,
    arrangement: str = "hand",
    *,
    look: Look = RED,
    tone: int = 3,
    framing: str = "fingers",
    length: str = "medium",
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Scene:
    """A photo of `size` (width, height).

    arrangement: "hand" (one, flat), "side_by_side", "stacked", "feet", "set" (nails without a hand), "none".
    tone: Monk tone 1-10.
    """
    rng = np.random.default_rng([seed, 77])
    width, height = size
    design = Design("almond", length, (look,) * 5)
    placed = layout.Layout(width, height, [], arrangement, framing)
    if arrangement == "set":
        placed.loose.extend(sample_set(rng, design.shape, length, width, height))
    elif arrangement != "none":
        free = _hands(rng, arrangement)
        frame = layout._frame(rng, free, framing, width, height)
        skin, sizes = SkinStyle(rng, tone - 1), layout._NailSizes(rng)
        placed.hands.extend(layout._place(rng, hand, frame, skin, design, sizes) for hand in free)
    back = surfaces.surface(rng, height, width)
    drawn = render(rng, placed, design, back, Light(rng))
    return Scene(plain_photo(drawn.image), drawn.mask, drawn.hand >= 0)


def alone(source: Scene, room: float = 0.9) -> Scene:
    """The part of `source` around its largest nail that shows no pixel of another."""
    counts = np.bincount(source.labels.ravel())[1:]
    for label in np.argsort(-counts) + 1:
        ys, xs = np.nonzero(source.labels == label)
        side = max(np.ptp(xs), np.ptp(ys))
        for share in (room, 0.75 * room, 0.5 * room):
            edge = int(share * side)
            x0, y0 = max(0, int(xs.min()) - edge), max(0, int(ys.min()) - edge)
            cut = source.window(x0, y0, int(xs.max()) + edge, int(ys.max()) + edge)
            if set(np.unique(cut.labels)) == {0, int(label)}:
                return cut
    raise ValueError("every nail of this photo has another beside it")


def cut_through(source: Scene) -> Scene:
    """`source` with its border moved to the middle of the nail that is farthest to the left."""
    lefts = {label: np.nonzero(source.labels == label)[1] for label in np.unique(source.labels) if label}
    columns = min((xs for xs in lefts.values() if len(xs) >= 150), key=lambda xs: float(xs.mean()))
    return source.window(int(np.median(columns)), 0, source.image.shape[1], source.image.shape[0])


def iou(found: Sequence[NDArray[np.bool_]], labels: NDArray[np.uint8]) -> float:
    """Of all found nails together with all drawn ones; 1 where neither is."""
    union = np.zeros(labels.shape, bool)
    for mask in found:
        union |= mask
    either = int((union | (labels > 0)).sum())
    return int((union & (labels > 0)).sum()) / either if either else 1.0


def recall(found: Sequence[NDArray[np.bool_]], labels: NDArray[np.uint8]) -> float:
    """Share of the drawn nails of 60 pixels and more that one found nail covers with IoU >= 0.4."""
    drawn = [labels == label for label in np.unique(labels) if label and (labels == label).sum() >= 60]
    right = [any((mask & nail).sum() >= 0.4 * (mask | nail).sum() for mask in found) for nail in drawn]
    return float(np.mean(right)) if right else 1.0


def _hands(rng: np.random.Generator, arrangement: str) -> list[layout._Free]:
    build, zero = layout._build(rng), np.zeros(3)
    if arrangement == "hand":
        return [layout._free_hand(rng, build, "left", "flat", zero, None, 5)]
    if arrangement == "side_by_side":
        reach = np.array([0.85, 0.0, 0.0])
        return [
            layout._free_hand(rng, build, side, "flat", place, 0.0, 5)
            for side, place in (("left", -reach), ("right", reach))
        ]
    return layout._arrange(rng, arrangement)
