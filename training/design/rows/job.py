"""The job of `lunula train design`: its flags are the fields here."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from training.design.data.records import Design, read_designs
from training.design.encoders import EncoderConfig
from training.design.rows.models import ROWS
from training.design.rows.training import RowConfig
from training.kit.compute import Compute
from training.kit.flags import Count, Numbers, Positional, names

StepName = Literal["all", "encoders", "features", "mine", "rows", "photos", "export"]


@dataclass(frozen=True)
class DesignJob:
    """What a step is asked to do."""

    step: Positional[StepName]
    """what to do; `all` is every step but photos"""
    out: Path
    """folder of the run"""
    data: Path | None = None
    """synthetic designs with nailstar.jsonl; every step but photos needs it"""
    models: Path = Path("triton_models")
    """where `export` writes"""
    photos: Path | None = None
    """real photos with requests.jsonl, only measured"""
    crops: Path | None = None
    """folder of NAME.crop.png that `lunula crop` wrote of --photos"""
    rows: Annotated[tuple[str, ...], names(tuple(ROWS))] = ("ours",)
    """rows of the table, or all"""
    seeds: Numbers = (1, 2, 3, 4, 5)
    """of rows"""
    limit: Count | None = None
    """first designs of each split only"""
    views: int = 1
    """augmented crops of a training design"""
    seed: int = 7
    """of every step but rows"""
    threads: Count = 1
    """of torch"""
    workers: Count = 2
    """processes that embed photos"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps"""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """of the step encoders; its seed is --seed"""
    row: RowConfig = field(default_factory=RowConfig)
    """of the step rows; its seed is one of --seeds"""

    @property
    def folder(self) -> Path:
        """The folder of synthetic designs. Raises SystemExit where --data is missing."""
        if self.data is None:
            raise SystemExit(f"{self.step}: give --data DIR, synthetic designs with nailstar.jsonl")
        return self.data

    @property
    def compute(self) -> Compute:
        """Where to compute. Raises DeviceError for a device that is not there."""
        return Compute.choose(self.device)

    @property
    def encoder_config(self) -> EncoderConfig:
        """Of the training of the encoders."""
        return replace(self.encoder, seed=self.seed)

    def row_config(self, seed: int) -> RowConfig:
        """Of the training of a row. What is mined with is trained with the defaults."""
        return replace(self.row if self.step in ("rows", "all") else RowConfig(), seed=seed)

    def designs(self, split: str) -> list[Design]:
        """Designs of a split that a request can be about."""
        return [design for design in read_designs(self.folder, self.limit, split) if design.requests]

    @property
    def command(self) -> str:
        """The command with what decides the result; folders by name, since where they lie says nothing."""
        words = ["lunula train design", self.step]
        for name, value in (
            ("data", self.data and self.data.name),
            ("limit", self.limit),
            ("views", self.views),
            ("seed", self.seed),
        ):
            if value is not None:
                words.append(f"--{name} {value}")
        for prefix, config in (("encoder", self.encoder), ("row", self.row)):
            words += [f"--{prefix}.{name.replace('_', '-')} {value}" for name, value in changes(config)]
        return " ".join(words)


def changes(config: Any) -> list[tuple[str, Any]]:
    """(field, value) of a configuration where it is not the default."""
    return [
        (each.name, getattr(config, each.name))
        for each in fields(config)
        if getattr(config, each.name) != each.default
    ]
