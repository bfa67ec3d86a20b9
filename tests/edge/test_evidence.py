"""The evidence of a real edge: which requests are looked at, and how connections are counted."""

from __future__ import annotations

import hashlib
import socket
import struct
import time

import pytest

from stormpetrel.edge.evidence import agent_class
from stormpetrel.shield import evidence as e
from stormpetrel.shield.canary import mark
from stormpetrel.shield.identify import TokenEntry
from tests.edge.place import SECRET, Place, a_place, get

BROWSER = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

# RFC 6455's own example.
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="


def taken(place: Place) -> e.Evidence:
    worker = place.server.worker
    return place.call(lambda: worker.evidence.take(worker.connections, place.loop.time()))


@pytest.mark.parametrize(
    ("agent", "is_feed", "found"),
    [
        (b"Mozilla/5.0 (X11) Firefox/128.0", False, e.BROWSER),
        (b"curl/8.16.0", False, e.PROGRAM),
        (b"Tusky/25.2", False, e.APP),
        (b"Miniflux/2.1", True, e.READER),
        (b"", False, e.NO_AGENT),
    ],
)
def test_programs_are_told_apart_by_their_names(agent, is_feed, found) -> None:
    assert agent_class(agent, is_feed=is_feed) == found


def test_pages_from_memory_are_sampled_with_their_agent_and_their_referrer() -> None:
    with a_place(host="here.example") as place, place.connect() as client:
        ask = get("/hot/a", BROWSER, "Referer: https://mail.example/inbox")
        for _ in range(10):
            client.ask(ask)
        found = taken(place)
        assert found.requests == len(found.sample) == 10
        assert {row.kind for row in found.sample[1:]} == {e.CACHED}
        last = found.sample[-1]
        assert (last.agent, e.REFERRERS[last.referrer], last.source) == (e.BROWSER, "mail", e.NEW_NETWORK)
        assert len({row.address for row in found.sample}) == 1
        assert found.paths == {"/hot/a": 10}
        assert taken(place).sample == ()


def test_no_text_of_a_user_agent_is_remembered() -> None:
    with a_place(host="here.example") as place, place.connect() as client:
        client.ask(get("/hot/a", BROWSER))
        # Texts that are kept for a period stay readable in memory that was given back at its end.
        remembered = place.server.worker.evidence._agents
        assert remembered
        assert {type(key) for key in remembered} == {int}


def test_a_query_that_no_page_knows_is_marked_and_its_hash_differs() -> None:
    with a_place() as place:
        for number in range(5):
            place.ask(get(f"/hot/a?x={number}"))
        sample = taken(place).sample
        assert all(row.flags & e.HAS_EXTRA_QUERY for row in sample)
        assert len({row.query for row in sample}) == 5
        assert len({row.path for row in sample}) == 1


def test_members_and_forged_credentials_are_told_apart() -> None:
    with a_place() as place:
        entry = TokenEntry(7, 1_000, place.loop.time(), None)
        tokens = place.server.worker.tokens
        place.call(lambda: tokens.put(hashlib.sha256(b"real").digest(), entry))
        place.call(lambda: tokens.mark_unknown(hashlib.sha256(b"forged").digest(), place.loop.time()))
        for token in ("real", "forged", "never-seen"):
            place.ask(get("/api/v1/timelines/home", f"Authorization: Bearer {token}"))
        place.ask(get("/plain", "Cookie: stormpetrel_session=invented"))
        sources = [row.source for row in taken(place).sample]
        # A worker that has just started knows no tokens yet; a member came from this network.
        assert sources == [e.MEMBER, e.FORGED, e.KNOWN_NETWORK, e.FORGED]


