"""Answers that stay open: heartbeats, slow and dead readers, pipelined requests, the end of streams, and
frames.
"""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from stormpetrel.edge import deadlines
from stormpetrel.edge.frames import text_frame
from stormpetrel.edge.streams import MAX_UNREAD_BYTES
from tests.edge.place import a_place, get
from tests.edge.test_deadlines import SHORT


@pytest.fixture
def quick_heartbeat(monkeypatch):
    monkeypatch.setattr(deadlines, "HEARTBEAT_S", 0.1)


def begin(client, **keys):
    """Request the stream and return its head."""
    client.send(get("/events", **keys))
    return client.answer(to_head=True)


def chunks(client, *, until):
    """Return the chunks received up to `until`."""
    while until not in client.kept:
        assert client.more(), client.kept
    return client.kept


@pytest.mark.usefixtures("quick_heartbeat")
def test_an_idle_stream_lives_by_its_heartbeat_beyond_every_other_deadline() -> None:
    with a_place(edge=SHORT) as place, place.connect() as client:
        assert begin(client).headers["transfer-encoding"] == "chunked"
        chunks(client, until=b"5\r\nbeat\n\r\n" * 8)
        assert place.server.counts.closed == {}
        place.call(lambda: place.app.stream.push(b"pushed\n"))
        chunks(client, until=b"7\r\npushed\n\r\n")


def test_a_stream_holds_no_slot() -> None:
    with a_place(shield={"running": 1}) as place, place.connect() as client:
        begin(client)
        place.until(lambda: place.app.stream is not None)
        assert place.ask(get("/other")).status == 200


@pytest.mark.usefixtures("quick_heartbeat")
def test_a_reader_that_takes_nothing_between_two_heartbeats_is_dropped() -> None:
    with a_place() as place, place.connect(receive_buffer_bytes=4096) as client:
        begin(client)
        place.until(lambda: place.app.stream is not None)
        # Too little to be dropped at once, but more than the client's side buffers without reading.
        place.call(lambda: place.app.stream.push(b"x" * 60_000))
        place.until(lambda: place.server.counts.closed["idle"] == 1)
        place.until(lambda: "gone" in place.app.scopes)


def test_more_than_a_reader_may_leave_unread_drops_it_at_once() -> None:
    with a_place() as place, place.connect(receive_buffer_bytes=4096) as client:
        begin(client)
        place.until(lambda: place.app.stream is not None)
        pushed = place.call(lambda: [place.app.stream.push(b"x" * 50_000) for _ in range(40)])
        assert pushed[0] is True
        assert pushed[-1] is False
        assert sum(pushed) * 50_000 < MAX_UNREAD_BYTES + 1_000_000
        assert place.server.counts.closed["write"] == 1
        place.until(lambda: place.server.counts.connections == 0)


def test_a_stream_to_http_1_0_has_no_chunks_and_ends_with_the_connection() -> None:
    with a_place() as place, place.connect() as client:
        answer = begin(client, version="1.0")
        assert "transfer-encoding" not in answer.headers
        assert answer.headers["connection"] == "close"
        place.until(lambda: place.app.stream is not None)
        place.call(lambda: place.app.stream.push(b"pushed\n"))
        place.call(lambda: place.app.stream.end(1012))
        assert client.rest() == b"begun\npushed\n"


def test_what_is_asked_behind_a_stream_is_answered_when_that_has_ended() -> None:
    with a_place() as place, place.connect() as client:
        client.send(get("/events") + get("/after"))
        client.answer(to_head=True)
        place.until(lambda: place.app.stream is not None)
        place.call(lambda: place.app.stream.end(1012))
        place.call(lambda: place.app.stream.end(1012))  # a second end is ignored
        chunks(client, until=b"0\r\n\r\n")
        client.kept = client.kept.partition(b"0\r\n\r\n")[2]
        assert client.answer().body == b"GET /after "
        assert place.call(lambda: place.app.stream.push(b"too late")) is False


def test_a_client_that_goes_is_noticed() -> None:
    with a_place() as place:
        with place.connect() as client:
            begin(client)
            place.until(lambda: place.app.stream is not None)
        place.until(lambda: "gone" in place.app.scopes)
        assert place.call(lambda: place.app.stream.push(b"x")) is False


def test_a_drain_completes_the_answer() -> None:
    with a_place() as place, place.connect() as client:
        begin(client)
        place.until(lambda: place.app.stream is not None)
        place.begin_stop()
        assert client.rest().endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_frame_is_what_the_library_makes_of_the_same_text(size: int) -> None:
    text = b"x" * size
    assert text_frame(text) == Frame(Opcode.TEXT, text).serialize(mask=False)
