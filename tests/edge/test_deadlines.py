"""Deadlines, limits and bounds: an idle or slow client loses its connection, without effect on others."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from stormpetrel.edge.protocol import MAX_MESSAGES_AT_ONCE
from stormpetrel.edge.wheel import NEVER
from tests.edge.place import a_place, get, post

SHORT = {
    "header_timeout_s": 0.3,
    "body_timeout_s": 0.9,
    "body_stall_s": 0.3,
    "keepalive_timeout_s": 0.3,
    "write_timeout_s": 0.3,
}


def test_a_silent_connection_is_closed_at_the_header_deadline() -> None:
    with a_place(edge=SHORT) as place, place.connect() as client:
        assert client.is_closed()
        assert place.server.counts.closed == {"header": 1}


def test_a_head_that_dribbles_gets_408_at_the_header_deadline() -> None:
    with a_place(edge=SHORT) as place, place.connect() as client:
        client.send(b"GET /api/v1/x HTTP/1.1\r\n")
        answer = client.answer()
        assert answer.status == 408
        assert client.is_closed()
        assert place.server.counts.closed == {"header": 1}


def test_a_head_that_dribbles_behind_many_requests_has_the_same_deadline() -> None:
    with a_place(edge={**SHORT, "keepalive_timeout_s": 30.0}) as place, place.connect() as client:
        client.send(get("/health") * MAX_MESSAGES_AT_ONCE + b"GET /api/v1/x HTTP/1.1\r\n")
        assert [client.answer().status for _ in range(MAX_MESSAGES_AT_ONCE)] == [200] * MAX_MESSAGES_AT_ONCE
        assert client.answer().status == 408
        assert client.is_closed()
        assert place.server.counts.closed == {"header": 1}


def test_an_idle_connection_is_closed_after_answers_of_every_kind() -> None:
    with a_place(edge=SHORT) as place, contextlib.ExitStack() as stack:
        for path in ("/hot/a", "/hot/a", "/other", "/health"):
            client = stack.enter_context(place.connect())
            assert client.ask(get(path)).status == 200
            assert client.ask(get(path)).status == 200
            assert client.is_closed()
        assert place.server.counts.closed == {"idle": 4}


def test_a_request_that_runs_is_not_cut_by_the_deadline_of_before_it() -> None:
    with a_place(edge=SHORT) as place:
        for before in (b"", get("/other")):
            place.call(place.app.gate.clear)
            with place.connect() as client:
                if before:
                    assert client.ask(before).status == 200
                client.send(get("/held"))
                place.until(lambda: place.server.worker.tasks)
                connection = place.call(lambda: next(iter(place.server.worker.connections)))
                assert connection.deadline_s < NEVER
                # The wheel fires at that deadline, and finds a later one in force.
                place.until(lambda c=connection: c.deadline_s == NEVER)
                place.call(place.app.gate.set)
                assert client.answer().status == 200
                assert client.is_closed()
        assert place.server.counts.closed == {"idle": 2}


def test_nobody_is_too_slow_because_the_server_stood_still() -> None:
    with a_place(edge=SHORT) as place, place.connect() as client:
        whole = post("/echo", b"whole")
        client.send(whole[:-1])
        place.until(lambda: place.server.worker.input.used_bytes == len(b"whol"))
        stands = threading.Event()

        def stand_still() -> None:
            stands.set()
            time.sleep(0.6)

        standing = threading.Thread(target=place.call, args=(stand_still,))
        standing.start()
        assert stands.wait(5)
        client.send(whole[-1:])
        assert client.answer().status == 200
        standing.join()
        assert place.server.counts.closed == {}


def test_a_body_that_stalls_gets_408_and_never_reaches_the_application() -> None:
    with a_place(edge=SHORT) as place, place.connect() as client:
        client.send(post("/echo", b"whole")[:-1])
        assert client.answer().status == 408
        assert client.is_closed()
        assert place.server.counts.closed == {"body": 1}
        assert place.app.scopes == []
        assert place.server.worker.input.used_bytes == 0


def test_a_body_that_dribbles_is_ended_at_the_body_deadline() -> None:
    with a_place(edge={**SHORT, "body_stall_s": 30.0}) as place, place.connect() as client:
        client.send(post("/echo", b"0123456789")[:-5])
        client.send(b"5")
        assert client.answer().status == 408
        assert client.is_closed()


def test_a_reader_that_does_not_read_is_dropped_and_its_memory_with_it() -> None:
    with a_place(edge=SHORT) as place, place.connect(receive_buffer_bytes=4096) as client:
        client.send(get("/large"))
        place.until(lambda: place.server.counts.closed["write"] == 1)
        place.until(lambda: place.server.counts.connections == 0)


def test_a_client_that_asks_and_never_reads_does_not_grow_memory() -> None:
    with a_place(edge={**SHORT, "write_timeout_s": 2.0}) as place:
        with place.connect(receive_buffer_bytes=4096) as client:
            client.ask(get("/hot/a"))
            client.ask(get("/hot/a"))
            client.socket.settimeout(0.2)
            with contextlib.suppress(socket.timeout):
                while True:
                    client.send(get("/hot/a") * 100)
            connection = place.call(lambda: next(iter(place.server.worker.connections)))
            held = place.call(lambda: connection.transport.get_write_buffer_size())
            assert held <= 65_536 + 2 * len(place.app.page)
            assert place.call(lambda: place.server.worker.input.used_bytes) <= 300_000
        place.until(lambda: place.server.counts.connections == 0)
        assert place.server.worker.input.used_bytes == 0


def test_pipelined_requests_are_answered_in_order_and_one_at_a_time() -> None:
    with a_place() as place, place.connect() as client:
        client.send(b"".join(get(f"/n/{n}") for n in range(50)) + get("/n/last", "Connection: close"))
        for n in range(50):
            assert client.answer().body == f"GET /n/{n} ".encode()
        assert client.answer().body == b"GET /n/last "
        assert client.is_closed()


def test_what_follows_connection_close_is_not_answered() -> None:
    with a_place() as place, place.connect() as client:
        client.send(get("/one", "Connection: close") + get("/two"))
        assert client.answer().headers["connection"] == "close"
        assert client.is_closed()
        assert [scope["path"] for scope in place.app.scopes] == ["/one"]


def test_a_cap_per_address_leaves_other_addresses_alone() -> None:
    with a_place(edge={"max_connections_per_address": 2}) as place, contextlib.ExitStack() as stack:
        for _ in range(2):
            assert stack.enter_context(place.connect()).ask(get("/health")).status == 200
        assert stack.enter_context(place.connect()).is_closed()
        assert stack.enter_context(place.connect(source="127.0.0.2")).ask(get("/health")).status == 200
        assert place.server.counts.dropped == {"connections/address": 1}
        stack.close()
        place.until(lambda: len(place.server.worker.caps) == 0)
        assert place.ask(get("/health")).status == 200


def test_a_cap_in_total() -> None:
    with a_place(edge={"max_connections": 1}) as place:
        with place.connect() as first:
            first.ask(get("/health"))
            with place.connect(source="127.0.0.2") as second:
                assert second.is_closed()
            assert place.server.counts.dropped == {"connections/total": 1}
        place.until(lambda: len(place.server.worker.caps) == 0)


def test_a_body_over_the_limit_is_refused_before_it_is_read_and_the_refusal_arrives() -> None:
    with a_place(edge={"max_body_bytes": 2000}) as place:
        with place.connect() as client:
            client.send(get("/api/v1/statuses", "Content-Length: 2001", method="POST"))
            answer = client.answer()
            assert (answer.status, answer.headers["connection"]) == (413, "close")
            client.send(b"x" * 2001)
            assert client.is_closed()
        with place.connect() as client:
            client.send(get("/api/v1/statuses", "Transfer-Encoding: chunked", method="POST"))
            client.send(b"7d1\r\n" + b"x" * 2001 + b"\r\n0\r\n\r\n")
            assert client.answer().status == 413
        assert place.ask(post("/echo", b"x" * 2000)).status == 200
        assert place.app.scopes[0]["path"] == "/echo"


TOKEN = "Authorization: Bearer of-a-member"


def test_a_larger_body_is_possible_where_the_place_says_so_and_streams_into_the_application() -> None:
    limit = {"max_body_bytes": 2000}
    with a_place(edge=limit, body_bytes=lambda path: 5_000_000 if path == b"/echo" else 2000) as place:
        body = bytes(range(256)) * 10_000
        assert place.ask(post("/echo", body, TOKEN)).body == b"POST:" + body
        chunked = b"".join(
            b"%x\r\n%b\r\n" % (50_000, body[i : i + 50_000]) for i in range(0, 500_000, 50_000)
        )
        request = get("/echo", "Transfer-Encoding: chunked", TOKEN, method="POST") + chunked + b"0\r\n\r\n"
        with place.connect() as client:
            assert client.ask(request).body == b"POST:" + body[:500_000]
            assert client.ask(get("/other")).status == 200
        assert place.ask(get("/other", "Content-Length: 2001", TOKEN, method="POST")).status == 413
        # Without a credential, the larger limit for uploads does not apply.
        assert place.ask(get("/echo", "Content-Length: 2001", method="POST")).status == 413
        place.until(lambda: place.server.worker.input.used_bytes == 0)


def test_an_upload_in_chunks_that_is_full_of_blank_lines_arrives_in_order() -> None:
    content = b"".join(b"%d\r\n\r\n" % number for number in range(40_000))
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(part), part)
        for part in (content[at : at + 50_000] for at in range(0, len(content), 50_000))
    )
    with (
        a_place(edge={"max_body_bytes": 2000}, body_bytes=lambda path: 5_000_000) as place,
        place.connect() as client,
    ):
        client.send(get("/echo", "Transfer-Encoding: chunked", TOKEN, method="POST") + chunks + b"0\r\n\r\n")
        assert client.answer().body == b"POST:" + content


def test_an_upload_that_breaks_while_it_is_queued_leaves_the_queue() -> None:
    with (
        a_place(
            edge={"max_body_bytes": 2000}, shield={"running": 1}, body_bytes=lambda path: 5_000_000
        ) as place,
        place.connect() as first,
        place.connect() as second,
    ):
        first.send(get("/held"))
        place.until(lambda: place.app.scopes)
        head = get("/echo", "Transfer-Encoding: chunked", TOKEN, method="POST")
        second.send(head + b"%x\r\n%b\r\n" % (100_000, b"x" * 100_000))
        place.until(lambda: len(place.server.worker.gate.queue) == 1)
        second.send(b"no chunk\r\n")
        assert second.answer().status == 400
        place.until(lambda: len(place.server.worker.gate.queue) == 0)
        place.call(place.app.gate.set)
        assert first.answer().status == 200
        assert [scope["path"] for scope in place.app.scopes] == ["/held"]


def test_an_upload_waits_for_its_client_without_holding_a_slot() -> None:
    with (
        a_place(
            edge={"max_body_bytes": 2000}, shield={"running": 1}, body_bytes=lambda path: 5_000_000
        ) as place,
        place.connect() as client,
    ):
        client.send(get("/echo", "Content-Length: 200000", TOKEN, method="POST") + b"x" * 100_000)
        place.until(lambda: place.app.scopes)
        assert place.ask(get("/other")).status == 200
        client.send(b"x" * 100_000)
        assert len(client.answer().body) == 200_005


def test_the_head_and_the_address_are_bounded() -> None:
    with a_place(edge={"max_header_bytes": 12_000}) as place:
        assert place.ask(get("/x", "X-Long: " + "a" * 12_000)).status == 431
        assert place.ask(get("/" + "a" * 9000)).status == 414
        assert place.ask(get("/x", "X-Long: " + "a" * 11_000)).status == 200
        with place.connect() as client:
            client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nX-Long: ")
            with contextlib.suppress(OSError):
                for _ in range(20):
                    client.send(b"a" * 1000)
            assert client.answer().status == 431


def test_expect_100_continue_is_answered_before_the_body_comes() -> None:
    with a_place() as place, place.connect() as client:
        client.send(get("/echo", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        assert client.answer().status == 100
        client.send(b"hello")
        assert client.answer().body == b"POST:hello"


def test_a_connection_closed_by_its_client_is_forgotten_everywhere() -> None:
    with a_place() as place:
        for data in (b"", b"GET /", get("/hot/a"), post("/echo", b"abc")[:-1], get("/held")):
            with place.connect() as client:
                client.send(data)
        worker = place.server.worker
        # A connection can be closed before the edge has accepted it.
        place.until(lambda: worker.counts.accepted == 5 and not worker.connections)
        assert (len(worker.caps), len(worker.wheel), worker.input.used_bytes) == (0, 0, 0)