def test_a_flood_that_claims_to_be_the_watch_is_sampled_and_the_watch_is_not() -> None:
    with a_place() as place, place.connect() as client:
        for value in ("1", mark(b"another secret, long enough", at_epoch_s=int(time.time()))):
            for path in ("/plain", "/hot/a"):
                client.ask(get(path, BROWSER, f"X-Stormpetrel-Canary: {value}"))
        assert len(taken(place).sample) == 4
        real = mark(SECRET, at_epoch_s=int(time.time()))
        client.ask(get("/plain", f"X-Stormpetrel-Canary: {real}"))
        found = taken(place)
        assert (found.requests, found.sample) == (0, ())
        # Beside it, a visitor's request counts once.
        client.ask(get("/plain", f"X-Stormpetrel-Canary: {real}"))
        client.ask(get("/plain", BROWSER))
        found = taken(place)
        assert (found.requests, len(found.sample)) == (1, 1)


def test_refusals_are_sampled_too() -> None:
    with a_place(shield={"requests_per_5min": 5}) as place, place.connect() as client:
        statuses = [client.ask(get("/plain", BROWSER)).status for _ in range(20)]
        assert 429 in statuses
        assert len(taken(place).sample) == 20


def test_a_request_that_claims_another_address_is_marked() -> None:
    with a_place() as place:
        place.ask(get("/plain", "X-Forwarded-For: 192.0.2.7"))
        place.ask(get("/plain"))
        assert [bool(row.flags & e.CLAIMS_ADDRESS) for row in taken(place).sample] == [True, False]


def test_requests_sent_before_the_answer_are_marked() -> None:
    with a_place() as place, place.connect() as client:
        for _ in range(3):
            client.ask(get("/hot/a"))
        taken(place)
        client.socket.sendall(get("/hot/a") * 3)
        place.until(lambda: place.server.worker.counts.requests == 6)
        marks = [bool(row.flags & e.IS_PIPELINED) for row in taken(place).sample]
        assert marks == [False, True, True]


def test_connections_are_counted_by_their_state() -> None:
    with a_place() as place:
        clients = [place.connect() for _ in range(4)]
        clients[0].socket.sendall(b"GET / HT")
        clients[1].socket.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab")
        clients[2].ask(get("/plain"))
        worker = place.server.worker
        place.until(lambda: len(worker.connections) == 4 and worker.counts.requests == 2)
        first, second = taken(place).connections, taken(place)
        assert first["opened"] == 4
        # A connection is slow if it was slow at the last count already.
        assert first.get("slow_head") is None
        # A report that follows at once on a late one counts no connections: none can have been slow for long.
        assert {name for name, count in second.connections.items() if count} <= {"new", "idle"}
        place.call(lambda: setattr(worker.evidence, "_census_s", 0.0))
        again = taken(place).connections
        assert {name: again.get(name) for name in ("slow_head", "slow_body", "silent", "idle")} == {
            "slow_head": 1,
            "slow_body": 1,
            "silent": 1,
            "idle": 1,
        }
        assert second.requests == 0
        for client in clients:
            client.socket.close()


def test_a_new_connection_is_not_taken_for_a_slow_one_that_has_ended() -> None:
    with a_place() as place:
        worker = place.server.worker
        for _ in range(30):
            client = place.connect()
            place.until(lambda: len(worker.connections) == 1)
            place.call(lambda: setattr(worker.evidence, "_census_s", 0.0))
            # Each is seen once, so none is slow, also if it has the memory of the one before.
            assert "silent" not in taken(place).connections
            client.socket.close()
            place.until(lambda: not worker.connections)


def test_connections_that_were_not_used_and_those_that_were_reset_are_counted() -> None:
    with a_place() as place:
        worker = place.server.worker
        place.connect().socket.close()
        place.until(lambda: worker.counts.unused == 1)
        client = place.connect()
        client.ask(get("/plain"))
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
        place.until(lambda: not worker.connections)
        assert worker.counts.reset == 1
        assert taken(place).connections == {"opened": 2, "reset": 1, "unused": 1}


def test_a_websocket_is_sampled_as_a_request_and_counted_as_a_stream() -> None:
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", KEY)
    with a_place() as place, place.connect() as client:
        client.send(get("/socket", *upgrade))
        assert client.answer().status == 101
        found = taken(place)
        assert found.connections == {"opened": 1, "streams": 1}
        assert len(found.sample) == 1
