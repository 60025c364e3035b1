"""The step `packing`: how few bytes of a photo's tokens still give the same order of photos.

RUN/packing.json has, for every grid and number of bits (nails.aesthetic.tokens), SRCC on validation and test
photos of two kinds of models:

- `asked`: the models of the step `train`, given tokens of a grid that they were not trained on;
- `retrained`: `ours` trained anew on tokens of that grid.

The packing that is served is the smallest whose retrained models lose less than MOST_LOST of SRCC on the
validation photos against the whole map in 16 bits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from nails.aesthetic.tokens import BITS, GRIDS, Grid, Packing, pack, unpack
from training.aesthetic.fitting import Inputs, figures, with_seed
from training.aesthetic.job import AestheticJob
from training.aesthetic.material import Material, Rows, read_material
from training.aesthetic.train_step import (
    Trained,
    load,
    model_path,
    save,
    score_photos,
    train_one,
)
from training.kit.stepwise import StepError

FILE: Final = "packing.json"
MOST_LOST: Final = 0.01
SPLITS: Final = ("val", "test")


def run(job: AestheticJob) -> None:
    """Writes RUN/packing.json and prints it. Raises StepError."""
    material = read_material(job)
    models = [load(model_path(job.out, "ours", number), "ours") for number in range(1, job.runs + 1)]
    retrained = {grid: _retrained(job, material, grid, models[0]) for grid in _bar(GRIDS)}
    table = []
    for grid, bits in product(GRIDS, BITS):
        packing = Packing(grid, bits)
        row: dict[str, Any] = {"grid": grid, "bits": bits, "bytes": packing.size(material.tokens.shape[2])}
        for split in SPLITS:
            rows = material.rows(split)
            tokens = torch.from_numpy(repack(material.tokens[rows], packing))
            row[split] = {
                "asked": measure_srcc(models, material, rows, tokens),
                "retrained": measure_srcc(retrained[grid], material, rows, tokens),
            }
        table.append(row)
    best = smallest(table)
    found = {"most_lost": MOST_LOST, "trained_on": models[0].config.grid, "served": best, "table": table}
    (job.out / FILE).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print_table(table)
    print(f"served: {best['grid']} x {best['grid']} in {best['bits']} bits, {best['bytes']:,} bytes a photo")


def repack(tokens: NDArray[np.float16], packing: Packing) -> NDArray[np.float16]:
    """Tokens [n,49,D] as they come back from bytes: f16 [n,grid*grid,D]."""
    dims = tokens.shape[2]
    return np.stack([unpack(pack(own, packing), packing, dims) for own in tokens])


def measure_srcc(
    models: Sequence[Trained], material: Material, rows: Rows, tokens: torch.Tensor
) -> list[float]:
    """SRCC of each model's scores of `rows`, which it sees as `tokens`."""
    inputs = Inputs.of(material, "ours", material.tokens)
    return [
        round(
            figures(score_photos(model, inputs, rows, material.tags[rows], tokens).score, material.mos[rows])[
                "srcc"
            ],
            5,
        )
        for model in models
    ]


def smallest(table: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of fewest bytes that loses less than MOST_LOST on validation photos. A single token is out:
    what attends to one key ignores its query."""
    whole_map = next(row for row in table if (row["grid"], row["bits"]) == (7, 16))
    level = float(np.mean(whole_map["val"]["retrained"]))
    good = [
        row
        for row in table
        if row["grid"] > 1 and level - float(np.mean(row["val"]["retrained"])) < MOST_LOST
    ]
    best = min(good, key=lambda row: int(row["bytes"]))
    return {name: best[name] for name in ("grid", "bits", "bytes")}


def read_served(out: Path) -> Packing | None:
    """The packing that the step chose, None where it was not done. Raises StepError for another file."""
    path = out / FILE
    if not path.exists():
        return None
    try:
        served = json.loads(path.read_text(encoding="utf-8"))["served"]
        return Packing(served["grid"], served["bits"])
    except (ValueError, KeyError, TypeError) as error:
        raise StepError(f"{path}: {error}") from error


def grid_path(out: Path, grid: Grid, number: int) -> Path:
    """Where a model lies that was trained anew for a grid."""
    return model_path(out, f"grid-{grid}", number)


def _retrained(job: AestheticJob, material: Material, grid: Grid, like: Trained) -> list[Trained]:
    """As many models as `retrained` says, trained as `like` was but for the grid."""
    found = []
    inputs: Inputs | None = None
    for number in range(1, job.retrained + 1):
        own = model_path(job.out, "ours", number)
        path = own if grid == like.config.grid and own.exists() else grid_path(job.out, grid, number)
        if not path.exists():
            inputs = inputs or Inputs.of(material, "ours", material.at(grid))
            config = with_seed(replace(like.config, grid=grid), job.seed, number)
            save(path, train_one(material, inputs, "ours", config, job.compute))
        found.append(load(path, "ours"))
    return found


def print_table(table: Sequence[dict[str, Any]]) -> None:
    """SRCC on validation and test photos, means over the models."""
    print(f"{'grid':>5}{'bits':>5}{'bytes':>8}" + "".join(f"{s + ' ' + k:>17}" for s, k in _COLUMNS))
    for row in table:
        cells = "".join(f"{np.mean(row[split][kind]):>17.4f}" for split, kind in _COLUMNS)
        print(f"{row['grid']:>5}{row['bits']:>5}{row['bytes']:>8,}" + cells)


_COLUMNS = [(split, kind) for kind in ("retrained", "asked") for split in SPLITS]


def _bar(grids: Sequence[Grid]) -> Any:
    return tqdm(grids, desc="grids", unit="grid")
