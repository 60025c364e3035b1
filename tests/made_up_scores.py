"""A run of aesthetic predictions that no model made: noise around the truth, less for better variants."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evaluation.aesthetic.predictions import Scored, Truth, write, write_about

TAGS = ("nature", "night", "portrait", "sea", "street")
NOISE = {"regression": 0.9, "notext": 0.7, "ours": 0.4}
"""Standard deviation of a variant's error, in score."""
READS_TAGS = ("literal", "ours")


def made_up_truth(photos: int = 150, seed: int = 0) -> Truth:
    """Photos with 60 to 200 votes each, none to two tags, as many as AVA has."""
    rng = np.random.default_rng(seed)
    votes = np.zeros((photos, 10), np.int32)
    for own in votes:
        given = np.clip(np.rint(rng.normal(rng.normal(5.4, 0.8), 1.4, int(rng.integers(60, 200)))), 1, 10)
        own[:] = np.bincount(given.astype(int), minlength=11)[1:]
    mos = (votes @ np.arange(1, 11) / votes.sum(axis=1)).astype(np.float32)
    tags = tuple(
        tuple(str(name) for name in rng.choice(TAGS, int(rng.choice(3, p=(0.23, 0.18, 0.59))), replace=False))
        for _ in range(photos)
    )
    tagged = np.array([bool(names) for names in tags])
    cosines = 0.25 + 0.03 * (mos - 5.4) + rng.normal(0, 0.05, photos)
    return Truth(
        tuple(f"{place:06d}" for place in range(photos)),
        mos,
        votes,
        tags,
        np.where(tagged, cosines, np.nan).astype(np.float32),
    )


def made_up_run(folder: Path, truth: Truth, variants: dict[str, float] | None = None, runs: int = 3) -> Path:
    """Writes predictions of some variants with their noise; returns the folder."""
    for place, (name, noise) in enumerate((NOISE if variants is None else variants).items()):
        write_about(folder, name, what=f"made up with noise {noise}", seed=0)
        for number in range(1, runs + 1):
            write(folder, name, truth, scored(truth, name, noise, 100 * place + number, number))
    return folder


def scored(truth: Truth, name: str, noise: float, seed: int, number: int = 1) -> Scored:
    """One run; variants that read tags lose half a point with a wrong one."""
    rng = np.random.default_rng(seed)
    score = (truth.mos + rng.normal(0, noise, len(truth.mos))).astype(np.float32)
    fall = 0.5 + rng.normal(0, 0.3, len(score)) if name in READS_TAGS else np.zeros(len(score))
    steps = np.arange(1, 11) - np.clip(score, 1, 10)[:, None]
    shares = np.exp(-0.5 * (steps / 1.4) ** 2)
    return Scored(
        number,
        score,
        None if name == "regression" else (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32),
        np.where(truth.tagged, score - fall, np.nan).astype(np.float32),
    )
