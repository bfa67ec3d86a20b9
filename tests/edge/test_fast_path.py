"""The fast path against the full parser: the same bytes give the same answers, however they are split."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stormpetrel.edge.heads import HeadMemo
from tests.edge.place import Place, a_place, get, post

TIMEOUTS = {"header_timeout_s": 0.3, "body_timeout_s": 0.6, "body_stall_s": 0.3, "keepalive_timeout_s": 2.0}


class NoMemo(HeadMemo):
    """A memo that is always empty, so that every request is parsed."""

    def get(self, data: bytes) -> None:
        return None

    def offer(self, data: bytes, head: object) -> None:
        return None


@pytest.fixture(scope="module")
def with_memo() -> Iterator[Place]:
    with a_place(edge=TIMEOUTS) as place:
        yield place


@pytest.fixture(scope="module")
def without_memo() -> Iterator[Place]:
    with a_place(edge=TIMEOUTS) as place:
        place.server.worker.memo = NoMemo()
        yield place


END = get("/end", "Connection: close")

VALID = [
    get("/hot/a"),
    get("/hot/a", "Accept-Encoding: gzip"),
    get("/hot/a", "Accept-Encoding: br;q=0.5, gzip;q=0.1"),
    get("/hot/a", "accept-encoding:\tidentity "),
    get("/hot/a", 'If-None-Match: "nothing"'),
    get("/hot/a", "If-None-Match: *"),
    get("/hot/a", "Cookie: theme=dark"),
    get("/hot/a", "Cookie: stormpetrel_session=forged"),
    get("/hot/a", "Authorization: Bearer abc"),
    get("/hot/a?access_token=abc"),
    get("/hot/a?access%5Ftoken=abc"),
    get("/hot/a?nonsense=1&page=2"),
    get("/hot/a", method="HEAD"),
    get("/hot/b%20c"),
    get("http://petrel.test/hot/a"),
    get("/other?x=1"),
    get("/other", method="HEAD"),
    get("/health"),
    get("/missing", "X-Odd:", "X-Tabs:\t\ta\t"),
    get("/hot/a#fragment"),
    get("/", "Upgrade: h2c", "Connection: upgrade"),
    get("*", method="OPTIONS"),
    b"\r\n" + get("/hot/a"),
    b"GET  /hot/a HTTP/1.1\r\nHost: a\r\n\r\n",
    post("/echo", b""),
    post("/echo", b"hello"),
    post("/echo", get("/hot/a")),
    post("/hot/a", get("/hot/a")),
    post("/echo", b"\r\n\r\nGET /hot/a HTTP/1.1\r\n\r\n", "Expect: 100-continue"),
    get("/echo", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n0\r\n\r\n",
    get("/echo", "Transfer-Encoding: chunked", method="POST") + b"4\r\n\r\n\r\n\r\n0\r\nTrailer: x\r\n\r\n",
    get("/echo", "Transfer-Encoding: chunked", method="POST")
    + b"%x\r\n%b\r\n0\r\n\r\n" % (len(get("/hot/a")), get("/hot/a")),
    get("/hot/a", "Content-Length: 5") + b"hello",
    get("/hot/a", "Content-Length: 0"),
]
LAST = [
    get("/hot/a", "Connection: close"),
    get("/hot/a", version="1.0"),
    get("/other", "Connection: keep-alive", version="1.0"),
    b"GET /hot/a HTTP/1.1\r\n\r\n",
    b"GET /hot/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /hot/a HTTP/1.1\nHost: a\n\n",
    b"GET /hot/a\r\n\r\n",
    b"GET /hot/a HTTP/3.0\r\nHost: a\r\n\r\n",
    b"GET /hot/\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /hot/a\x00b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"G\x00T /hot/a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\r\n" * 12 + get("/hot/a"),
    get("/hot/a%00b"),
    get("/hot/a", "X-Nul: a\x00b"),
    get("/hot/a", "X-Fold: a", " b"),
    get("/hot/a", "X Space: a"),
    get("/hot/a", "X-Space : a"),
    get("/hot/a", "no colon"),
    get("ftp://petrel.test/hot/a"),
    get("hot/a"),
    get("petrel.test:443", method="CONNECT"),
    get("/echo", "Content-Length: 3", "Content-Length: 4", method="POST") + b"abcd",
    get("/echo", "Content-Length: +3", method="POST") + b"abc",
    get("/echo", "Content-Length: 3", "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n",
    get("/echo", "Transfer-Encoding: chunked, identity", method="POST") + b"0\r\n\r\n",
    get("/echo", "Transfer-Encoding: chunked", method="POST") + b"zz\r\n\r\n",
    get("/echo", "Transfer-Encoding: chunked", method="POST") + b"5;a=b\r\nhello\n0\r\n\r\n",
    get("/hot/" + "a" * 9000),
    get("/hot/a", "X-Long: " + "a" * 17_000),
]
INCOMPLETE = [post("/echo", b"short")[:-2], get("/hot/a")[:-3], get("/hot/a")[:9]]
STREAMS = st.tuples(
    st.lists(st.sampled_from(VALID), min_size=0, max_size=4), st.sampled_from([*LAST, END, END, END])
).map(lambda parts: [*parts[0], parts[1]])


def conversation(place: Place, pieces: list[bytes]) -> bytes:
    """Return the edge's answers to these pieces, each sent on its own, until it closes. Mask dates and random
    values.
    """
    with place.connect() as client:
        for piece in pieces:
            try:
                client.send(piece)
            except OSError:
                break
            # Usually enough for the piece to arrive alone. No assertion depends on that.
            time.sleep(0.001)
        said = client.rest()
    said = re.sub(rb"stormpetrel_visitor=[^;]+;", b"stormpetrel_visitor=V;", said)
    return re.sub(rb"date: [^\r]+ GMT\r\n", b"date: D\r\n", said)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % len(data) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if end > start]


FUZZ = settings(max_examples=150, suppress_health_check=list(HealthCheck))


@FUZZ
@given(messages=STREAMS, places=st.lists(st.integers(1, 100_000), max_size=6))
def test_every_way_through_the_edge_gives_the_same_answers(
    with_memo: Any, without_memo: Any, messages: list[bytes], places: list[int]
) -> None:
    stream = b"".join(messages)
    expected = conversation(without_memo, [stream])
    assert conversation(with_memo, [stream]) == expected
    # By now the memo contains each of the requests as a message of its own.
    assert conversation(with_memo, messages) == expected
    assert conversation(with_memo, cut(stream, places)) == expected
    assert conversation(without_memo, cut(stream, places)) == expected


@pytest.mark.parametrize("message", INCOMPLETE)
def test_a_message_without_its_end_gets_408_at_its_deadline(with_memo: Place, message: bytes) -> None:
    said = conversation(with_memo, [get("/hot/a"), message])
    assert said.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 408 Request Timeout" in said


@pytest.mark.parametrize("message", LAST)
def test_what_cannot_be_understood_is_refused_once_and_nothing_after_it_is_answered(
    with_memo: Place, message: bytes
) -> None:
    said = conversation(with_memo, [get("/hot/a"), message, END])
    assert said.count(b"HTTP/1.1 ") == 2
    status = int(said.split(b"HTTP/1.1 ")[2][:3])
    assert status in (200, 400, 405, 408, 414, 431, 505)


def test_a_body_that_looks_like_a_request_is_not_answered(with_memo: Place) -> None:
    hot = get("/hot/a")
    with with_memo.connect() as client:
        assert client.ask(hot).status == client.ask(hot).status == 200
        served = with_memo.server.counts.served_from_cache
        client.send(get("/echo", f"Content-Length: {len(hot)}", method="POST"))
        time.sleep(0.01)
        client.send(hot)
        assert client.answer().body == b"POST:" + hot
        assert with_memo.server.counts.served_from_cache == served


def test_the_memo_is_used_for_what_comes_again(with_memo: Place) -> None:
    request = get("/hot/memo", "User-Agent: one")
    with with_memo.connect() as client:
        for _ in range(3):
            client.ask(request)
        assert with_memo.call(lambda: with_memo.server.worker.memo.get(request)) is not None


def test_a_client_may_send_a_line_end_before_each_request_also_with_remembered_ones(with_memo: Place) -> None:
    request = get("/hot/blank", "User-Agent: one")
    with with_memo.connect() as client:
        assert [client.ask(b"\r\n" + request).status for _ in range(20)] == [200] * 20
