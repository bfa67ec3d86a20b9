"""The smallest HTTP server, over real sockets: its answers, and its limits against hostile clients."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket

import pytest
import uvloop

from stormpetrel.process import health
from stormpetrel.process.document import Document
from stormpetrel.process.health import (
    MAX_CONNECTIONS,
    MAX_HEAD_BYTES,
    MAX_MEMO,
    MAX_MEMO_HEAD_BYTES,
    DocumentSource,
    serve_health,
)


def talk(*talks, metrics=None, documents=None):
    """Return the server's answers to the bytes of each talk, until it closes or the talk ends with None."""

    async def main():
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        address = sock.getsockname()
        stop = asyncio.Event()
        serving = asyncio.create_task(
            serve_health(sock, stop=stop, role="sms", metrics=metrics, documents=documents)
        )
        answers = []
        async with asyncio.timeout(20):
            for pieces in talks:
                reader, writer = await asyncio.open_connection(*address)
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.01)
                try:
                    answers.append(await reader.read())
                except ConnectionResetError:
                    answers.append(b"")
                writer.close()
        stop.set()
        await serving
        return answers

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def get(path, *fields, method="GET"):
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


CLOSE = "Connection: close"


def test_health_is_answered_whole_split_and_pipelined():
    one = get("/health", CLOSE)
    whole, split, pipelined = talk([one], [one[:9], one[9:30], one[30:]], [get("/health?x=1") + one])
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.endswith(b'\r\n\r\n{"status":"ok"}')
    assert split.endswith(b'{"status":"ok"}')
    assert pipelined.count(b'{"status":"ok"}') == 2


def test_head_has_the_length_and_no_body():
    (answer,) = talk([get("/health", CLOSE, method="HEAD")])
    assert b"Content-Length: 15\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_anything_else_is_404_in_json_that_names_health():
    (answer,) = talk([get("/", CLOSE)])
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert "/health" in json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


PAGE = Document("text/html; charset=utf-8", b"<p>well</p>" * 100, policy="default-src 'none'", max_age_s=2)


def test_a_role_answers_with_its_documents_by_path():
    whole, head, none = talk(
        [get("/page?x=1", CLOSE)],
        [get("/page", CLOSE, method="HEAD")],
        [get("/pages", CLOSE)],
        documents={"/page": PAGE}.get,
    )
    assert b"\r\nContent-Security-Policy: default-src 'none'\r\n" in whole
    assert b"\r\nContent-Type: text/html; charset=utf-8\r\n" in whole
    assert b"\r\nCache-Control: public, max-age=2\r\n" in whole
    assert whole.endswith(b"\r\n\r\n" + PAGE.body)
    assert head.endswith(b"\r\n\r\n")
    assert none.startswith(b"HTTP/1.1 404 ")


def test_a_reader_of_a_page_that_is_gone_gets_a_page_and_a_program_gets_json():
    gone, absent = talk([get("/insight/1", CLOSE)], [get("/api/v2/x.json", CLOSE)], documents={"/": PAGE}.get)
    assert gone.startswith(b"HTTP/1.1 404 ")
    assert b"Content-Type: text/html; charset=utf-8" in gone
    assert b'<a href="/">' in gone
    assert absent.startswith(b"HTTP/1.1 404 ")
    assert "error" in json.loads(absent.partition(b"\r\n\r\n")[2])


def test_a_document_is_compressed_and_not_sent_again():
    small, same = talk(
        [get("/page", "Accept-Encoding: br, gzip", CLOSE)],
        [get("/page", f"If-None-Match: {PAGE.etag}", CLOSE)],
        documents={"/page": PAGE}.get,
    )
    head, _, body = small.partition(b"\r\n\r\n")
    assert b"\r\nContent-Encoding: gzip\r\n" in head
    assert b"\r\nVary: Accept-Encoding\r\n" in head
    assert gzip.decompress(body) == PAGE.body
    assert same.startswith(b"HTTP/1.1 304 ")
    assert same.endswith(b"\r\n\r\n")


def test_the_same_request_again_is_answered_from_memory_until_the_second_is_over():
    calls = []

    def find(path):
        calls.append(path)
        return Document("text/plain", b"%d" % len(calls))

    async def main():
        source = DocumentSource(find)
        source.remember(b"x", b"first")
        assert source.remembered(b"x", 0.5) == b"first"
        assert source.remembered(b"y", 0.5) is None
        assert source.remembered(b"x", 1.5) is None
        for number in range(2 * MAX_MEMO):
            source.remember(b"%d" % number, b"")
        assert source.remembered(b"%d" % (MAX_MEMO - 1), 1.5) is not None
        assert source.remembered(b"%d" % MAX_MEMO, 1.5) is None
        source.remember(b"z" * (MAX_MEMO_HEAD_BYTES + 1), b"")

    asyncio.run(main())
    (answers,) = talk([get("/page")] * 3 + [get("/page", CLOSE)], documents=find) or [b""]
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 4


def test_other_methods_are_405_and_say_which_are_known():
    (answer,) = talk([get("/health", CLOSE, method="DELETE")])
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nAllow: GET, HEAD\r\n" in answer


