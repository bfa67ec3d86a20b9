"""Behind a proxy with X-Forwarded-For: the client's address is accepted only from configured proxies."""

from __future__ import annotations

import hashlib
import itertools
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stormpetrel.config import EdgeConfig
from stormpetrel.edge.senders import MAX_HOPS, MAX_SENDERS, Proxies
from stormpetrel.shield.identify import TokenEntry
from tests.edge.place import Place, a_place, get, post

PROXY = "127.0.0.9"
OTHER_PROXY = "127.0.0.10"
STRANGER = "127.0.0.11"
BEHIND = {"trusted_proxies": f"{PROXY}, {OTHER_PROXY}"}


def via(*hops: str) -> str:
    return "X-Forwarded-For: " + ", ".join(hops)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with a_place(edge=BEHIND) as running:
        yield running


def seen(place: Place, *headers: str, source: str = PROXY) -> Any:
    """Return the scope of one request."""
    assert place.ask(get("/other", *headers), source=source).status == 200
    return place.app.scopes[-1]


def test_the_client_is_the_one_that_the_proxy_names(place):
    scope = seen(place, via("198.51.100.7"))
    assert scope["visit"].address == "198.51.100.7"
    assert scope["visit"].identity == ("address", "198.51.100.7")
    assert scope["client"] == ("198.51.100.7", 0)


def test_a_forged_header_from_anybody_else_changes_nothing(place):
    for source in (STRANGER, "127.0.0.1"):
        scope = seen(place, via("198.51.100.7"), via(PROXY), source=source)
        assert (scope["visit"].address, scope["client"][0]) == (source, source)
        assert scope["visit"].identity == ("address", source)


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([via("203.0.113.66", "198.51.100.7")], "198.51.100.7"),
        ([via("203.0.113.66", "198.51.100.7", OTHER_PROXY)], "198.51.100.7"),
        ([via("203.0.113.66"), via("198.51.100.7"), via(OTHER_PROXY)], "198.51.100.7"),
        ([via(OTHER_PROXY, "198.51.100.7")], "198.51.100.7"),
        ([via("unknown", "198.51.100.7")], "198.51.100.7"),
        ([via("198.51.100.7:4711")], "198.51.100.7"),
        ([via("[2001:DB8::1]:4711")], "2001:db8::1"),
        ([via("[2001:db8::1]")], "2001:db8::1"),
        ([via("2001:db8:0::0:1")], "2001:db8::1"),
        ([via("::ffff:198.51.100.7")], "198.51.100.7"),
        (["x-FORWARDED-for:\t 198.51.100.7 "], "198.51.100.7"),
        # No client is named beyond the proxies: use the address of the first proxy.
        ([], PROXY),
        ([via(OTHER_PROXY)], OTHER_PROXY),
        # An unreadable entry names no client: use the last known proxy.
        ([via("198.51.100.7", "unknown")], PROXY),
        ([via("198.51.100.7", "unknown", OTHER_PROXY)], OTHER_PROXY),
        ([via("198.51.100.7", "")], PROXY),
        (["X-Forwarded-For:"], PROXY),
        ([via("fe80::1%eth0")], PROXY),
        ([via("1.2.3")], PROXY),
        ([via("01.2.3.4")], PROXY),
        ([via("[2001:db8::1")], PROXY),
        ([via("[198.51.100.7]:1")], PROXY),
        ([via("198.51.100.7:x")], PROXY),
        ([via("1" * 100)], PROXY),
        ([via("\xb9.2.3.4")], PROXY),
        (["Forwarded: for=198.51.100.7", "X-Real-IP: 198.51.100.7"], PROXY),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(place, headers, address):
    assert seen(place, *headers)["visit"].address == address


def test_a_chain_of_proxies_ends_somewhere(place):
    hops = [OTHER_PROXY] * (MAX_HOPS - 1)
    assert seen(place, via("198.51.100.7", *hops))["visit"].address == "198.51.100.7"
    assert seen(place, via("198.51.100.7", *hops, PROXY))["visit"].address == OTHER_PROXY


names = st.one_of(
    st.sampled_from(
        [PROXY, OTHER_PROXY, STRANGER, "10.0.0.1", "2001:db8::1", "", "unknown", "_x", "1.2.3.4:5"]
    ),
    st.text(st.characters(max_codepoint=255, exclude_characters=","), max_size=8),
)


