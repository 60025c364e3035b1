"""`python -m services.classify`: reads the settings and serves until SIGTERM."""

from __future__ import annotations

import asyncio

from services.classify.build import build
from services.classify.settings import ClassifySettings
from services.kit.server import run
from services.kit.settings import load


def main() -> None:
    """Serve."""
    asyncio.run(run(load(ClassifySettings), build))


if __name__ == "__main__":
    main()