@pytest.mark.parametrize("body", ["Content-Length: 38", "Transfer-Encoding: chunked", "content-length : 38"])
def test_a_body_is_never_taken_for_a_request(body):
    smuggled = get("/health", CLOSE)
    (answer,) = talk([get("/nothing", body) + smuggled])
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "head", [b"hello\r\n\r\n", b"\r\n\r\n", b"GET /health\r\n\r\n", b"\x16\x03\x01\r\n\r\n"]
)
def test_what_is_no_request_is_400(head):
    (answer,) = talk([head])
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_head_that_is_too_large_is_refused():
    (answer,) = talk([b"GET /health HTTP/1.1\r\nX: ", b"x" * (MAX_HEAD_BYTES + 1)])
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_silence_half_a_head_and_idling_end_at_their_deadlines(monkeypatch):
    monkeypatch.setattr(health, "HEAD_TIMEOUT_S", 0.1)
    monkeypatch.setattr(health, "IDLE_TIMEOUT_S", 0.1)
    silent, half, idle = talk([], [b"GET /hea"], [get("/health")])
    assert (silent, half) == (b"", b"")
    assert idle.endswith(b'{"status":"ok"}')


def test_http_1_0_closes_by_itself():
    (answer,) = talk([b"GET /health HTTP/1.0\r\n\r\n"])
    assert answer.endswith(b'{"status":"ok"}')


def test_a_roles_figures_are_plain_lines():
    (answer,) = talk([get("/metrics", CLOSE)], metrics=lambda: {"a_total": 3, "b": 0.5})
    assert answer.endswith(b"\r\n\r\na_total 3\nb 0.5\n")


def serving(main, *, send_buffer=0, documents=None):
    """Run `main(address)` while the server answers. `send_buffer`: of a connection, in bytes; 0: the usual size."""

    async def run():
        sock = socket.socket()
        if send_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        sock.bind(("127.0.0.1", 0))
        sock.listen(2048)
        stop = asyncio.Event()
        server = asyncio.create_task(serve_health(sock, stop=stop, role="sms", documents=documents))
        async with asyncio.timeout(20):
            await main(sock.getsockname())
        stop.set()
        await server

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_connections_are_bounded_and_silent_ones_do_not_keep_others_away():
    async def main(address):
        pairs = [await asyncio.open_connection(*address) for _ in range(MAX_CONNECTIONS)]
        # The server has accepted the last connection once it has answered it.
        pairs[-1][1].write(get("/health"))
        await pairs[-1][0].readuntil(b"}")
        pairs[0][1].write(get("/health"))
        await pairs[0][0].readuntil(b"}")
        reader, writer = await asyncio.open_connection(*address)
        writer.write(get("/health", CLOSE))
        assert (await reader.read()).endswith(b'{"status":"ok"}')
        # The one that was quiet for longest made room: the first has sent something since.
        with contextlib.suppress(ConnectionResetError):
            assert await pairs[1][0].read() == b""
        for number in (0, 2):
            pairs[number][1].write(get("/health"))
            assert (await pairs[number][0].readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        for _, each in (*pairs, (reader, writer)):
            each.close()

    serving(main)


LARGE = Document("text/plain", bytes(range(256)) * 2048)


async def slow_client(address, *requests):
    """Return a connection that has sent requests for large documents, and reads little at once."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, address)
    reader, writer = await asyncio.open_connection(sock=sock, limit=2048)
    writer.write(b"".join(requests))
    await asyncio.sleep(0.2)
    return reader, writer


def test_a_slow_client_gets_the_whole_of_a_large_document_and_then_the_next_answer():
    async def main(address):
        reader, writer = await slow_client(address, get("/large"), get("/large"), get("/health", CLOSE))
        for _ in range(2):
            # Longer than one read's limit.
            while (line := await reader.readline()) != b"\r\n":
                assert line
            assert await reader.readexactly(len(LARGE.body)) == LARGE.body
        assert (await reader.read()).endswith(b'{"status":"ok"}')
        writer.close()

    serving(main, send_buffer=16_384, documents={"/large": LARGE}.get)


def test_a_client_that_never_reads_is_dropped_at_its_deadline(monkeypatch):
    monkeypatch.setattr(health, "SEND_TIMEOUT_S", 0.3)

    async def main(address):
        reader, writer = await slow_client(address, get("/large"))
        await asyncio.sleep(0.5)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(len(LARGE.body))
        writer.close()

    serving(main, send_buffer=16_384, documents={"/large": LARGE}.get)


def test_the_unread_bytes_of_all_clients_are_bounded_together(monkeypatch):
    monkeypatch.setattr(health, "MAX_UNREAD_BYTES", 2 * len(LARGE.body))

    async def main(address):
        clients = [await slow_client(address, get("/large", CLOSE)) for _ in range(4)]
        read = []
        for reader, writer in clients:
            try:
                read.append(len(await reader.read()))
            except ConnectionResetError:
                read.append(0)
            writer.close()
        assert [size > len(LARGE.body) for size in read] == [False, False, True, True]

    serving(main, send_buffer=16_384, documents={"/large": LARGE}.get)
