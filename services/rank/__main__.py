"""`python -m services.rank`: reads the settings and serves until SIGTERM."""

from __future__ import annotations

import asyncio

from services.kit.server import run
from services.kit.settings import load
from services.rank.build import build
from services.rank.settings import RankSettings


def main() -> None:
    """Serve."""
    asyncio.run(run(load(RankSettings), build))


if __name__ == "__main__":
    main()
