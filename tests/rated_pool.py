"""A small drawn folder with votes and requests, written without drawing anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nails.photo.codec import encode_jpeg
from training.synth.kinds.aesthetics import TAGS, lists

COLOURS = ("red", "navy", "green", "gold")
SHAPES = ("oval", "square")


def rated_folder(folder: Path, photos: int = 40, seed: int = 0) -> Path:
    """Photos of four colours and two shapes, half of them val and half test; each has three texts.

    The dense one claims colour and shape, the plain one the colour, the tags colour and no other one.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "one.jpg").write_bytes(encode_jpeg(np.full((32, 32, 3), 128, np.uint8)))
    records = []
    for number in range(photos):
        colour, shape = COLOURS[number % 4], SHAPES[number // 4 % 2]
        votes = np.bincount(
            np.clip(rng.normal(rng.normal(5.4, 1), 1.4, 100).round(), 1, 10).astype(int), minlength=11
        )
        tag = str(rng.choice(list(TAGS)))
        refused = COLOURS[(number + 1) % 4]
        records.append(
            {
                "id": f"{number:06d}",
                "image": "images/one.jpg",
                "split": ("val", "test")[number // 8 % 2],
                "attributes": {"colour": colour, "shape": shape, "pattern": "plain", "finish": "gloss"},
                "texts": [
                    text("dense", f"{shape} {colour}", ("main", "colour", colour), ("set", "shape", shape)),
                    text("plain", colour, ("main", "colour", colour)),
                    text(
                        "tags",
                        f"{colour}, no {refused}",
                        ("main", "colour", colour),
                        ("not", "colour", refused),
                    ),
                ],
                "aesthetics": {
                    "tags": [tag],
                    "words": {"en": [tag.replace("_", " ")]},
                    "votes": votes[1:].tolist(),
                },
            }
        )
    for name, listing in lists(records).items():
        (folder / name).write_text(listing)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "index.jsonl").write_text(lines, encoding="utf-8")
    return folder


def text(level: str, words: str, *claims: tuple[str, str, str]) -> dict[str, Any]:
    return {"lang": "en", "level": level, "text": words, "claims": [list(claim) for claim in claims]}