@given(st.lists(names, max_size=5), st.sampled_from(["198.51.100.7", "2001:db8::7"]), st.integers(0, 3))
def test_no_word_of_the_clients_own_changes_who_it_is(forged, client, proxies):
    networks = EdgeConfig(**BEHIND).proxy_networks
    text = ",".join([*forged, client, *([OTHER_PROXY] * proxies)])
    found = Proxies(networks, speak_first=False).forwarded([(b"x-forwarded-for", text.encode("latin-1"))])
    assert found is not None
    assert found.address == client


def test_networks_are_trusted_too_and_addresses_that_are_mapped():
    proxies = Proxies(
        EdgeConfig(trusted_proxies="10.1.0.0/16,2001:db8::/32").proxy_networks, speak_first=False
    )
    trusted = ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8:ffff::1"]
    others = ["10.2.0.1", "127.0.0.1", "::1", "2001:db9::1", "::ffff:10.2.0.1", "local", "", "x" * 100]
    assert [address for address in [*trusted, *others] if proxies.trusts(address)] == trusted


def test_the_memory_of_senders_is_bounded():
    proxies = Proxies((), speak_first=False)
    for number in range(MAX_SENDERS + 100):
        proxies.forwarded([(b"x-forwarded-for", b"10.%d.%d.1" % divmod(number, 256))])
    assert 0 < len(proxies._senders) <= MAX_SENDERS


def test_one_connection_speaks_for_many_each_with_a_ceiling_of_its_own():
    with a_place(edge=BEHIND, shield={"requests_per_5min": 3}) as place, place.connect(source=PROXY) as proxy:
        answers = [
            [proxy.ask(get("/other", via(client))) for client in ("198.51.100.1", "198.51.100.2")]
            for _ in range(5)
        ]
        for client in (0, 1):
            statuses = [answer[client].status for answer in answers]
            assert statuses == [200, 200, 200, 429, 429]
            assert answers[3][client].headers["x-ratelimit-remaining"] == "0"
        # IPv6 addresses in the same /64 share a quota.
        for n in range(4):
            last = proxy.ask(get("/other", via(f"2001:db8::{n}")))
        assert last.status == 429
        assert proxy.ask(get("/other", via("2001:db8:0:1::1"))).status == 200


def test_a_request_that_is_remembered_is_still_that_of_its_own_sender():
    with a_place(edge=BEHIND, shield={"requests_per_5min": 6}) as place, place.connect(source=PROXY) as proxy:
        one, other, nobody = (
            get("/other", *more) for more in ([via("198.51.100.1")], [via("198.51.100.2")], [])
        )
        assert [proxy.ask(one).status for _ in range(9)] == [200] * 6 + [429] * 3
        assert len(place.server.worker.memo) == 0
        # The first request is in the memo and its client has no quota left. The next client on this
        # connection has all.
        assert [proxy.ask(other).status for _ in range(6)] == [200] * 6
        assert [proxy.ask(data).status for data in (one, nobody, one, other, nobody)] == [
            429,
            200,
            429,
            429,
            200,
        ]
        # The proxy's own exhausted quota does not matter to its clients.
        assert [proxy.ask(nobody).status for _ in range(5)] == [200] * 4 + [429]
        third = get("/other", via("198.51.100.3"))
        assert [proxy.ask(third).status for _ in range(6)] == [200] * 6
        # The same bytes from another address count for that address.
        for source in (STRANGER, STRANGER, STRANGER):
            assert place.ask(one, source=source).status == 200
        with place.connect(source=OTHER_PROXY) as second:
            assert [second.ask(data).status for data in (one, nobody)] == [429, 200]


@pytest.fixture(scope="module")
def small() -> Iterator[Place]:
    """Yield an edge that permits four requests in five minutes, with hot pages that stay fresh."""
    with a_place(edge={**BEHIND, "cache_ttl_s": 60.0}, shield={"requests_per_5min": 4}) as running:
        assert running.ask(get("/hot/kept"), source=STRANGER).status == 200
        yield running


