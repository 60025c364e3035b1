"""What the commands share that train a perception model on synthetic photos."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch

from training.kit.compute import Compute, DeviceError
from training.kit.flags import Folders


def refuse(reason: str) -> NoReturn:
    """Ends the process with 2 and the reason."""
    print(f"error: {reason}", file=sys.stderr)
    sys.exit(2)


def choose_device(name: str) -> Compute:
    """Where to compute; ends the process with 2 and a reason where the device is not there."""
    try:
        return Compute.choose(name)
    except DeviceError as error:
        refuse(str(error))


@dataclass(frozen=True)
class TrainingCommand:
    """Flags of every such command; a command adds its configuration."""

    data: Folders
    """folder of synthetic photos; may be given several times"""
    out: Path
    """folder of the run"""
    start: Path | None = None
    """run whose weights to start from"""
    threads: int = 1
    """of torch"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps"""

    def prepare(self) -> Compute:
        """Sets the threads of torch and gives where to compute. Ends the process with 2 and a reason where no
        data is named or the device is not there."""
        compute = choose_device(self.device)
        if not self.data:
            refuse("--data DIR is required")
        torch.set_num_threads(self.threads)
        return compute
