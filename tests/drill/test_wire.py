"""The drill's HTTP client reads every framing that servers use, and reports incomplete answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from stormpetrel.drill.loopback import Address, TrafficBudget
from stormpetrel.drill.wire import Broken, Exchange, WireResponse, connect, form, request

GET = request("GET", "/", host="here")


def ask(*pieces: bytes, then: str = "close", timeout_s: float = 5) -> WireResponse:
    """Return the client's answer to these pieces, sent one after another."""
    return asyncio.run(_ask(pieces, then, lambda exchange: exchange.send(GET, timeout_s=timeout_s)))


async def _ask(pieces: tuple[bytes, ...], then: str, use: Callable[[Exchange], Awaitable[Any]]) -> Any:
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            with suppress(OSError):
                await writer.drain()
            await asyncio.sleep(0)
        if then != "close":
            with suppress(OSError):
                await reader.read()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    exchange = await connect(target, source="127.9.9.9", budget=TrafficBudget.of(connections=5, seconds=60))
    try:
        return await use(exchange)
    finally:
        exchange.close()
        await asyncio.wait_for(served.wait(), 5)
        server.close()
        await server.wait_closed()


def test_a_body_with_a_length_arrives_in_pieces() -> None:
    answer = ask(b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 5\r\nX-A: b\r\n\r\nhe", b"llo", then="stay")
    assert (answer.status, answer.body, answer.header("x-a")) == (200, b"hello", "b")


def test_chunks_are_put_together() -> None:
    answer = ask(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r",
        b"\nlo\r\n0\r\n\r\n",
        then="stay",
    )
    assert (answer.body, answer.body_bytes) == (b"hello", 5)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    assert ask(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo").body == b"hello"


def test_no_body_is_awaited_after_304() -> None:
    assert ask(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", then="stay").status == 304


def test_an_interim_answer_is_passed_over() -> None:
    answer = ask(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", then="stay")
    assert answer.status == 204


@pytest.mark.parametrize(
    "piece", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", b"SSH-2.0-x\r\n\r\n"]
)
def test_an_answer_that_is_not_whole_is_broken(piece: bytes) -> None:
    with pytest.raises(Broken):
        ask(piece)


def test_silence_ends_with_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        ask(b"HTTP/1.1 200 OK\r\n", then="stay", timeout_s=0.05)


def test_cookies_are_read_without_their_attributes() -> None:
    head = b"HTTP/1.1 302 Found\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    assert ask(head, then="stay").cookies() == {"a": "1", "b": "2"}


def test_a_stream_hands_on_what_follows_its_head() -> None:
    async def use(exchange: Exchange) -> tuple[int, bytes]:
        got: list[bytes] = []
        ended = asyncio.Event()
        answer = await exchange.stream(GET, timeout_s=5, on_bytes=got.append, on_end=ended.set)
        await asyncio.wait_for(ended.wait(), 5)
        return answer.status, b"".join(got)

    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    assert asyncio.run(_ask((head + b"data: 1\n", b"data: 2\n"), "close", use)) == (
        200,
        b"data: 1\ndata: 2\n",
    )


def test_a_refused_stream_is_an_ordinary_answer() -> None:
    async def use(exchange: Exchange) -> WireResponse:
        return await exchange.stream(GET, timeout_s=5, on_bytes=lambda _: None, on_end=lambda: None)

    answer = asyncio.run(_ask((b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno",), "stay", use))
    assert (answer.status, answer.body) == (503, b"no")


def test_a_kept_connection_takes_the_next_request_and_never_two_at_once() -> None:
    async def use(exchange: Exchange) -> int:
        first = exchange.send(GET, timeout_s=5)
        with pytest.raises(Broken):
            await exchange.send(GET, timeout_s=5)
        return (await first).status

    assert asyncio.run(_ask((b"HTTP/1.1 204 No\r\n\r\n",), "stay", use)) == 204


def test_a_request_carries_its_length_and_a_form_is_escaped() -> None:
    body = form({"a b": "1&2", "c": "ü"})
    assert body == b"a%20b=1%262&c=%C3%BC"
    whole = request("POST", "/x", host="here", headers={"X-Y": "z"}, body=body)
    assert whole == b"POST /x HTTP/1.1\r\nHost: here\r\nX-Y: z\r\nContent-Length: 20\r\n\r\n" + body