fresh = itertools.count()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from(["/other", "/other", "/hot/kept"])),
        max_size=40,
    )
)
def test_however_requests_are_mixed_each_counts_for_its_own_client_alone(small, requests):
    clients = [f"10.{number >> 8 & 255}.{number & 255}.1" for number in (next(fresh) for _ in range(3))]
    spent = [0, 0, 0]
    with (
        small.connect(source=PROXY) as one,
        small.connect(source=PROXY) as two,
        small.connect(source=OTHER_PROXY) as three,
    ):
        for client, way, path in requests:
            answer = (one, two, three)[way].ask(get(path, via(clients[client])))
            spent[client] += path == "/other"
            assert answer.status == (429 if path == "/other" and spent[client] > 4 else 200)
            if answer.status == 429:
                assert answer.headers["x-ratelimit-remaining"] == "0"


def test_a_refusal_is_not_repeated_to_the_next_client_of_the_connection():
    with a_place(edge=BEHIND, shield={"requests_per_5min": 2}) as place, place.connect(source=PROXY) as proxy:
        many = get("/other", via("198.51.100.1"))
        for _ in range(2):
            proxy.ask(many)
        answers = [proxy.ask(many).headers["retry-after"] for _ in range(12)]
        assert int(answers[-1]) >= int(answers[0])
        refused = place.server.counts.refused["ceiling/requests"]
        for _ in range(2):
            proxy.ask(get("/other", via("198.51.100.2")))
        first = proxy.ask(get("/other", via("198.51.100.2")))
        assert first.status == 429
        # The refusal counted for this client alone, and its patience was tracked.
        patience = place.server.worker.gate.patience.seen
        assert patience["address", "198.51.100.2"][0] == 1
        assert place.server.counts.refused["ceiling/requests"] == refused + 1


def test_each_client_of_a_connection_gets_a_visitors_cookie_of_its_own(place):
    with place.connect(source=PROXY) as proxy:
        cookies = []
        for client in ("198.51.100.1", "198.51.100.2", "198.51.100.1"):
            for _ in range(3):
                cookies.append(proxy.ask(get("/hot/shared", via(client))).headers["set-cookie"])
        assert len(set(cookies)) == len(cookies) == 9
        kept = cookies[0].partition(";")[0]
        for _ in range(3):
            answer = proxy.ask(get("/hot/shared", via("198.51.100.1"), f"Cookie: {kept}"))
            assert (answer.status, "set-cookie" in answer.headers) == (200, False)


def test_hot_pages_come_from_memory_for_every_client_of_a_connection(place):
    with place.connect(source=PROXY) as proxy:
        before = place.app.renders
        for _ in range(3):
            for client in ("198.51.100.1", "198.51.100.2"):
                assert proxy.ask(get("/hot/for-all", via(client))).status == 200
        assert place.app.renders == before + 1


def test_a_proxy_holds_as_many_connections_as_it_needs_and_others_do_not():
    with a_place(edge={**BEHIND, "max_connections_per_address": 2}) as place:
        clients = [place.connect(source=PROXY) for _ in range(6)]
        for n, client in enumerate(clients):
            assert client.ask(get("/other", via(f"198.51.100.{n}"))).status == 200
        strangers = [place.connect(source=STRANGER) for _ in range(3)]
        assert strangers[0].ask(get("/other", via("198.51.100.1"))).status == 200
        assert strangers[2].is_closed()
        assert place.server.counts.dropped == {"connections/address": 1}
        for client in [*clients, *strangers]:
            client.socket.close()
        place.until(lambda: len(place.server.worker.caps) == 0)
        assert place.server.worker.caps._by_address == {}


def at_once(place: Place) -> dict[Any, int]:
    return dict(place.server.worker.proxies.at_once)


def test_a_client_has_only_so_many_requests_at_once_whatever_connections_they_come_by():
    with a_place(edge={**BEHIND, "max_connections_per_address": 2}, shield={"running": 8}) as place:
        held = [place.connect(source=PROXY) for _ in range(2)]
        for client in held:
            client.send(get("/held", via("198.51.100.1")))
        place.until(lambda: len(place.server.worker.tasks) == 2)
        with place.connect(source=PROXY) as proxy:
            for over in (get("/api/v1/x", via("198.51.100.1")), get("/hot/new", via("198.51.100.1"))):
                answer = proxy.ask(over)
                assert answer.status == 429
                assert int(answer.headers["retry-after"]) >= 1
            # Other clients on the same connection are not affected, nor are cached pages.
            assert proxy.ask(get("/hot/new", via("198.51.100.2"))).status == 200
            assert proxy.ask(get("/hot/new", via("198.51.100.1"))).status == 200
            assert place.call(lambda: at_once(place)) == {("address", "198.51.100.1"): 2}
            place.call(place.app.gate.set)
            assert [client.answer().status for client in held] == [200, 200]
            assert proxy.ask(get("/other", via("198.51.100.1"))).status == 200
            # The refusal does not even wait for a body.
            place.call(place.app.gate.clear)
            for client in held:
                client.send(get("/held", via("198.51.100.1")))
            place.until(lambda: len(place.server.worker.tasks) == 2)
            answer = proxy.ask(post("/echo", b"12345", via("198.51.100.1"))[:-2])
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["connection"] == "close"
        for client in held:
            client.socket.close()
        place.call(place.app.gate.set)
        with place.connect(source=PROXY) as proxy:
            place.until(lambda: not place.server.worker.tasks)
            place.until(lambda: at_once(place) == {})
            assert proxy.ask(get("/other", via("198.51.100.1"))).status == 200


