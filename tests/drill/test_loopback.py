"""The drill's sockets: loopback only, each from its own address, within a budget."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from stormpetrel.drill.loopback import (
    Address,
    BudgetSpent,
    NotLoopback,
    TrafficBudget,
    neighbour,
    open_socket,
    require_loopback,
    resolve,
    start_socket,
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def plenty() -> TrafficBudget:
    return TrafficBudget.of(connections=100, seconds=60)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.1.2", "::1"])
def test_loopback_addresses_are_allowed(host: str) -> None:
    require_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "128.0.0.1",
        "10.0.0.1",
        "0.0.0.0",
        "192.0.2.1",
        "::",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "localhost",
        "",
    ],
)
def test_every_other_address_and_every_name_is_refused_at_connect_time(host: str) -> None:
    with pytest.raises(NotLoopback):
        start_socket(Address(host, 80), source="", budget=plenty())


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-name.invalid"])
def test_what_does_not_resolve_to_loopback_is_refused(host: str) -> None:
    with pytest.raises(NotLoopback):
        resolve(host, 80)


def test_a_name_with_one_address_outside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    answers = [(*kind, ("127.0.0.1", 80)), (*kind, ("192.0.2.7", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(NotLoopback):
        resolve("both.example", 80)


def test_localhost_becomes_an_address_in_numbers() -> None:
    assert resolve("localhost", 81) == Address("127.0.0.1", 81)


def test_the_server_sees_the_source_address_that_was_chosen(listener: socket.socket) -> None:
    async def go() -> str:
        sock = await open_socket(
            Address(*listener.getsockname()), source="127.50.1.9", budget=plenty(), timeout_s=5
        )
        with sock:
            accepted, peer = listener.accept()
            accepted.close()
            return str(peer[0])

    assert asyncio.run(go()) == "127.50.1.9"


def test_a_source_outside_loopback_is_refused(listener: socket.socket) -> None:
    with pytest.raises(NotLoopback):
        start_socket(Address(*listener.getsockname()), source="192.0.2.1", budget=plenty())


def test_the_budget_of_connections_ends(listener: socket.socket) -> None:
    budget = TrafficBudget.of(connections=2, seconds=60)
    target = Address(*listener.getsockname())
    for _ in range(2):
        start_socket(target, source="", budget=budget)[0].close()
    with pytest.raises(BudgetSpent):
        start_socket(target, source="", budget=budget)


def test_the_budget_of_time_ends(listener: socket.socket) -> None:
    with pytest.raises(BudgetSpent):
        start_socket(
            Address(*listener.getsockname()), source="", budget=TrafficBudget.of(connections=9, seconds=-1)
        )


def test_neighbours_are_different_usable_addresses() -> None:
    some = [neighbour("127.40", number) for number in range(600)]
    assert len(set(some)) == 600
    assert some[0] == "127.40.0.1"
    assert some[254] == "127.40.1.1"
    assert not any(one.endswith((".0", ".255")) for one in some)


def test_a_prefix_that_is_full_is_said() -> None:
    assert neighbour("127.50.1", 253) == "127.50.1.254"
    with pytest.raises(ValueError, match="no address number"):
        neighbour("127.50.1", 254)
