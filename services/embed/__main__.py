"""`python -m services.embed`: reads the settings and serves until SIGTERM."""

from __future__ import annotations

import asyncio

from services.embed.build import build
from services.embed.settings import EmbedSettings
from services.kit.server import run
from services.kit.settings import load


def main() -> None:
    """Serve."""
    asyncio.run(run(load(EmbedSettings), build))


if __name__ == "__main__":
    main()
