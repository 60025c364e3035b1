"""Trainings in steps that each leave files behind: the job, and the command that runs steps by name.

A step is a function `run(job: Job) -> None` that writes under `job.out` and passes over what is there; every
step is imported only when it runs, so that a command needs the libraries of its own steps alone.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.kit.command import shown

Step = Callable[["Job"], None]


@dataclass(frozen=True)
class Job:
    """What a step is asked to do.

    data: the folder that is learnt from. out: the run. seed: fixes everything. encoders: checkpoint of the
    compact encoders, None where the command named none. workers: processes. command: as it was typed, folders
    by name. options: those of single steps, by name (`--option NAME=VALUE`), which the step reads and checks.
    """

    data: Path
    out: Path
    seed: int = 7
    encoders: Path | None = None
    workers: int = 1
    command: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


class StepError(ValueError):
    """A step cannot be done; the message says what is missing and which step or option gives it."""


def load_step(steps: Mapping[str, str], name: str) -> Step:
    """The function of a step. steps: "module:function" by name. Raises KeyError for an unknown one."""
    module, _, function = steps[name].partition(":")
    step: Step = getattr(importlib.import_module(module), function)
    return step


def add_arguments(parser: argparse.ArgumentParser, *, data: str, seed: str, options: str) -> None:
    """What all such commands take: STEP..., --data, --out, --seed, --workers, --option. data, seed, options:
    their help."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("steps", nargs="+", metavar="STEP", help="see below; several are done in their order")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help=data)
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the results")
    parser.add_argument("--seed", type=int, default=7, help=f"{seed} (default 7)")
    parser.add_argument("--workers", type=int, default=1, help="processes that read photos (default 1)")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help=options)


def run_steps(
    parser: argparse.ArgumentParser,
    steps: Mapping[str, str],
    faults: tuple[type[Exception], ...],
    argv: Sequence[str] | None,
) -> None:
    """Reads the command line (of the process where `argv` is None) and does its steps in their order there.

    faults: errors beside StepError that are the caller's to mend. Ends the process with a reason: 2 for what
    cannot be asked for, 1 for what failed.
    """
    arguments = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(arguments)
    for step in args.steps:
        if step not in steps:
            parser.error(f"{step!r} is no step: one of {', '.join(steps)}")
    if not args.data.is_dir():
        parser.error(f"--data {args.data}: no such folder")
    options = {}
    for option in args.option:
        name, equals, value = option.partition("=")
        if not (name and equals):
            parser.error(f"--option {option}: not NAME=VALUE")
        options[name] = value
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    job = Job(
        data=args.data,
        out=args.out,
        seed=args.seed,
        encoders=getattr(args, "encoders", None),
        workers=args.workers,
        command=shown(*parser.prog.split(), arguments=arguments),
        options=options,
    )
    try:
        for step in args.steps:
            load_step(steps, step)(job)
    except (StepError, *faults) as error:
        parser.exit(2, f"error: {error}\n")
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed here: `make train-env`")
    except OSError as error:
        sys.exit(f"error: {error.filename or args.out}: {error.strerror or error}")
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
