"""Downloads pinned files, for a person at a terminal: nothing else in Lunula calls this.

A file that is already there and right is left alone; one that arrives with another checksum is an error.
"""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path

from training.kit.pins import Pin, PinError, sha256_of

Download = Callable[[Pin, str, Path], None]
"""Puts the file of a path under `Pin.repository` at Pin.revision to folder/path."""


def fetch(pin: Pin, out: Path, download: Download, report: Callable[[str], None] = print) -> list[Path]:
    """Brings every file of `pin` into `out`; the paths. `report` gets a line for each file.

    Raises PinError naming the file whose checksum is not the pinned one.
    """
    paths = []
    for name, pinned in pin.files.items():
        path = out / name
        if pinned and path.is_file() and sha256_of(path) == pinned:
            report(f"{path}: already there")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            report(f"{path}: from {pin.repository}, {pin.revision}")
            download(pin, name, out)
            found = sha256_of(path)
            if pinned and found != pinned:
                raise PinError(f"{path}: arrived with sha256 {found}, pinned is {pinned}; it is not used")
            report(f"{path}: sha256 {found}" + ("" if pinned else ", which nothing pins yet"))
        paths.append(path)
    return paths


def download(pin: Pin, name: str, out: Path) -> None:
    """From the hub at the pinned revision, or from a plain address. Needs the network."""
    if pin.repository.startswith("https://"):
        _from_address(f"{pin.repository}/{name}", out / name)
        return
    from huggingface_hub import hf_hub_download

    hf_hub_download(pin.repository, name, revision=pin.revision, local_dir=out)


def _from_address(address: str, target: Path) -> None:
    """Streams a file with a progress bar; it appears under its name only when it is complete."""
    from tqdm import tqdm

    part = target.with_name(target.name + ".part")
    with urllib.request.urlopen(address) as response, part.open("wb") as stream:
        size = int(response.headers.get("Content-Length", 0))
        with tqdm.wrapattr(stream, "write", total=size or None, desc=target.name, unit="B") as counted:
            shutil.copyfileobj(response, counted, 1 << 20)
    part.replace(target)