def test_members_are_counted_each_for_themselves_wherever_they_are():
    with a_place(edge={**BEHIND, "max_connections_per_address": 1}, shield={"running": 8}) as place:
        tokens = ["one", "other"]
        for number, token in enumerate(tokens):
            place.call(
                lambda number=number, token=token: place.server.tokens.put(
                    hashlib.sha256(token.encode()).digest(),
                    TokenEntry(number + 1, 1, place.loop.time(), None),
                )
            )
        asked = [get("/held", via("198.51.100.1"), f"Authorization: Bearer {token}") for token in tokens]
        with place.connect(source=PROXY) as visitor, place.connect(source=PROXY) as first:
            visitor.send(get("/held", via("198.51.100.1")))
            first.send(asked[0])
            place.until(lambda: len(place.server.worker.tasks) == 2)
            with place.connect(source=PROXY) as second, place.connect(source=PROXY) as third:
                second.send(asked[1])
                place.until(lambda: len(place.server.worker.tasks) == 3)
                assert third.ask(asked[0]).status == 429
            place.call(place.app.gate.set)
            assert (visitor.answer().status, first.answer().status) == (200, 200)


KEY = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==",
)


def test_streams_are_their_clients_until_they_end():
    with a_place(edge={**BEHIND, "max_connections_per_address": 2}) as place:
        first, second, third = (place.connect(source=PROXY) for _ in range(3))
        assert first.ask(get("/socket", via("198.51.100.1"), *KEY)).status == 101
        assert place.app.scopes[-1]["client"] == ("198.51.100.1", 0)
        assert place.app.scopes[-1]["visit"].address == "198.51.100.1"
        second.send(get("/events", via("198.51.100.1")))
        assert second.answer(to_head=True).status == 200
        with third:
            assert third.ask(get("/other", via("198.51.100.1"))).status == 429
            assert third.ask(get("/other", via("198.51.100.2"))).status == 200
            first.socket.close()
            second.socket.close()
            place.until(lambda: len(place.server.worker.connections) == 1)
            assert place.call(lambda: at_once(place)) == {}
            assert third.ask(get("/other", via("198.51.100.1"))).status == 200
        place.until(lambda: len(place.server.worker.caps) == 0)
        assert place.server.worker.caps._by_address == {}


def test_pipelined_requests_of_different_clients_are_each_their_own():
    with a_place(edge=BEHIND) as place, place.connect(source=PROXY) as proxy:
        clients = [f"198.51.100.{n % 5}" for n in range(20)]
        proxy.send(b"".join(get("/other", via(client)) for client in clients))
        assert [proxy.answer().status for _ in clients] == [200] * 20
        assert [scope["visit"].address for scope in place.app.scopes] == clients


def test_an_edge_without_proxies_has_plain_connections():
    with a_place() as place, place.connect(source="127.0.0.1") as client:
        assert client.ask(get("/other", via("198.51.100.1"))).status == 200
        assert place.server.worker.proxies is None
        assert place.app.scopes[-1]["visit"].address == "127.0.0.1"


def test_a_client_that_is_gone_leaves_no_trace(place):
    for _ in range(3):
        with place.connect(source=PROXY) as proxy:
            proxy.send(get("/held", via("198.51.100.9")))
            place.until(lambda: place.server.worker.tasks)
            proxy.socket.shutdown(socket.SHUT_RDWR)
        place.call(place.app.gate.set)
        place.until(lambda: not place.server.worker.tasks)
        place.call(place.app.gate.clear)
    with place.connect(source=PROXY):
        place.until(lambda: place.server.worker.connections and at_once(place) == {})
