"""What all tests share: where the shared data is, and a quiet process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports a numeric library: tests run side by side on few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Data beside the repository; skips where there is none (mark such tests `shared_data`)."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("../shared/data is not here")
    return path


@pytest.fixture(scope="session")
def milvus_server(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URI of a real Milvus server for this run (mark such tests `milvus_server`; `make milvus` first)."""
    from tools.milvus_server import LAUNCHER, running

    with running(tmp_path_factory.mktemp("milvus"), launcher=root / LAUNCHER) as (uri, _):
        yield uri
