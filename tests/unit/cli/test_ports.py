from __future__ import annotations

import socket

import pytest

from cli.ports import NAMES, addresses_from, default_addresses, free_addresses, is_free


def test_free_addresses_are_four_different_free_ports() -> None:
    addresses = free_addresses()
    found = [addresses.get(name) for name in NAMES]
    assert len(set(found)) == 4
    assert all(is_free(address) for address in found)


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not is_free(f"127.0.0.1:{listener.getsockname()[1]}")


def test_ports_in_a_row_are_in_the_order_of_the_services() -> None:
    assert addresses_from(7101) == default_addresses()
    assert [addresses_from(9000).port(name) for name in ("crop", "embed", "rank", "classify")] == [
        9000,
        9001,
        9002,
        9003,
    ]


@pytest.mark.parametrize("base", [0, -1, 65_533, 70_000])
def test_ports_that_do_not_exist_are_refused(base: int) -> None:
    with pytest.raises(ValueError, match="1 to 65535"):
        addresses_from(base)
