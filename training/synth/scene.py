"""One synthetic photo: draw(seed) -> image, masks and everything that is known about them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.synth import background, clutter
from training.synth.designs import sample_design
from training.synth.holdout import split_of
from training.synth.layout import sample_layout
from training.synth.light import Light
from training.synth.photo_effects import capture, expose
from training.synth.record import make_record
from training.synth.render import render
from training.synth.texts import write_texts

# Share of nails without paint. Segmentation learns most from them.
BARE_SHARE = {"segmentation": 0.42, "designs": 0.05}


@dataclass
class Sample:
    """`image` u8 [h,w,3] RGB, `mask` u8 [h,w] nail instances (0: none), `record`: see training.synth.record."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    record: dict[str, Any]


def draw(seed: int, kind: str = "designs", size: int = 640, backgrounds: Path | None = None) -> Sample:
    """Draw the photo of a seed; the same arguments give the same pixels. `size`: the longer side in pixels."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    split = split_of(seed)
    design = sample_design(rng, BARE_SHARE[kind], allow_held_out=split == "test")
    layout = sample_layout(rng, size, design)
    if kind == "segmentation" and rng.random() < 0.06:
        layout.hands.clear()  # a photo without a hand
    light = Light(rng)
    back = background.surface(rng, layout.height, layout.width)
    back = clutter.scatter(rng, back, int(rng.poisson(1.6)))
    rendered = render(rng, layout, design, back, light)
    image = capture(rng, expose(rng, rendered.image))
    record = make_record(seed, kind, layout, design, rendered)
    if kind != "segmentation":
        record.update(write_texts(rng, design, split))
    return Sample(image, rendered.mask, record)
