"""Fixtures of the describers' tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.describe.fake_endpoint import FakeEndpoint, Reply

Serve = Callable[..., FakeEndpoint]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts servers that give the replies of `FakeEndpoint`; closed at the end of the test."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    running: list[FakeEndpoint] = []

    def start(*replies: Reply | Callable[[dict[str, Any]], Reply]) -> FakeEndpoint:
        running.append(FakeEndpoint(*replies))
        return running[-1]

    yield start
    for server in running:
        server.close()
