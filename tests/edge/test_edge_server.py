"""The edge as a whole: the scope that it passes on, the queue before the application, WebSockets, drain, and
pin.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import gzip
import hashlib
import os
import struct
import threading
from typing import Any

import pytest

from stormpetrel.config import EdgeConfig, ShieldConfig
from stormpetrel.edge.worker import EdgeParts
from stormpetrel.shield import cookies
from stormpetrel.shield.identify import Identity, TokenEntry
from stormpetrel.shield.paths import PathFacts, PathTable
from tests.edge.place import PAGE, SECRET, App, Client, a_place, get, post

HANDSHAKE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")


def handshake(client: Client, path: str = "/socket", *headers: str) -> int:
    key = base64.b64encode(os.urandom(16)).decode()
    client.send(get(path, *HANDSHAKE, f"Sec-WebSocket-Key: {key}", *headers))
    answer = client.answer()
    if answer.status == 101:
        accept = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        assert answer.headers["sec-websocket-accept"] == base64.b64encode(accept).decode()
        assert "sec-websocket-extensions" not in answer.headers
    return answer.status


def frame(opcode: int, data: bytes) -> bytes:
    assert len(data) < 126
    return bytes([0x80 | opcode, 0x80 | len(data)]) + b"\0\0\0\0" + data


def read_frame(client: Client) -> tuple[int, bytes]:
    while len(client.kept) < 2 or len(client.kept) < 2 + client.kept[1]:
        if not client.more():
            raise EOFError
    end = 2 + client.kept[1]
    data, client.kept = client.kept[:end], client.kept[end:]
    return data[0] & 15, data[2:]


def test_the_scope_says_who_asks() -> None:
    with a_place() as place:
        token_hash = hashlib.sha256(b"secret-token").digest()
        entry = TokenEntry(7, 1, place.call(lambda: place.loop.time()), "claims")
        place.call(lambda: place.server.tokens.put(token_hash, entry))
        cookie = cookies.mint(SECRET, session_id=5, account_id=7, issued_at_s=9)
        place.ask(get("/a%20b?x=1&y=%2F", "X-A: 1"))
        place.ask(get("/a", "Authorization: Bearer secret-token"))
        place.ask(get("/a?access_token=secret-token"))
        place.ask(get("/a", "Authorization: Bearer unknown"))
        place.ask(get("/a", f"Cookie: theme=x; stormpetrel_session={cookie}"))
        place.ask(get("/a", "Cookie: stormpetrel_session=" + cookie[:-1] + "A"))
        plain, header, query, unknown, session, forged = place.app.scopes
        assert (plain["path"], plain["raw_path"], plain["query_string"]) == ("/a b", b"/a%20b", b"x=1&y=%2F")
        assert plain["headers"] == [(b"host", b"petrel.test"), (b"x-a", b"1")]
        assert plain["client"][0] == "127.0.0.1"
        assert plain["visit"].identity == Identity("address", "127.0.0.1")
        for scope in (header, query):
            assert scope["visit"].identity == Identity("account", 7)
            assert scope["visit"].token == entry
            assert scope["visit"].token_hash == token_hash
        assert unknown["visit"].identity.kind == "address"
        assert unknown["visit"].token_hash == hashlib.sha256(b"unknown").digest()
        assert session["visit"].identity == Identity("account", 7)
        assert session["visit"].session == cookies.SessionClaims(5, 7, 9)
        assert (forged["visit"].identity.kind, forged["visit"].session) == ("address", None)


def test_health_is_answered_without_the_application_even_in_overload() -> None:
    with a_place(shield={"running": 1, "waiting": 1}) as place, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(place.connect()).send(get("/held"))
        place.until(lambda: place.server.counts.refused["queue/full"])
        for headers in ((), ("Authorization: Bearer x",)):
            answer = place.ask(get("/health", *headers))
            assert (answer.status, answer.body) == (200, b'{"status":"ok"}')
            assert answer.headers["content-type"] == "application/json"
        assert place.ask(get("/health", method="HEAD")).body == b""
        assert place.ask(post("/health", b"")).status == 503
        place.call(place.app.gate.set)


def test_no_more_run_at_once_than_there_are_slots_and_the_rest_wait_their_turn() -> None:
    with a_place(shield={"running": 2}) as place, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(place.connect()) for _ in range(6)]
        for client in clients:
            client.send(get("/held"))
        place.until(lambda: len(place.server.worker.gate.queue) == 4)
        assert len(place.app.scopes) == 2
        place.call(place.app.gate.set)
        assert [client.answer().status for client in clients] == [200] * 6


def test_a_member_takes_the_place_of_a_stranger_when_the_queue_is_full() -> None:
    with a_place(shield={"running": 1, "waiting": 4}) as place, contextlib.ExitStack() as stack:
        cookie = cookies.mint(SECRET, session_id=5, account_id=7, issued_at_s=9)
        strangers = [stack.enter_context(place.connect(source=f"127.0.0.{n}")) for n in range(2, 7)]
        for n, stranger in enumerate(strangers):
            stranger.send(get(f"/held?{n}"))
            place.until(
                lambda n=n: place.server.worker.gate.running + len(place.server.worker.gate.queue) > n
            )
        member = stack.enter_context(place.connect())
        member.send(get("/held?member", f"Cookie: stormpetrel_session={cookie}"))
        place.until(lambda: place.server.counts.refused["queue/displaced"] == 1)
        place.call(place.app.gate.set)
        assert member.answer().status == 200
        assert sorted(stranger.answer().status for stranger in strangers) == [200, 200, 200, 200, 503]
        assert place.app.scopes[1]["query_string"] == b"member"


def test_whoever_waits_too_long_is_refused_and_never_runs() -> None:
    with a_place(shield={"running": 1}) as place, place.connect() as first, place.connect() as second:
        first.send(get("/held"))
        place.until(lambda: place.server.worker.gate.running == 1)
        second.send(get("/api/v1/held"))
        answer = second.answer()
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert place.server.counts.refused == {"queue/deadline": 1}
        place.call(place.app.gate.set)
        assert second.ask(get("/other")).status == 200


def test_whoever_leaves_while_waiting_is_dropped_from_the_queue() -> None:
    with a_place(shield={"running": 1}) as place, place.connect() as first:
        first.send(get("/held"))
        place.until(lambda: place.server.worker.gate.running == 1)
        with place.connect() as second:
            second.send(get("/other"))
            place.until(lambda: len(place.server.worker.gate.queue) == 1)
        place.until(lambda: len(place.server.worker.gate.queue) == 0)
        place.call(place.app.gate.set)
        assert first.answer().status == 200
        assert [scope["path"] for scope in place.app.scopes] == ["/held"]
        assert place.server.counts.gone_while_waiting == 1


def test_a_long_answer_holds_no_slot_once_it_says_so_and_hears_when_its_client_goes() -> None:
    with a_place(shield={"running": 1}) as place:
        with place.connect() as client:
            client.send(get("/until-gone"))
            assert client.answer(to_head=True).headers["transfer-encoding"] == "chunked"
            assert place.ask(get("/other")).status == 200
        place.until(lambda: "gone" in place.app.scopes)


@pytest.mark.parametrize(("mode", "runs"), [("off", 12), ("bounded", 12), ("per-address", 12), ("full", 12)])
def test_every_mode_serves(mode: str, runs: int) -> None:
    with a_place(shield={"mode": mode}) as place, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(place.connect()) for _ in range(runs)]
        for client in clients:
            client.send(get("/held"))
        place.until(lambda: place.server.worker.gate.running + len(place.server.worker.gate.queue) == runs)
        place.call(place.app.gate.set)
        assert [client.answer().status for client in clients] == [200] * runs


def test_streams_without_a_length_are_chunked_and_http_1_0_reads_until_the_end() -> None:
    with a_place() as place:
        with place.connect() as client:
            answer = client.ask(get("/stream"))
            assert answer.body == b"7\r\npart 0\n\r\n7\r\npart 1\n\r\n7\r\npart 2\n\r\n0\r\n\r\n"
            assert client.ask(get("/empty")).status == 204
            assert client.ask(get("/other")).status == 200
        with place.connect() as client:
            client.send(get("/stream", version="1.0"))
            assert client.rest().endswith(b"\r\n\r\npart 0\npart 1\npart 2\n")


def test_a_websocket_talks_and_holds_no_slot() -> None:
    with a_place(shield={"running": 1}) as place, place.connect() as client:
        assert handshake(client) == 101
        client.send(frame(1, b"hello"))
        assert read_frame(client) == (1, b"hello")
        assert place.ask(get("/other")).status == 200
        client.send(frame(9, b"are you there"))
        assert read_frame(client) == (10, b"are you there")
        scope = place.app.scopes[0]
        assert scope["visit"].identity == Identity("address", "127.0.0.1")
        assert place.server.counts.upgrades == 1
        client.send(frame(8, struct.pack("!H", 1000)))
        assert read_frame(client)[0] == 8
        assert client.is_closed()


def test_a_client_that_answers_its_pings_keeps_its_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormpetrel.edge.websocket.PING_S", 0.1)
    with a_place() as place, place.connect() as client:
        assert handshake(client) == 101
        for _ in range(2):
            kind, payload = read_frame(client)
            assert kind == 9
            client.send(frame(10, payload))
        client.send(frame(1, b"still here"))
        frames = [read_frame(client)]
        while frames[-1][0] == 9:
            frames.append(read_frame(client))
        assert frames[-1] == (1, b"still here")


def test_a_websocket_is_known_by_a_token_in_its_protocol_header_or_query_and_no_log_has_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    with a_place() as place, place.connect() as first, place.connect() as second:
        token_hash = hashlib.sha256(b"secret-token").digest()
        place.call(lambda: place.server.tokens.put(token_hash, TokenEntry(7, 1, 0.0, None)))
        assert handshake(first, "/socket", "Sec-WebSocket-Protocol: secret-token") == 101
        assert handshake(second, "/socket?access_token=secret-token") == 101
        for scope in place.app.scopes[:2]:
            assert scope["visit"].identity == Identity("account", 7)
    assert "secret-token" not in caplog.text


def test_a_websocket_nobody_wants_gets_403() -> None:
    with a_place() as place, place.connect() as client:
        assert handshake(client, "/elsewhere") == 403
        assert client.is_closed()
        place.until(lambda: len(place.server.worker.caps) == 0)
        assert place.server.worker.gate.running == 0


def test_caps_and_memory_bounds_follow_a_websocket() -> None:
    with a_place(edge={"max_connections_per_address": 1, "write_timeout_s": 0.3}) as place:
        with place.connect(receive_buffer_bytes=4096) as client:
            assert handshake(client) == 101
            with place.connect() as second:
                assert second.is_closed()
            with contextlib.suppress(OSError):
                for _ in range(400):
                    client.send(frame(9, b"p" * 100) * 200)
            place.until(lambda: place.server.counts.closed["frames"])
        place.until(lambda: len(place.server.worker.caps) == 0)
        assert place.ask(get("/other")).status == 200


def test_a_websocket_handshake_over_the_ceiling_is_refused_in_http() -> None:
    with a_place(shield={"requests_per_5min": 1}) as place:
        place.ask(get("/other"))
        with place.connect() as client:
            assert handshake(client) == 429


def test_stopping_answers_what_runs_closes_what_idles_and_tells_websockets_1012() -> None:
    with a_place() as place, contextlib.ExitStack() as stack:
        idle, busy, socket = (stack.enter_context(place.connect()) for _ in range(3))
        assert idle.ask(get("/other")).status == 200
        busy.send(get("/held"))
        assert handshake(socket) == 101
        place.until(lambda: place.server.worker.gate.running == 1)
        place.begin_stop()
        assert idle.is_closed()
        assert read_frame(socket) == (8, struct.pack("!H", 1012))
        with pytest.raises(ConnectionRefusedError):
            place.connect()
        place.call(place.app.gate.set)
        answer = busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert busy.is_closed()
        place._thread.join(10)
        assert not place._thread.is_alive()


def test_a_drain_does_not_wait_for_a_client_whose_page_others_rendered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with a_place() as place, place.connect() as first, place.connect() as second:
        first.send(get("/hot/held"))
        place.until(lambda: place.app.renders == 1)
        second.send(get("/hot/held"))
        place.until(lambda: [flight for flight in place.server.cache.flights.values() if flight.waiters])
        place.begin_stop()
        place.until(lambda: place.server.worker.is_draining)
        place.call(place.app.gate.set)
        assert first.answer().status == second.answer().status == 200
        assert first.is_closed()
        assert second.is_closed()
    assert caplog.text == ""


def test_the_drain_ends_at_its_deadline_whatever_still_runs() -> None:
    with a_place() as place, place.connect() as client:
        client.send(get("/held"))
        place.until(lambda: place.server.worker.gate.running == 1)
        drained = asyncio.run_coroutine_threadsafe(place.server.drain(within_s=0.1), place.loop)
        drained.result(10)
        assert client.is_closed()
        assert place.server.worker.tasks == set()


def test_a_short_secret_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        EdgeParts(
            edge=EdgeConfig(),
            shield=ShieldConfig(),
            paths=PathTable(lambda path: PathFacts()),
            secret=b"short",
            public_https=False,
        )


def test_connections_that_came_together_are_accepted_in_a_few_turns_of_the_loop() -> None:
    """If each turn accepted only one, a flood of new connections would delay all other clients by seconds."""
    together, turns = 64, 0
    with a_place() as place, contextlib.ExitStack() as stack:
        counts = place.server.worker.counts
        are_there, are_accepted = threading.Event(), threading.Event()

        def turn() -> None:
            nonlocal turns
            turns += 1
            if counts.accepted < together:
                place.loop.call_soon(turn)
            else:
                are_accepted.set()

        def hold() -> None:
            # Meanwhile the kernel completes the clients' handshakes.
            are_there.wait(20)
            turn()

        place.loop.call_soon_threadsafe(hold)
        for _ in range(together):
            stack.enter_context(place.connect())
        are_there.set()
        assert are_accepted.wait(20)
    assert turns < together / 2


# Answers for one reader ----------------------------------------------------------------------------------------


class Personal(App):
    """Answers with a large text of the type in the path."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind, _, more = scope["path"][1:].partition("/")
        headers = [(b"content-type", kind.replace("-", "/").encode())]
        if more == "etag":
            headers.append((b"etag", b'"1"'))
        body = PAGE[:500] if more == "small" else PAGE
        headers.append((b"content-length", b"%d" % len(body)))
        await send(
            {"type": "http.response.start", "status": 404 if more == "missing" else 200, "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    ("path", "accepted", "is_compressed"),
    [
        ("/text-html", "gzip", True),
        ("/application-json", "gzip, deflate, br", True),
        ("/application-json", "gzip;q=0", False),
        ("/application-json", "identity", False),
        ("/application-json", "", False),
        ("/image-png", "gzip", False),
        ("/text-html/small", "gzip", False),
        ("/text-html/etag", "gzip", False),
        ("/text-html/missing", "gzip", False),
    ],
)
def test_an_answer_for_one_reader_is_compressed_where_that_helps(
    path: str, accepted: str, is_compressed: bool
) -> None:
    with a_place(app=Personal()) as place, place.connect() as client:
        # HEAD must report the same length as GET.
        for method in ("GET", "HEAD", "GET"):
            client.send(get(path, f"Accept-Encoding: {accepted}", "Authorization: Bearer x", method=method))
            answer = client.answer(to_head=method == "HEAD")
            if method == "HEAD":
                continue
            assert ("content-encoding" in answer.headers) == is_compressed
            if is_compressed:
                assert answer.headers["vary"] == "Accept-Encoding"
                assert gzip.decompress(answer.body) == PAGE
                assert len(answer.body) < len(PAGE) / 5


def test_each_request_of_a_connection_is_read_by_its_own_credentials() -> None:
    """Credential headers are cached per connection. A proxy's connection carries requests of different
    accounts.
    """
    asked = [
        (("Authorization: Bearer one",), "", b"one"),
        (("Authorization: Bearer one",), "", b"one"),
        (("Authorization: Bearer two",), "", b"two"),
        ((), "", None),
        ((), "?access_token=three", b"three"),
        ((), "?access%5Ftoken=four", b"four"),
        (("Authorization: Bearer two",), "?access_token=three", b"two"),
        (("Authorization: Bearer two",), "?a=1", b"two"),
        ((), "?a=1", None),
        (("Authorization: Bearer " + "x" * 1100,), "", None),
        (("Authorization: Bearer two", "Cookie: a=b"), "", b"two"),
        (("Cookie: a=b",), "", None),
    ]
    with a_place() as place, place.connect() as client:
        for headers, query, _ in asked:
            assert client.ask(get(f"/a{query}", *headers)).status == 200
        found = [scope["visit"].token_hash for scope in place.app.scopes]
        assert found == [hashlib.sha256(token).digest() if token else None for *_, token in asked]


def test_a_request_leaves_nothing_to_the_garbage_collector() -> None:
    with a_place() as place:

        def collected() -> int:
            return gc.collect()

        with place.connect() as client:
            for path in ("/other", "/hot/a", "/stream"):
                assert client.ask(get(path)).status == 200
            place.call(collected)
            place.call(gc.disable)
            try:
                for _ in range(20):
                    assert client.ask(get("/other", "Authorization: Bearer x")).status == 200
                place.until(lambda: not place.server.worker.tasks)
                scopes = len(place.app.scopes)
                place.app.scopes.clear()
                assert scopes >= 20
                assert place.call(collected) < 20
            finally:
                place.call(gc.enable)
