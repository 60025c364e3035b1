"""The steps of `lunula train aesthetic`, their job, and how they read their options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from evaluation.aesthetic.photos import read
from evaluation.aesthetic.rated import RatedSet
from training.stepwise import Job, StepError

STEPS: Final[dict[str, str]] = {
    "features": "training.aesthetic.features:run",
    "probe": "training.aesthetic.probe_step:run",
    "train": "training.aesthetic.train_step:run",
    "packing": "training.aesthetic.packing_step:run",
    "export": "training.aesthetic.export:run",
}
"""Name of a step -> "module:function"; a step writes under `job.out` and passes over what is there."""

_TEXTS: Final = ("rule", "test_list")
_NUMBERS: Final = ("least", "train", "val", "test")


def photos_of(job: Job) -> RatedSet:
    """The rated photos of --data, AVA's split by the options rule, test_list, least, train, val, test and
    skip_missing (see `evaluation.aesthetic.ava`). Raises StepError, RatedError."""
    ava: dict[str, Any] = {name: job.options[name] for name in _TEXTS if name in job.options}
    if "test_list" in ava:
        ava["test_list"] = Path(ava["test_list"])
    ava |= {name: whole(job.options, name, 0) for name in _NUMBERS if name in job.options}
    if "skip_missing" in job.options:
        ava["skip_missing"] = job.options["skip_missing"] == "yes"
    found = read(job.data, **ava)
    for split in ("train", "val", "test"):
        if len(found.select(split)) < 2:  # a correlation of one photo is nothing
            raise StepError(f"{job.data}: {len(found.select(split))} photos of the split {split}")
    return found


def whole(options: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    """The option `name`, a whole number of at least `least`. Raises StepError."""
    text = options.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise StepError(f"--option {name}={text}: not a whole number from {least}")
    return int(text)


def listed(options: Mapping[str, str], name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The option `name`, names with commas between, all of `known` without it. Raises StepError."""
    if name not in options:
        return known
    chosen = tuple(dict.fromkeys(options[name].split(",")))
    for item in chosen:
        if item not in known:
            raise StepError(f"--option {name}: {item!r} is none of {', '.join(known)}")
    return chosen
