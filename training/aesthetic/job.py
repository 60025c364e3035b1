"""The job of `lunula train aesthetic`: its flags are the fields here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from evaluation.aesthetic.photos import read
from evaluation.aesthetic.rated import RatedSet
from training.kit.flags import Count, names, whole
from training.kit.stepwise import Job, StepError

VARIANT_NAMES = ("regression", "notext", "literal", "ranking", "mse", "ours")


@dataclass(frozen=True)
class AvaOptions:
    """How AVA's files are read (evaluation.aesthetic.ava); refused for other data."""

    rule: Literal["paper", "official"] | None = None
    """which photos are tested on; None: as the paper does"""
    test_list: Path | None = None
    """file with the test photos of the official split"""
    least: Annotated[int, whole(0)] | None = None
    """photos that a tag needs"""
    train: Annotated[int, whole(0)] | None = None
    """photos to train on"""
    val: Annotated[int, whole(0)] | None = None
    """photos to validate on"""
    test: Annotated[int, whole(0)] | None = None
    """photos to test on"""
    skip_missing: bool = False
    """leave out photos that are not there"""


@dataclass(frozen=True)
class AestheticJob(Job):
    """What the steps are asked to do."""

    models: Path = Path("triton_models")
    """served models: `features` and `probe` read some, `export` writes one"""
    photos: Annotated[int, whole(100)] = 3000
    """probe: first photos that linear maps are fitted on"""
    variants: Annotated[tuple[str, ...], names(VARIANT_NAMES)] = VARIANT_NAMES
    """train: rows of the table"""
    runs: Count = 5
    """train, packing: trainings of a variant"""
    epochs: Count = 5
    """train: passes over the photos"""
    grid: Literal[7, 4, 3, 2, 1] = 4
    """train: cells each way that a photo's tokens are averaged to"""
    weight: Literal["0.1", "0.5", "1", "2", "5"] | None = None
    """train: weight of the squared error; None: chosen on validation photos"""
    combine: Literal["mean", "attention"] | None = None
    """train: how several tags are averaged; None: chosen on validation photos"""
    retrained: Count = 2
    """packing: models trained anew for each grid"""
    run: Count | None = None
    """export: the run that is served; None: the best of `ours` on validation photos"""
    ava: AvaOptions = field(default_factory=AvaOptions)

    def rated_photos(self) -> RatedSet:
        """The rated photos of `data`. Raises StepError, RatedError."""
        options = vars(self.ava).items()
        given = {name: value for name, value in options if value is not None and value is not False}
        found = read(self.data, **given)
        for split in ("train", "val", "test"):
            if len(found.select(split)) < 2:  # a correlation of one photo is nothing
                raise StepError(f"{self.data}: {len(found.select(split))} photos of the split {split}")
        return found
