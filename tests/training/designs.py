"""A folder of tiny designs in the form of the synthetic data: painted ellipses on grey noise."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from nails.vocabulary import COLOURS


def write_designs(folder: Path, count: int = 24, artists: int = 4) -> Path:
    """Writes `count` designs, each of another colour, in English and Japanese, and returns the folder."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    lines = []
    for index in range(count):
        colour = COLOURS[index % len(COLOURS)]
        photo = rng.integers(90, 200, (120, 100, 3)).astype(np.uint8)
        mask = np.zeros((120, 100), np.uint8)
        lab = np.array([[[colour.lab[0] * 2.55, colour.lab[1] + 128, colour.lab[2] + 128]]])
        paint = cv2.cvtColor(lab.clip(0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)[0, 0].tolist()
        for nail in range(4):
            place = (20 + 20 * nail, 50)
            cv2.ellipse(photo, place, (7, 12), 0, 0, 360, paint, -1)
            cv2.ellipse(mask, place, (7, 12), 0, 0, 360, nail + 1, -1)
        cv2.imwrite(str(folder / f"images/{index}.jpg"), photo)
        cv2.imwrite(str(folder / f"masks/{index}.png"), mask)
        claims = [["main", "colour", colour.name], ["set", "shape", "almond"]]
        texts = [
            {"lang": "en", "level": "dense", "text": f"{colour.en[0]} nails", "claims": claims},
            {"lang": "ja", "level": "dense", "text": f"{colour.ja[0]}のネイル", "claims": claims},
        ]
        record = {
            "id": f"{index:06d}",
            "image": f"images/{index}.jpg",
            "mask": f"masks/{index}.png",
            "size": [100, 120],
            "crop": {"box": [13, 38, 87, 62], "rule": 4},
            "attributes": {
                "colour": colour.name,
                "shape": "almond",
                "pattern": "plain",
                "finish": "unheard_of",
                "accent": {"colour": "gold"},
            },
            "nails": [{"attributes": {"colour": "gold", "bare": True}}],
            "palette": [{"lab": list(colour.lab), "weight": 1.0, "name": colour.name}],
            "texts": texts,
            "artist": f"artist-{index % artists}",
            "title": f"work of number{index % artists}",
            "description": colour.en[0],
        }
        if index < 2:
            record["binding"] = {"family": "family-0", "case": "finish", "member": index}
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    (folder / "index.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder
