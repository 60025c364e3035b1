"""The steps of `lunula train aesthetic`."""

from __future__ import annotations

from typing import Final

STEPS: Final[dict[str, str]] = {
    "features": "training.aesthetic.features:run",
    "probe": "training.aesthetic.probe_step:run",
    "train": "training.aesthetic.train_step:run",
    "packing": "training.aesthetic.packing_step:run",
    "export": "training.aesthetic.export:run",
}
"""Name of a step -> "module:function"; a step writes under `job.out` and passes over what is there."""
