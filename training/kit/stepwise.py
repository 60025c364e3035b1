"""Trainings in steps that each leave files behind: the job, and the command that runs steps by name.

A step is a function `run(job) -> None` that writes under `job.out` and passes over what is there; every step
is imported only when it runs, so that a command needs the libraries of its own steps alone.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from training.kit.command import record_command
from training.kit.compute import Compute, DeviceError
from training.kit.flags import Count, Positional, Suppress, arg, parse

Step = Callable[[Any], None]


@dataclass(frozen=True)
class Job:
    """What the steps of a command are asked to do; a package adds the options of its own steps."""

    data: Path
    """folder that is learnt from"""
    out: Path
    """folder of the results"""
    seed: int = 7
    """fixes splits and training"""
    workers: Count = 1
    """processes that read photos"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps"""
    steps: Annotated[Positional[tuple[str, ...]], arg(metavar="STEP...", help="in this order")] = ()
    command: Suppress[str] = ""
    """as it was typed, folders by name"""

    @property
    def compute(self) -> Compute:
        """Where to compute. Raises DeviceError for a device that is not there."""
        return Compute.choose(self.device)


AnyJob = TypeVar("AnyJob", bound=Job)


class StepError(ValueError):
    """A step cannot be done; the message says what is missing and which step or option gives it."""


def load_step(steps: Mapping[str, str], name: str) -> Step:
    """The function of a step. steps: "module:function" by name. Raises KeyError for an unknown one."""
    module, _, function = steps[name].partition(":")
    step: Step = getattr(importlib.import_module(module), function)
    return step


def run_steps(
    job_type: type[AnyJob],
    steps: Mapping[str, str],
    faults: tuple[type[Exception], ...],
    arguments: Sequence[str] | None,
    *,
    program: str,
    about: str | None,
) -> None:
    """Reads the command line and does its steps, in their order there.

    steps: "module:function" by name. faults: errors beside StepError that are the caller's to mend.
    arguments: those of the process where None. program, about: what the help begins with. Ends the process
    with a reason: 2 for what cannot be done as it was asked for, 1 for what failed.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    about = f"{about}\n\nSteps: {', '.join(steps)}."
    job: AnyJob = parse(job_type, arguments, program=program, about=about)
    job = replace(job, command=record_command(*program.split(), arguments=arguments))
    mendable: tuple[type[Exception], ...] = (StepError, DeviceError, *faults)
    try:
        for step in job.steps or ("",):
            if step not in steps:
                raise StepError(f"STEP {step!r} is none of {', '.join(steps)}")
        if not job.data.is_dir():
            raise StepError(f"--data {job.data}: no such folder")
        _ = job.compute  # a device that is not there is refused before anything begins
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        for step in job.steps:
            load_step(steps, step)(job)
    except mendable as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed here: `make train-env`")
    except OSError as error:
        sys.exit(f"error: {error.filename or job.out}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where this one stopped")


def remember(folder: Path, settings: Mapping[str, Any]) -> None:
    """Writes folder/settings.json; raises StepError if another is there already."""
    text = json.dumps(settings, indent=1, ensure_ascii=False, sort_keys=True, default=str) + "\n"
    path = folder / "settings.json"
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise StepError(
                f"{folder}: was made with other data, seed or settings: delete it or use another --out"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
