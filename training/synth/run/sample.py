"""The sample catalogue: sixty rendered designs as `lunula index` reads them, small enough to commit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from training.synth.design.designs import Design, Look, themed_look
from training.synth.design.themes import THEMES
from training.synth.image import Sample, compose
from training.synth.kinds.artists import artist, artist_design

_SIZE = 544
_ARTISTS = (3, 7, 12, 19, 24, 31, 40, 52)
# Designs that everybody knows, beside those of themes and artists: shape, length, look, accent look.
_CLASSICS: tuple[tuple[str, str, Look, Look | None], ...] = (
    ("almond", "medium", Look("sheer_pink", "gloss", "french", ("white",)), None),
    ("round", "short", Look("red"), None),
    (
        "coffin",
        "long",
        Look("black", "matte"),
        Look("black", "gloss", part="rhinestone", part_colour="silver"),
    ),
    ("oval", "medium", Look("nude", "gloss"), Look("gold", "glitter")),
    ("squoval", "short", Look("navy", "gloss", "dots", ("white",)), None),
    ("stiletto", "extra_long", Look("wine", "chrome"), None),
    ("almond", "long", Look("lavender", "gloss", "marble", ("white",)), Look("silver", "glitter")),
    ("square", "short", Look("grey", "gloss"), Look("grey", "glitter")),
    ("square", "short", Look("grey", "glitter"), None),
    ("oval", "medium", Look("purple", "cat_eye"), None),
    ("almond", "medium", Look("milky_white", "aurora"), None),
    ("round", "short", Look("mint", "gloss", "floral", ("white", "pink", "yellow")), None),
    ("coffin", "long", Look("nude", "matte", "leopard", ("chocolate", "brown")), None),
    ("squoval", "medium", Look("dark_green", "gloss"), Look("gold", "chrome")),
    ("almond", "medium", Look("baby_pink", "jelly", part="pearl", part_colour="ivory"), None),
    ("squoval", "short", Look("white", "gloss", "cow", ("black",)), None),
    ("oval", "medium", Look("mustard", "gloss", "tortoiseshell", ("chocolate", "brown")), None),
    ("round", "short", Look("sky_blue", "gloss", "check", ("white", "navy")), None),
    ("almond", "long", Look("black", "gloss", "flame", ("red", "orange")), None),
    ("round", "short", Look("clear", "gloss", bare=True), None),
)


def _classic(shape: str, length: str, main: Look, accent: Look | None) -> Design:
    if accent is None:
        return Design(shape, length, (main,) * 5)
    return Design(shape, length, (main, main, main, accent, main), ("ring",), "", "accent")


def catalogue_designs(seed: int) -> list[tuple[Design, int | None]]:
    """(design, artist's number or None) of the sample: twenty classics, twenty of themes, twenty of
    artists."""
    designs: list[tuple[Design, int | None]] = [(_classic(*row), None) for row in _CLASSICS]
    for number, theme in enumerate(THEMES):
        rng = np.random.default_rng([seed, 1, number])
        shape = ("almond", "round", "oval", "squoval", "coffin")[number % 5]
        length = ("medium", "short", "medium", "long")[number % 4]
        main = themed_look(rng, theme)
        accent = themed_look(rng, theme)
        if accent.pattern == "plain":
            pattern = str(rng.choice([p for p in THEMES[theme].patterns if p != "plain"]))
            accent = replace(
                accent,
                pattern=pattern,
                accents=(next(c for c in THEMES[theme].colours if c != accent.colour),),
            )
        fingers = ("ring",) if number % 2 else ("middle", "ring")
        looks = tuple(accent if f in fingers else main for f in ("thumb", "index", "middle", "ring", "pinky"))
        designs.append((Design(shape, length, looks, fingers, theme, "accent"), None))
    for number in range(20):
        who = _ARTISTS[number % len(_ARTISTS)]
        designs.append((artist_design(np.random.default_rng([seed, 2, number]), artist(who)), who))
    return designs


def _worth(sample: Sample) -> float:
    """How well a photo shows its design: whole nails, large, on a hand, in colour, well exposed."""
    height, width = sample.mask.shape
    nails = sample.record["nails"]
    whole = [
        nail
        for nail in nails
        if min(nail["box"][:2]) > 2 and nail["box"][2] < width - 2 and nail["box"][3] < height - 2
    ]
    fingers = len({nail["finger"] for nail in whole})
    share = sum(nail["area"] for nail in whole) / (height * width)
    pixels = sample.image.reshape(-1, 3)[::7].astype(np.float32)
    faded = float(pixels.std(axis=1).mean() < 6)
    clipped = float((pixels.min(axis=1) > 225).mean() + (pixels.max(axis=1) < 14).mean())
    dim = abs(float(pixels.mean()) - 130) / 60
    alone = 0.8 * (not sample.record["hands"])
    return float(min(fingers, 4) + 22 * min(share, 0.12) - dim - 4 * clipped - 3 * faded - alone)


def write_catalogue(out: Path, seed: int = 11, tries: int = 14, backgrounds: Path | None = None) -> Path:
    """Write `out`/catalogue.jsonl and `out`/images/; of `tries` photos of each design the clearest is
    kept."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (design, who) in enumerate(catalogue_designs(seed)):
        best: Sample | None = None
        for turn in range(tries):
            rng = np.random.default_rng([seed, 3, number, turn])
            painter = artist(who) if who is not None else None
            sample = compose(rng, design, number, "designs", _SIZE, "train", backgrounds, painter)
            if best is None or _worth(sample) > _worth(best):
                best = sample
        assert best is not None  # tries is at least one
        name = f"d{number + 1:03d}"
        data = simplejpeg.encode_jpeg(best.image, quality=84, colorspace="RGB", colorsubsampling="420")
        (out / "images" / f"{name}.jpg").write_bytes(data)
        lines.append(json.dumps(_line(name, best.record), ensure_ascii=False))
    path = out / "catalogue.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _line(name: str, record: dict[str, Any]) -> dict[str, Any]:
    attributes = {
        key: record["attributes"][key]
        for key in ("shape", "length", "colour", "finish", "pattern", "part", "theme")
        if isinstance(record["attributes"].get(key), str)
    }
    accent = record["attributes"].get("accent") or {}
    if "part" not in attributes and accent.get("part"):
        attributes["part"] = accent["part"]
    return {
        "id": name,
        "image": f"images/{name}.jpg",
        "title": record["title"],
        "description": record["description"],
        "artist": record.get("artist", ""),
        "tags": record["tags"],
        "attributes": attributes,
        "context": record["context"],
    }
