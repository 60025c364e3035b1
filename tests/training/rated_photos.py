"""Synthetic photos with votes, a small folder, and features: what is liked depends on the tag."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from evaluation.aesthetic.photos import read
from training.aesthetic.features import FOLDER, WORDS
from training.kit.data.features import CHUNK, chunk_path
from training.kit.stepwise import remember

TAGS = ("goth", "office", "plain")
LIKED = {"goth": -1, "office": 1, "plain": 0}  # -1: dark, 1: bright
WORDS_JA = {"goth": "ゴシック", "office": "オフィス", "plain": "単色"}


def write_rated(folder: Path, count: int = 240, seed: int = 3) -> Path:
    """Writes index.jsonl, AVA.txt, tags.txt and images. Photos of "goth" are liked dark, of "office" bright,
    of "plain" either way; every fifth has two tags, every seventh none. Returns the folder."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    records, rows = [], []
    for number in range(count):
        bright = float(rng.uniform(-1, 1))
        one, other = rng.permutation(3)[:2]
        tags = [] if number % 7 == 0 else [TAGS[one], TAGS[other]] if number % 5 == 0 else [TAGS[one]]
        taste = np.mean([LIKED[tag] for tag in tags]) if tags else 0.0
        votes = np.bincount(
            np.clip(np.rint(rng.normal(5.5 + 2 * taste * bright, 1.2, 60)), 1, 10).astype(int), minlength=11
        )[1:].tolist()
        name = f"{number:06d}"
        cv2.imwrite(
            str(folder / "images" / f"{name}.jpg"), np.full((32, 32, 3), 128 + 100 * bright, np.uint8)
        )
        split = "val" if number % 6 == 4 else "test" if number % 6 == 5 else "train"
        words = {"en": tags, "ja": [WORDS_JA[tag] for tag in tags]}
        own = {"tags": tags, "words": words, "votes": votes}
        records.append({"id": name, "image": f"images/{name}.jpg", "split": split, "aesthetics": own})
        numbers = [TAGS.index(tag) + 1 for tag in tags] + [0] * (2 - len(tags))
        rows.append(" ".join(map(str, [number + 1, number, *votes, *numbers, 0])))
    (folder / "index.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "AVA.txt").write_text("\n".join(rows) + "\n")
    (folder / "tags.txt").write_text("".join(f"{n} {tag}\n" for n, tag in enumerate(TAGS, 1)))
    return folder


def write_features(data: Path, out: Path, weights: str = "", seed: int = 5) -> Path:
    """Writes what the step `features` would: of every token, 64 channels say how bright the photo is, all
    others are noise. weights: sha256 of image_align. Returns `out`."""
    rng = np.random.default_rng(seed)
    photos = read(data).photos
    count = len(photos)
    bright = np.array([cv2.imread(str(photo.image)).mean() / 100 - 1.28 for photo in photos])
    tokens = rng.normal(0, 0.5, (count, 1, 49, 320)).astype(np.float16)
    tokens[:, 0, :, :64] = 2 * bright[:, None, None]
    # Photos look alike to it, or it would tell them apart and learn them by heart.
    align = rng.normal(0, 1, 512) + rng.normal(0, 0.1, (count, 1, 512))
    align /= np.linalg.norm(align, axis=2, keepdims=True)
    pooled = rng.normal(0, 1, (count, 1, 1280)).astype(np.float16)
    remember(out / FOLDER, {"image_align": weights})
    for number, start in enumerate(range(0, count, CHUNK)):
        part = slice(start, start + CHUNK)
        np.savez(
            chunk_path(out / FOLDER, number),
            align=align[part].astype(np.float16),
            tokens=tokens[part],
            pooled=pooled[part],
        )
    texts = [*TAGS, *WORDS_JA.values()]
    own = rng.normal(0, 1, (3, 512))
    table = np.concatenate([own, own + rng.normal(0, 0.3, own.shape)])  # other words say nearly the same
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    np.savez(out / WORDS, table=table.astype(np.float32), texts=np.array(texts))
    return out
