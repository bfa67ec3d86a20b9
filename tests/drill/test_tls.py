"""TLS of the drill's clients: they verify the run's certificate, and resume sessions as browsers do."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from stormpetrel.drill.loopback import Address, TrafficBudget
from stormpetrel.drill.tls import HANDSHAKES_PER_S, HandshakeBudget, TlsName, make_certificate
from stormpetrel.drill.wire import connect, request

NAMES = ("example.org", "status.example.org")


@contextlib.asynccontextmanager
async def server(pem: Path) -> AsyncIterator[tuple[Address, list[bool]]]:
    """Run a TLS server; yield its address, and for each connection whether its session was resumed."""
    resumed: list[bool] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        resumed.append(writer.get_extra_info("ssl_object").session_reused)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            await reader.read()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    running = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield Address("127.0.0.1", running.sockets[0].getsockname()[1]), resumed
    finally:
        running.close()
        await running.wait_closed()


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "front.pem"
    make_certificate(path, NAMES)
    return path


Go = Callable[[Address, list[bool]], Awaitable[None]]


def against(pem: Path, go: Go) -> None:
    async def main() -> None:
        async with server(pem) as (target, resumed):
            await go(target, resumed)

    # As in the people's process: uvloop wraps connections in its own way.
    uvloop.run(main())


def budget() -> TrafficBudget:
    return TrafficBudget.of(connections=10, seconds=60)


def test_only_its_owner_can_read_the_key(pem):
    assert stat.S_IMODE(pem.stat().st_mode) == 0o600


def test_a_client_resumes_its_session_and_another_client_has_none(pem):
    name = TlsName(pem, NAMES[0])

    async def go(target: Address, resumed: list[bool]) -> None:
        one = name.client()
        for client in (one, one, one, name.client()):
            exchange = await connect(target, source="127.9.9.9", budget=budget(), tls=client)
            answer = await exchange.send(request("GET", "/", host=NAMES[0]), timeout_s=5)
            assert (answer.status, answer.body) == (200, b"hi")
            exchange.close()
        assert resumed == [False, True, True, False]

    against(pem, go)


def test_a_client_connects_after_a_handshake_that_did_not_end(pem):
    client = TlsName(pem, NAMES[0]).client()
    unfinished = client.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=NAMES[0])
    with pytest.raises(ssl.SSLWantReadError):
        unfinished.do_handshake()

    async def go(target: Address, resumed: list[bool]) -> None:
        exchange = await connect(target, source="127.9.9.9", budget=budget(), tls=client)
        answer = await exchange.send(request("GET", "/", host=NAMES[0]), timeout_s=5)
        assert answer.status == 200
        assert resumed == [False]
        exchange.close()

    against(pem, go)


@pytest.mark.parametrize("wrong", ["name", "certificate"])
def test_a_wrong_certificate_ends_the_connection(pem, tmp_path, wrong):
    other = tmp_path / "other.pem"
    make_certificate(other, NAMES)
    name = TlsName(pem, "other.example") if wrong == "name" else TlsName(other, NAMES[0])

    async def go(target: Address, _: list[bool]) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(target, source="127.9.9.9", budget=budget(), tls=name.client())

    against(pem, go)


def test_handshakes_have_a_rate():
    made = HandshakeBudget()
    at_once = sum(made.take(0.0) for _ in range(1000))
    assert 0 < at_once < HANDSHAKES_PER_S / 5
    assert not made.take(0.001)
    later = sum(made.take(1 + number / 1000) for number in range(1000))
    assert later == pytest.approx(HANDSHAKES_PER_S + at_once, abs=2)
