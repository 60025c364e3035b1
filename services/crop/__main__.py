"""`python -m services.crop`: reads the settings and serves until SIGTERM."""

from __future__ import annotations

import asyncio

from services.crop.build import build
from services.crop.settings import CropSettings
from services.kit.server import run
from services.kit.settings import load


def main() -> None:
    """Serve."""
    asyncio.run(run(load(CropSettings), build))


if __name__ == "__main__":
    main()
