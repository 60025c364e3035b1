"""A small catalogue of works: painted nails, words and masks; one work has no photo and one no words."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from nails.vocabulary import COLOURS


def write_works(folder: Path, artists: int = 4, each: int = 12) -> Path:
    """Writes works.jsonl: artist n paints in her own colour and says her own word; returns the folder."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks", "hands"):
        (folder / name).mkdir(parents=True)
    lines = []
    for number in range(artists * each):
        artist = number % artists
        colour = COLOURS[5 * artist]
        photo = rng.integers(90, 200, (96, 80, 3)).astype(np.uint8)
        mask, hands = np.zeros((96, 80), np.uint8), np.zeros((96, 80), np.uint8)
        lab = np.array([[[colour.lab[0] * 2.55, colour.lab[1] + 128, colour.lab[2] + 128]]])
        paint = cv2.cvtColor(lab.clip(0, 255).astype(np.uint8), cv2.COLOR_LAB2BGR)[0, 0].tolist()
        for nail in range(3):
            place = (20 + 20 * nail, 40)
            cv2.ellipse(photo, place, (7, 12), 0, 0, 360, paint, -1)
            cv2.ellipse(mask, place, (7, 12), 0, 0, 360, nail + 1, -1)
        hands[30:70, 10:70] = 1
        name = f"{number:03d}"
        cv2.imwrite(str(folder / f"images/{name}.jpg"), photo)
        cv2.imwrite(str(folder / f"masks/{name}.png"), mask)
        cv2.imwrite(str(folder / f"hands/{name}.png"), hands)
        words = f"{colour.en[0]} nails" if artist % 2 else f"{colour.ja[0]}のネイル"
        work = {
            "id": name,
            "image": f"images/{name}.jpg",
            "mask": f"masks/{name}.png",
            "hands_mask": f"hands/{name}.png",
            "title": words,
            "description": f"number {number} by studio{artist}",
            "artist": f"artist {artist}",
            "lang": "en" if artist % 2 else "ja",
        }
        if number == 1:
            work["image"] = ""
        if number == 2:
            work["title"] = work["description"] = ""
        lines.append(json.dumps(work, ensure_ascii=False) + "\n")
    (folder / "works.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder
