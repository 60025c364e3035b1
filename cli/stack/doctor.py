"""Checks of the machine and the installation, each with what to do when it fails."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console

from cli.client.models import entries
from cli.ports import DEFAULT_PORTS, is_free

_NEEDED_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """The outcome of one check. `required` findings that are not `ok` make the whole check fail."""

    what: str
    ok: bool
    detail: str
    remedy: str = ""
    required: bool = True


def findings(repository: Path) -> Iterator[Finding]:
    """Run every check."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("Python", sys.version_info[:2] == (3, 11), version, "use Python 3.11")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("cores", cores >= 2, str(cores), "two or more are recommended", required=False)
    free = psutil.virtual_memory().available
    yield Finding("free memory", free >= _NEEDED_BYTES, f"{free / 2**30:.1f} GiB", "free 2 GiB")
    space = shutil.disk_usage(Path.cwd()).free
    yield Finding("free disk", space >= _NEEDED_BYTES, f"{space / 2**30:.1f} GiB", "free 2 GiB")
    contract = importlib.util.find_spec("lunula.rank.v1.rank_service_pb2") is not None
    yield Finding("generated contract", contract, "lunula/" if contract else "absent", "make gen")
    found = list(entries(repository))
    yield Finding(
        "model repository", bool(found), f"{len(found)} models", "pass --repository, or clone again"
    )
    for entry in found:
        state = entry.state
        remedy = "lunula models build" if entry.name == "text_encode" else f"git checkout {entry.path}"
        yield Finding(f"model {entry.name}", state == "ok", state, remedy)
    for name, port in DEFAULT_PORTS.items():
        free_port = is_free(f"127.0.0.1:{port}")
        yield Finding(
            f"port {port} ({name})",
            free_port,
            "free" if free_port else "in use",
            "a stack may be running; `lunula demo` takes other ports",
            required=False,
        )
    triton = Path(".lunula/triton").is_dir()
    yield Finding("Triton", triton, "installed" if triton else "absent", "make triton", required=False)


def check(repository: Path, console: Console) -> bool:
    """Print every finding; whether all that is required is there."""
    healthy = True
    for finding in findings(repository):
        mark = (
            "[green]ok[/green]"
            if finding.ok
            else "[red]no[/red]"
            if finding.required
            else "[yellow]--[/yellow]"
        )
        remedy = "" if finding.ok else f"  [dim]→ {finding.remedy}[/dim]"
        console.print(f"{mark:>4}  {finding.what}: {finding.detail}{remedy}")
        healthy &= finding.ok or not finding.required
    return healthy
