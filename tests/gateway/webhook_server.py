"""The webhook server on a loopback socket, and requests to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from stormpetrel.gateway.webhooks import serve_webhooks


class Answered(NamedTuple):
    status: int
    head: str
    body: bytes


def listener() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(1024)
    return sock


@contextlib.asynccontextmanager
async def serving(
    providers: Mapping[str, Any],
    inbox: Any,
    *,
    metrics: Any = None,
    sock: socket.socket | None = None,
    networks: Any = None,
) -> AsyncIterator[int]:
    """Yield the port of the server; `inbox` receives from all routes."""
    sock = sock or listener()
    stop = asyncio.Event()
    task = asyncio.create_task(
        serve_webhooks(
            sock,
            stop=stop,
            providers=providers,
            inbound_of=lambda _: inbox,
            metrics=metrics,
            networks=networks,
        )
    )
    try:
        yield sock.getsockname()[1]
    finally:
        stop.set()
        await task


def request_bytes(
    path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def exchange(port: int, sent: bytes, *, count: int = 1, is_last: bool = False) -> list[Answered]:
    """Send bytes on one connection and return up to `count` answers; fewer if the server closes.

    `is_last`: end the stream after them.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        writer.write(sent)
        if is_last:
            writer.write_eof()
        for _ in range(count):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = int(head.partition("Content-Length: ")[2].partition("\r\n")[0] or 0)
            is_head = sent.startswith(b"HEAD ")
            body = b"" if is_head else await reader.readexactly(length)
            answers.append(Answered(int(head.split(" ", 2)[1]), head, body))
    writer.close()
    return answers


async def ask(port: int, path: str, **more: Any) -> Answered:
    (answer,) = await exchange(port, request_bytes(path, **more))
    return answer
