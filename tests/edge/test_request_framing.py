"""The end of a request: ambiguous framing is refused, and the connection closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.place import Place, a_place, get, post

HIDDEN = get("/hidden")
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with a_place() as place:
        yield place


def paths(place: Place) -> list[str]:
    return place.call(lambda: [scope["path"] for scope in place.app.scopes if isinstance(scope, dict)])


@pytest.mark.parametrize(
    "protocol", ["foo", "h2c", "websocket", "websocket, foo", "WebSocket/13", "TLS/1.0", ""]
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_request_for_another_protocol_has_no_body(place: Place, protocol: str, method: str) -> None:
    wish = ("Connection: Upgrade", f"Upgrade: {protocol}")
    for request in (
        post("/echo", HIDDEN, *wish, method=method),
        get("/echo", "Transfer-Encoding: chunked", *wish, method=method) + CHUNKED,
    ):
        with place.connect() as client:
            answer = client.ask(request)
            assert answer.status == 400
            assert answer.headers["connection"] == "close"
            assert client.is_closed()
    assert "/hidden" not in paths(place)


@pytest.mark.parametrize("protocol", ["foo", "h2c", "websocket, foo", "TLS/1.0"])
def test_an_unknown_protocol_is_ignored(place: Place, protocol: str) -> None:
    with place.connect() as client:
        for number in range(2):
            answer = client.ask(get(f"/plain/{number}", "Connection: Upgrade", f"Upgrade: {protocol}"))
            assert (answer.status, answer.body) == (200, f"GET /plain/{number} ".encode())


@pytest.mark.parametrize(
    ("codings", "status"),
    [
        (["gzip, chunked"], 501),
        (["chunked, chunked"], 501),
        (["chunked", "chunked"], 501),
        (["gzip", "chunked"], 501),
        (["identity"], 400),
        (["chunked;q=1"], 400),
    ],
)
def test_the_only_transfer_coding_is_one_chunked(place: Place, codings: list[str], status: int) -> None:
    with place.connect() as client:
        answer = client.ask(
            get("/echo", *(f"Transfer-Encoding: {c}" for c in codings), method="POST") + CHUNKED
        )
        assert answer.status in (status, 400)
        assert client.is_closed()
    assert "/hidden" not in paths(place)


def test_the_name_of_the_coding_may_be_written_in_capitals(place: Place) -> None:
    answer = place.ask(get("/echo", "Transfer-Encoding: CHUNKED", method="POST") + CHUNKED)
    assert (answer.status, answer.body) == (200, b"POST:" + HIDDEN)


def test_http_1_0_has_no_transfer_codings(place: Place) -> None:
    with place.connect() as client:
        answer = client.ask(
            get("/echo", "Transfer-Encoding: chunked", method="POST", version="1.0") + CHUNKED
        )
        assert answer.status == 400
        assert client.is_closed()


def test_trailers_are_read_and_left_out_of_the_headers(place: Place) -> None:
    body = b"1\r\nx\r\n0\r\nCookie: a=b\r\nHost: other.test\r\nAuthorization: Bearer x\r\n\r\n"
    with place.connect() as client:
        answer = client.ask(get("/echo", "Transfer-Encoding: chunked", method="POST") + body)
        assert (answer.status, answer.body) == (200, b"POST:x")
        scope = place.call(lambda: place.app.scopes[-1])
        assert [name for name, _ in scope["headers"]] == [b"host", b"transfer-encoding"]
        assert client.ask(get("/after")).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"1;" + b"a" * 40_000 + b"\r\nx\r\n0\r\n\r\n",
        b"1\r\nx\r\n0\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
        b"1\r\nx\r\n0\r\n" + b"X: a\r\n" * 8_000 + b"\r\n",
        b"1\r\nx\r\n" * 5_000 + b"0\r\n\r\n",
    ],
    ids=["extension", "trailer", "trailers", "tiny chunks"],
)
def test_a_body_that_is_mostly_framing_is_refused(place: Place, body: bytes) -> None:
    with place.connect() as client:
        client.send(get("/echo", "Transfer-Encoding: chunked", method="POST"))
        client.send(body)
        assert client.answer().status == 400
        assert client.rest() == b""


def test_chunks_of_an_ordinary_size_are_read_however_many_they_are(place: Place) -> None:
    content = b"y" * 100
    body = (b"64\r\n" + content + b"\r\n") * 500 + b"0\r\n\r\n"
    answer = place.ask(get("/echo", "Transfer-Encoding: chunked", method="POST") + body)
    assert answer.body == b"POST:" + content * 500


def test_headers_are_counted(place: Place) -> None:
    assert place.ask(get("/x", *("X: y" for _ in range(99)))).status == 200
    assert place.ask(get("/x", *("X: y" for _ in range(100)))).status == 431


def test_ten_thousand_pipelined_requests_are_answered_in_order_and_in_turns(place: Place) -> None:
    with place.connect() as client, place.connect() as other:
        client.send(b"".join(get(f"/hot/pipelined?page={number % 3}", "X: y") for number in range(3000)))
        assert other.ask(get("/health")).status == 200
        for _ in range(3000):
            assert client.answer().status == 200
