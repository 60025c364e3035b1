"""Where the services of one stack listen."""

from __future__ import annotations

import socket
from dataclasses import dataclass

NAMES = ("crop", "embed", "rank", "classify")
_LAST_PORT = 65_535
DEFAULT_PORTS = {"crop": 7101, "embed": 7102, "rank": 7103, "classify": 7104}


@dataclass(frozen=True)
class Addresses:
    """Addresses, `host:port`, of the four services."""

    crop: str
    embed: str
    rank: str
    classify: str

    def get(self, name: str) -> str:
        """The address of the service `name`, one of NAMES."""
        return str(getattr(self, name))

    def port(self, name: str) -> int:
        """The port of the service `name`."""
        return int(self.get(name).rsplit(":", 1)[1])


def default_addresses(host: str = "127.0.0.1") -> Addresses:
    """The ports that `lunula up` uses by default."""
    return Addresses(**{name: f"{host}:{port}" for name, port in DEFAULT_PORTS.items()})


def addresses_from(base: int, host: str = "127.0.0.1") -> Addresses:
    """Four ports in a row, from `base` on, in the order of NAMES.

    Raises:
        ValueError: there are no such ports.
    """
    if not 1 <= base <= _LAST_PORT - len(NAMES) + 1:
        raise ValueError(f"ports are 1 to {_LAST_PORT}, and {len(NAMES)} in a row are needed")
    return Addresses(**{name: f"{host}:{base + place}" for place, name in enumerate(NAMES)})


def free_addresses(host: str = "127.0.0.1") -> Addresses:
    """Four ports that are free now. Another process may still take one before it is bound."""
    sockets = [socket.socket() for _ in NAMES]
    try:
        for item in sockets:
            item.bind((host, 0))
        return Addresses(
            **{name: f"{host}:{item.getsockname()[1]}" for name, item in zip(NAMES, sockets, strict=True)}
        )
    finally:
        for item in sockets:
            item.close()


def is_free(address: str) -> bool:
    """Whether nothing listens on `address`."""
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return False
    return True
