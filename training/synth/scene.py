"""One synthetic photo: draw(seed) -> image, masks and everything that is known about them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.synth import background, clutter
from training.synth.artists import ARTISTS, Artist, artist_design, artist_of
from training.synth.backgrounds import crop as real_crop
from training.synth.designs import Design, sample_design
from training.synth.holdout import split_of
from training.synth.layout import Layout, sample_layout
from training.synth.light import Light
from training.synth.photo_effects import capture, expose
from training.synth.record import make_record
from training.synth.render import render
from training.synth.texts import write_texts

KINDS = ("designs", "segmentation", "artists")
# Share of sets without paint. Segmentation learns most from them.
_BARE_SHARE = {"segmentation": 0.42, "designs": 0.05}


@dataclass
class Sample:
    """`image` u8 [h,w,3] RGB, `mask` u8 [h,w] nail instances (0: none), `record`: see
    training.synth.record."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    record: dict[str, Any]


def draw(
    seed: int, kind: str = "designs", size: int = 640, backgrounds: Path | None = None, artists: int = ARTISTS
) -> Sample:
    """Draw the photo of a seed; the same arguments give the same pixels.

    `kind`: one of KINDS. `size`: the longer side in pixels. `backgrounds`: a folder of photos of which parts
    stand behind six hands in ten. `artists`: how many artists share the works of kind "artists". Raises
    ValueError for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}: one of {', '.join(KINDS)}")
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    split = split_of(seed)
    who = artist_of(seed, artists) if kind == "artists" else None
    if who is not None:
        design = artist_design(rng, who)
    else:
        design = sample_design(rng, _BARE_SHARE[kind], allow_held_out=split == "test")
    return compose(rng, design, seed, kind, size, split, backgrounds, who)


def compose(
    rng: np.random.Generator,
    design: Design,
    seed: int,
    kind: str,
    size: int,
    split: str,
    backgrounds: Path | None = None,
    who: Artist | None = None,
) -> Sample:
    """Photograph a given design."""
    tone = None if who is None or rng.random() < 0.4 else who.tone
    for _ in range(8):
        layout = sample_layout(rng, size, design, tone, close=kind != "segmentation")
        if kind == "segmentation" or layout.nails_in_view() >= 3:
            break
    if kind == "segmentation" and rng.random() < 0.06:
        layout.hands.clear()
        layout.loose.clear()  # a photo without a hand
    light = Light(rng)
    back = _background(rng, layout, backgrounds, who)
    rendered = render(rng, layout, design, back, light)
    exposed = expose(rng, rendered.image)
    if who is not None:
        tint = np.array([1 + who.warmth, 1.0, 1 - who.warmth], np.float32)
        exposed *= tint * np.float32(2**who.brightness)
    image = capture(rng, exposed)
    record = make_record(seed, kind, layout, design, rendered)
    if kind != "segmentation":
        texts = write_texts(rng, design, split, who.words if who else None, who.language if who else None)
        record.update(texts)
    if who is not None:
        record["artist"] = who.id
        extra = [who.signature if rng.random() < 0.7 else "", who.closing if rng.random() < 0.7 else ""]
        record["description"] = " ".join(part for part in (record["description"], *extra) if part)
    return Sample(image, rendered.mask, record)


def _background(
    rng: np.random.Generator, layout: Layout, backgrounds: Path | None, who: Artist | None
) -> NDArray[np.float32]:
    height, width = layout.height, layout.width
    if who is not None and rng.random() < who.own_surface_share:  # the table that an artist always uses
        return background.surface(np.random.default_rng(who.surface_seed), height, width, who.surface)
    if backgrounds is not None and rng.random() < 0.6:
        back = real_crop(rng, backgrounds, height, width)
    else:
        back = background.surface(rng, height, width)
    return clutter.scatter(rng, back, int(rng.poisson(1.6)))
