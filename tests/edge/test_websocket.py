"""A WebSocket from its handshake to its end: every way it can go, seen from the client."""

from __future__ import annotations

import asyncio
import gc
import struct

import pytest

from tests.edge.place import App, a_place, get
from tests.edge.test_deadlines import SHORT
from tests.edge.test_edge_server import HANDSHAKE, frame, handshake, read_frame

KEY = "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def closed_with(client) -> int:
    """Return the code of the close frame that comes next, and check that the connection then ends."""
    opcode, data = read_frame(client)
    assert opcode == CLOSE
    return struct.unpack("!H", data[:2])[0]


def part(opcode: int, data: bytes, *, fin: bool) -> bytes:
    whole = frame(opcode, data)
    return bytes([whole[0] & (0xFF if fin else 0x7F)]) + whole[1:]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (HANDSHAKE, 400),
        ((*HANDSHAKE, "Sec-WebSocket-Key: short"), 400),
        (("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 12", KEY), 400),
    ],
)
def test_what_is_no_handshake_is_refused_in_http_and_closed(headers, status):
    with a_place() as place, place.connect() as client:
        client.send(get("/socket", *headers))
        assert client.answer().status == status
        assert not client.more()
        place.until(lambda: place.server.counts.connections == 0)


def test_a_handshake_that_the_library_cannot_read_is_refused_at_once_and_its_slot_is_free():
    with a_place(shield={"running": 1}) as place, place.connect() as client:
        client.send(get("/socket", *HANDSHAKE, KEY, f"Sec-WebSocket-Protocol: {'a' * 9_000}"))
        assert client.answer().status == 431
        assert not client.more()
        assert place.ask(get("/other")).status == 200
        place.until(lambda: place.server.counts.connections == 0)
        assert place.server.counts.closed == {}


@pytest.mark.parametrize(("query", "header_bytes"), [("a=" + "b" * 8_180, 1), ("a=b", 9_000)])
def test_long_cookies_and_addresses_reach_the_application_of_a_websocket(query, header_bytes):
    seen = []

    class Noting(App):
        async def echo_socket(self, scope, receive, send):
            seen.append((scope["query_string"], dict(scope["headers"])[b"cookie"]))
            await super().echo_socket(scope, receive, send)

    with a_place(app=Noting()) as place, place.connect() as client:
        assert handshake(client, f"/socket?{query}", f"Cookie: {'c' * header_bytes}") == 101
    assert seen == [(query.encode(), b"c" * header_bytes)]


@pytest.mark.parametrize(("path", "status"), [("/elsewhere", 403), ("/socket/broken", 500)])
def test_an_application_that_does_not_accept_gives_a_status_and_the_slot_is_free(path, status):
    with a_place(shield={"running": 1}) as place, place.connect() as client:
        assert handshake(client, path) == status
        assert not client.more()
        assert place.ask(get("/other")).status == 200


@pytest.mark.parametrize(("path", "code"), [("/socket/leaves", 1000), ("/socket/breaks", 1011)])
def test_the_end_of_the_application_closes_with_a_code_and_waits_for_the_answer(path, code):
    with a_place() as place, place.connect() as client:
        assert handshake(client, path) == 101
        assert closed_with(client) == code
        client.send(frame(CLOSE, struct.pack("!H", code)))
        assert not client.more()
        place.until(lambda: place.server.counts.connections == 0)
        assert place.server.counts.closed == {}


def test_a_client_that_never_answers_a_close_is_dropped_at_the_deadline():
    with a_place(edge=SHORT) as place, place.connect() as client:
        assert handshake(client, "/socket/leaves") == 101
        assert closed_with(client) == 1000
        place.until(lambda: place.server.counts.closed["closing"] == 1)
        place.until(lambda: place.server.counts.connections == 0)


def test_the_clients_close_is_answered_with_its_code_and_told_to_the_application():
    with a_place() as place, place.connect() as client:
        assert handshake(client) == 101
        client.send(frame(CLOSE, struct.pack("!H", 1001) + b"bye"))
        assert closed_with(client) == 1001
        assert not client.more()
        place.until(lambda: place.app.scopes[-1]["type"] == "websocket.disconnect")
        assert (place.app.scopes[-1]["code"], place.app.scopes[-1]["reason"]) == (1001, "bye")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x01a", 1002),  # not masked
        (frame(3, b""), 1002),  # an opcode that does not exist
        (b"\xc1\x80\0\0\0\0", 1002),  # a reserved bit
        (frame(0, b"a"), 1002),  # the continuation of nothing
        (part(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),  # a message inside a message
        (frame(TEXT, b"\xff"), 1007),
        (b"\x81\xff" + struct.pack("!Q", 65_537) + b"\0\0\0\0", 1009),
    ],
)
def test_a_broken_frame_closes_with_the_code_that_says_why(sent, code):
    with a_place() as place, place.connect() as client:
        assert handshake(client) == 101
        client.send(sent)
        assert closed_with(client) == code
        assert not client.more()
        place.until(lambda: place.app.scopes[-1]["type"] == "websocket.disconnect")
        assert place.app.scopes[-1]["code"] == code


@pytest.mark.parametrize("waits", [False, True])
def test_frames_that_come_together_with_the_handshake_are_read(waits: bool) -> None:
    with a_place(shield={"running": 1}) as place, place.connect() as client, place.connect() as other:
        if waits:
            other.send(get("/held"))
            place.until(lambda: place.app.scopes)
        client.send(get("/socket", *HANDSHAKE, KEY) + frame(TEXT, b"early") + frame(TEXT, b"birds"))
        if waits:
            place.until(lambda: len(place.server.worker.gate.queue) == 1)
            place.call(place.app.gate.set)
        assert client.answer().status == 101
        assert [read_frame(client), read_frame(client)] == [(TEXT, b"early"), (TEXT, b"birds")]


def test_a_message_in_parts_is_one_and_a_ping_between_them_is_answered():
    with a_place() as place, place.connect() as client:
        assert handshake(client) == 101
        client.send(part(TEXT, b"one, ", fin=False) + frame(PING, b"?") + part(0, b"two", fin=True))
        assert read_frame(client) == (PONG, b"?")
        assert read_frame(client) == (TEXT, b"one, two")


def test_a_drain_refuses_handshakes_that_are_not_answered_yet():
    with a_place() as place, place.connect() as client:
        client.send(get("/socket/undecided", *HANDSHAKE, KEY))
        place.until(lambda: place.app.scopes)
        place.stop()
        assert client.answer().status == 503


def test_a_drain_ends_an_earlier_request_of_a_connection_that_is_a_websocket_now(caplog):
    class GoesOn(App):
        async def __call__(self, scope, receive, send):
            if scope["path"] != "/goes-on":
                await super().__call__(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"done"})
            await asyncio.Event().wait()

    with a_place(app=GoesOn()) as place, place.connect() as client:
        assert client.ask(get("/goes-on")).body == b"done"
        assert handshake(client) == 101
        asyncio.run_coroutine_threadsafe(place.server.drain(within_s=0.1), place.loop).result(10)
        assert place.server.worker.tasks == set()
        place.call(gc.collect)
    assert "AssertionError" not in caplog.text
