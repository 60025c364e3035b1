from __future__ import annotations

import socket

from cli.ports import NAMES, free_addresses, is_free


def test_free_addresses_are_four_different_free_ports() -> None:
    addresses = free_addresses()
    found = [addresses.of(name) for name in NAMES]
    assert len(set(found)) == 4
    assert all(is_free(address) for address in found)


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not is_free(f"127.0.0.1:{listener.getsockname()[1]}")
