"""Behind a proxy that sends a PROXY protocol header first: each connection belongs to one client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stormpetrel.edge.proxy_header import SIGNATURE
from tests.edge.place import Place, a_place, get
from tests.edge.test_proxy_header import V4, headers, reference, v2
from tests.edge.test_senders import KEY, OTHER_PROXY, PROXY, STRANGER, via

FIRST = {"trusted_proxies": f"{PROXY}, {OTHER_PROXY}", "proxy_protocol": True}
LOCAL = v2(0, b"", command=0x20)


def v1(client: str = "198.51.100.7", port: int = 4711) -> bytes:
    return f"PROXY TCP4 {client} 192.0.2.1 {port} 443\r\n".encode()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with a_place(edge={**FIRST, "header_timeout_s": 0.5}) as running:
        yield running


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (v1(), ("198.51.100.7", 4711)),
        (v2(0x11, V4), ("192.0.2.1", 12345)),
        (v2(0x11, V4 + b"\x04\x00\x03abc"), ("192.0.2.1", 12345)),
        (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", ("2001:db8::1", 1)),
    ],
)
def test_the_client_is_the_one_of_the_header_for_every_request(place, header, client):
    with place.connect(source=PROXY) as proxy:
        for data in (header + get("/other"), get("/other", via("203.0.113.1")), get("/other", via(PROXY))):
            assert proxy.ask(data).status == 200
            scope = place.app.scopes[-1]
            # X-Forwarded-For is only a claim of the client here: the client is no proxy.
            assert (scope["client"], scope["visit"].address) == (client, client[0])


@pytest.mark.parametrize("header", [LOCAL, v2(0x31, bytes(216)), v2(0, b""), b"PROXY UNKNOWN\r\n"])
def test_a_proxy_that_speaks_for_itself_is_itself(place, header):
    with place.connect(source=PROXY) as proxy:
        assert proxy.ask(header + get("/health")).status == 200
        assert proxy.ask(get("/other", via("198.51.100.7"))).status == 200
        assert place.app.scopes[-1]["visit"].address == PROXY


def test_a_header_may_come_in_any_pieces(place):
    for header in (v1(), v2(0x11, V4 + bytes(40))):
        whole = header + get("/other")
        for size in (1, 7, len(header) - 1, len(header), len(header) + 3):
            with place.connect(source=PROXY) as proxy:
                for at in range(0, len(whole), size):
                    proxy.send(whole[at : at + size])
                assert proxy.answer().status == 200


@pytest.mark.parametrize(
    "data",
    [
        get("/other"),
        b"PROXY TCP4 198.51.100.7 192.0.2.1 4711\r\n" + get("/other"),
        b"PROXY TCP4 " + b"1" * 120,
        v2(0x11, b"short") + get("/other"),
        v2(0x11, V4, command=0x11) + get("/other"),
        b"\r\n" + v2(0x11, V4) + get("/other"),
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_begins_otherwise_is_closed_without_an_answer(place, data):
    before = place.server.counts.closed["proxy-header"]
    requests = place.server.counts.requests
    with place.connect(source=PROXY) as proxy:
        proxy.send(data)
        assert proxy.is_closed()
    place.until(lambda: place.server.counts.closed["proxy-header"] == before + 1)
    assert place.server.counts.requests == requests


def test_the_first_connection_that_begins_otherwise_is_logged_and_no_more(caplog):
    with a_place(edge=FIRST) as place:
        for source in (STRANGER, PROXY, OTHER_PROXY, PROXY):
            with place.connect(source=source) as client:
                client.send(v1()[:-8] + b"x\r\n" + get("/other", via("198.51.100.7")))
                client.rest()
    said = [record.getMessage() for record in caplog.records if record.name == "stormpetrel.edge"]
    assert len(said) == 1
    assert PROXY in said[0]
    assert "198.51.100.7" not in said[0]


def test_a_second_header_is_no_header(place):
    with place.connect(source=PROXY) as proxy:
        proxy.send(v1() + v1("203.0.113.1") + get("/other"))
        assert proxy.answer().status == 400


def test_a_header_from_anybody_else_is_no_header(place):
    for header in (v1(), v2(0x11, V4)):
        with place.connect(source=STRANGER) as client:
            client.send(header + get("/other"))
            assert client.answer().status == 400
    assert place.ask(get("/other"), source=STRANGER).status == 200
    assert place.app.scopes[-1]["client"][0] == STRANGER


def test_half_a_header_is_ended_by_the_deadline_of_a_head():
    with a_place(edge={**FIRST, "header_timeout_s": 0.3}) as place, contextlib.ExitStack() as stack:
        proxies = []
        for half in (b"", b"PROXY TCP4 198.5", v2(0x11, V4)[:20], SIGNATURE, v1()):
            proxies.append(stack.enter_context(place.connect(source=PROXY)))
            proxies[-1].send(half)
        assert all(proxy.is_closed() for proxy in proxies)
        assert place.server.counts.closed == {"header": 5}


def test_an_inner_proxy_names_an_outer_one_and_that_one_the_client(place):
    with place.connect(source=PROXY) as proxy:
        for client in ("198.51.100.1", "198.51.100.2"):
            proxy_of = v1(OTHER_PROXY) if client.endswith("1") else b""
            assert proxy.ask(proxy_of + get("/other", via("203.0.113.1", client))).status == 200
            assert place.app.scopes[-1]["visit"].address == client


def test_a_client_has_its_ceiling_and_its_cap_whatever_connections_it_comes_by():
    keys = {"edge": {**FIRST, "max_connections_per_address": 2}, "shield": {"requests_per_5min": 3}}
    with a_place(**keys) as place:
        kept = [place.connect(source=PROXY) for _ in range(4)]
        assert [client.ask(v1() + get("/other")).status for client in kept[:2]] == [200, 200]
        refused = kept[2].ask(v1() + get("/api/v1/x"))
        assert (refused.status, refused.headers["connection"]) == (429, "close")
        assert int(refused.headers["retry-after"]) >= 1
        assert kept[3].ask(v1("198.51.100.8") + get("/other")).status == 200
        assert [kept[0].ask(get("/other")).status for _ in range(2)] == [200, 429]
        assert kept[3].ask(get("/other")).status == 200
        for client in kept:
            client.socket.close()
        place.until(lambda: len(place.server.worker.caps) == 0)
        assert place.server.worker.caps._by_address == {}
        with place.connect(source=PROXY) as again:
            assert again.ask(v1("198.51.100.9") + get("/other")).status == 200


def test_a_websocket_is_its_clients(place):
    with place.connect(source=PROXY) as proxy:
        assert proxy.ask(v1() + get("/socket", *KEY)).status == 101
        assert place.app.scopes[-1]["client"] == ("198.51.100.7", 4711)
        assert place.app.scopes[-1]["visit"].address == "198.51.100.7"
        assert place.call(lambda: place.server.worker.caps._by_address["198.51.100.7"]) == 1
    place.until(lambda: "198.51.100.7" not in place.server.worker.caps._by_address)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers, st.integers(1, 50))
def test_whatever_a_proxy_begins_with_gives_an_answer_or_a_closed_connection(place, header, size):
    expected = reference(header + get("/other", "Connection: close"))
    if expected == "more":
        return
    with place.connect(source=PROXY) as proxy:
        try:
            proxy.send(header[:size])
            proxy.send(header[size:] + get("/other", "Connection: close"))
        except OSError:
            # The edge closed the connection after the first piece.
            assert expected == "bad"
        data = proxy.rest()
        if expected == "bad":
            assert data == b""
        elif expected[0] == len(header):
            assert data.startswith(b"HTTP/1.1 200 ")
