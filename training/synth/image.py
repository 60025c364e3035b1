"""One synthetic image: generate(seed) -> image, masks and everything that is known about them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.synth.background import clutter, surfaces
from training.synth.background.photos import crop as real_crop
from training.synth.design.designs import Design, natural_design
from training.synth.graphics.light import Light
from training.synth.graphics.photo_effects import capture, expose, plain_photo
from training.synth.ingredients import validate_ingredients
from training.synth.kinds.artists import ARTISTS, Artist
from training.synth.kinds.subjects import GROUPS, KINDS, Subject, choose_subject
from training.synth.nail.craft import photograph
from training.synth.scene.layout import Layout, sample_layout
from training.synth.scene.pages import GRIDS, page
from training.synth.scene.record import is_visible, make_record
from training.synth.scene.render import Rendered, render
from training.synth.text.artist_words import describe_work
from training.synth.text.texts import write_texts

# Share of sets without paint. Segmentation learns most from them.
_BARE_SHARE = {"segmentation": 0.42, "designs": 0.05}
# Share of photos with a real photo behind the hands, where a folder of them is given.
_REAL_SHARE = {"segmentation": 0.75}
# Shares of sets in milky and rosy colours with or without a pale tip, and of sets that are made long.
_NATURAL_SHARE, _LONGER_SHARE = 0.14, 0.12
# Share of pictures that are screenshots or collages of photos.
_PAGE_SHARE = 0.03
# Share of photos without any hand.
_EMPTY_SHARE = 0.06


@dataclass
class Sample:
    """`image` u8 [h,w,3] RGB, `mask` u8 [h,w] nail instances (0: none), `hands` u8 [h,w] hands and
    feet (0: none), each with its sleeve and its rings, `record`: see training.synth.scene.record."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    hands: NDArray[np.uint8]
    record: dict[str, Any]


def generate(
    seed: int,
    kind: str = "designs",
    size: int = 640,
    backgrounds: Path | None = None,
    artists: int = ARTISTS,
    without: Iterable[str] = (),
) -> Sample:
    """Render the image of a seed; the same arguments give the same pixels.

    `kind`: one of KINDS. `size`: the longer side in pixels. `backgrounds`: a folder of photos of which parts
    stand behind most hands. `artists`: how many artists share the works of kind "artists". `without`: names
    of training.synth.ingredients that the photo must do without. Raises ValueError for an unknown kind or
    ingredient.
    """
    left_out = validate_ingredients(without)
    if kind == "segmentation":
        share = np.random.default_rng([seed, zlib.crc32(b"page")])
        if share.random() < _PAGE_SHARE and "clutter" not in left_out:
            return _page(share, seed, size, backgrounds, left_out)
    return _single(seed, kind, size, backgrounds, artists, left_out)


def _page(
    rng: np.random.Generator, seed: int, size: int, backgrounds: Path | None, without: frozenset[str]
) -> Sample:
    """A screenshot or a collage of synthetic images."""
    grid = GRIDS[int(rng.integers(0, len(GRIDS)))]
    parts = []
    for place in range(grid[0] * grid[1]):
        inner = max(round(size / max(grid) ** 0.6), 64)  # the middle of it fills the cell
        part = _single(seed + place * 2**40, "segmentation", inner, backgrounds, ARTISTS, without)
        parts.append((part.image, part.mask, part.hands, part.record))
    image, mask, hands, record = page(rng, size, parts, grid)
    return Sample(image, mask, hands, {**record, "seed": seed})


def _single(
    seed: int, kind: str, size: int, backgrounds: Path | None, artists: int, left_out: frozenset[str]
) -> Sample:
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}: one of {', '.join(KINDS)}")
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    bare = 0.0 if "bare_nails" in left_out else _BARE_SHARE.get(kind, 0.0)
    subject = choose_subject(rng, seed, kind, artists, bare)
    design = subject.design
    if kind == "segmentation":
        if rng.random() < _NATURAL_SHARE:
            design = natural_design(rng)
        if rng.random() < _LONGER_SHARE:
            design = replace(design, length=str(rng.choice(["long", "extra_long"])))
    if "long_tips" in left_out and design.length in ("long", "extra_long"):
        design = replace(design, length="medium")
    if subject.scene is not None:
        rng = np.random.default_rng([subject.scene, zlib.crc32(kind.encode())])
    split, who = subject.split, subject.who
    sample = compose(rng, design, seed, kind, size, split, backgrounds, who, left_out, subject)
    for _ in range(4):  # a design that hardly shows is photographed again; pairs keep their hand
        if kind == "segmentation" or subject.scene is not None or is_visible(sample.record):
            break
        rng = rng.spawn(1)[0]
        sample = compose(rng, design, seed, kind, size, split, backgrounds, who, left_out, subject)
    return sample


