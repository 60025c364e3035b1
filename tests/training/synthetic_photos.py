"""A folder of tiny synthetic photos in the generator's form: ellipses for nails on a rectangle for a hand."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np


def write_synthetic_photos(folder: Path, *, count: int = 4, side: int = 160) -> Path:
    """Writes index.jsonl, images and masks for `count` photos, each with one hand and three nails."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    lines = []
    for number in range(count):
        rng = np.random.default_rng(number)
        image = np.full((side, side, 3), rng.integers(60, 120, 3), np.uint8)
        mask = np.zeros((side, side), np.uint8)
        cv2.rectangle(image, (30, 50), (130, 155), (205, 170, 150), -1)
        nails = []
        for instance in range(1, 4):
            centre = (20 + 30 * instance, 60 + int(rng.integers(-8, 8)))
            colour = tuple(int(value) for value in rng.integers(0, 255, 3))
            for canvas, value in ((image, colour), (mask, instance)):
                cv2.ellipse(canvas, centre, (9, 14), 0, 0, 360, value, -1)
            x, y = centre
            nails.append(
                {"instance": instance, "hand": 0, "finger": "ring", "box": [x - 9, y - 14, x + 9, y + 14]}
            )
        joints = [[30 + 5 * joint, 60 + 4 * joint, 2 if joint % 5 else 1] for joint in range(21)]
        name = f"{number:06d}"
        cv2.imwrite(str(folder / "images" / f"{name}.jpg"), image[..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)
        lines.append(
            json.dumps(
                {
                    "id": name,
                    "image": f"images/{name}.jpg",
                    "mask": f"masks/{name}.png",
                    "size": [side, side],
                    "nails": nails,
                    "hands": [{"side": "left", "joints": joints, "box": [30, 50, 130, 155]}],
                }
            )
        )
    (folder / "index.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