def compose(
    rng: np.random.Generator,
    design: Design,
    seed: int,
    kind: str,
    size: int,
    split: str,
    backgrounds: Path | None = None,
    who: Artist | None = None,
    without: frozenset[str] = frozenset(),
    subject: Subject | None = None,
) -> Sample:
    """Photograph a given design, as the subject (if there is one) wants it."""
    own_hand = who is not None and rng.random() < who.own_hand_share
    tone = who.tone if who is not None and own_hand else None
    habit = who.habit if who is not None else None
    like = subject.like if subject and subject.like else design
    for _ in range(8):
        place = rng.spawn(1)[0]
        again = deepcopy(place)
        layout = sample_layout(place, size, like, tone, kind != "segmentation", without, habit, own_hand)
        if kind == "segmentation" or layout.nails_in_view() >= 3:
            break
    if like is not design:  # another set on the same hand
        layout = sample_layout(again, size, design, tone, close=kind != "segmentation", without=without)
    if kind == "segmentation" and rng.random() < _EMPTY_SHARE and "hard_negatives" not in without:
        layout.hands.clear()
        layout.loose.clear()  # a photo without a hand
    if layout.arrangement == "feet":
        design = replace(design, length="short")
    own_lamp = who is not None and rng.random() < who.own_lamp_share
    lamp = np.random.default_rng(who.lamp) if who is not None and own_lamp else rng
    light = Light(lamp, 0.06 if kind == "segmentation" else 0.0)
    back = _background(rng, layout, backgrounds, who, kind, without)
    if light.flash:
        back *= np.float32(rng.uniform(0.25, 0.9))
    craft = subject.craft if subject else None
    mess = craft.mess if craft else 0.0
    brush, rng = rng.spawn(2)  # what follows does not depend on what was painted
    bottles = who.bottles if who is not None and brush.random() < who.own_bottle_share else None
    rendered = render(brush, layout, design, back, light, "free_edge" not in without, mess, bottles)
    effects = "photo_effects" not in without
    # what is asked of these kinds is often a colour
    grey = 0.0 if kind in GROUPS else 0.025
    exposed = expose(rng, rendered.image, grey) if effects and craft is None else rendered.image
    if who is not None:
        _lit_by(lamp if own_lamp else None, exposed, rendered, who)
    if craft is not None:
        image = photograph(rng, exposed, craft)
    else:
        image = capture(rng, exposed) if effects else plain_photo(exposed)
    record = make_record(seed, kind, layout, design, rendered)
    if kind != "segmentation":
        wording = who.wording if who else None
        record.update(
            write_texts(
                rng, design, split, wording.words if wording else None, wording.language if wording else None
            )
        )
    if who is not None:
        record["artist"] = who.id
        record.update(describe_work(seed, design, split, who.wording))
    if subject is not None:
        record.update(subject.facts(record))
    return Sample(image, rendered.mask, (rendered.hand + 1).astype(np.uint8), record)


def _lit_by(
    lamp: np.random.Generator | None, exposed: NDArray[np.float32], rendered: Rendered, who: Artist
) -> None:
    """Lays an artist's own light on hands and nails of `exposed` [h,w,3], in place.

    What stands behind has the light of the room: any background would otherwise give her lamp away. `lamp`:
    the state of its random numbers, None for a photo in other light.
    """
    near = (rendered.hand >= 0) | (rendered.mask > 0)
    own = exposed if lamp is None else expose(lamp, rendered.image, 0.0)
    tint = np.array([1 + who.warmth, 1.0, 1 - who.warmth], np.float32) * np.float32(2**who.brightness)
    exposed[near] = own[near] * tint


def _background(
    rng: np.random.Generator,
    layout: Layout,
    backgrounds: Path | None,
    who: Artist | None,
    kind: str,
    without: frozenset[str],
) -> NDArray[np.float32]:
    height, width = layout.height, layout.width
    if who is not None and rng.random() < who.own_table_share:
        surface, look = who.tables[int(rng.integers(0, len(who.tables)))]
        table = surfaces.surface(np.random.default_rng(look), height, width, surface)
        return np.asarray(table * np.exp(rng.normal(0, 0.06, 3)), np.float32)  # never quite of one colour
    real = backgrounds if "real_backgrounds" not in without else None
    if rng.random() < _REAL_SHARE.get(kind, 0.6) and real is not None:
        back = real_crop(rng, real, height, width)
    else:
        back = surfaces.surface(rng, height, width)
    if "clutter" in without:
        return back
    mean = 1.6 if layout.hands or layout.loose else 5.0  # a photo without a hand shows more of other things
    return clutter.scatter(rng, back, int(rng.poisson(mean)), real)
