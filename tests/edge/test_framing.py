"""An answer's bytes, without a connection: status line, headers and the end of the body."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.edge.framing import AnswerFraming

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
LIMIT = b"x-ratelimit-limit: 300\r\n"


def framing(*, keep_alive: bool = True, only_head: bool = False, is_http_1_0: bool = False) -> AnswerFraming:
    return AnswerFraming(keep_alive=keep_alive, only_head=only_head, is_http_1_0=is_http_1_0)


def begin(
    framed: AnswerFraming,
    *headers: tuple[bytes, bytes],
    status: int = 200,
    body: bytes = b"",
    more: bool = False,
) -> tuple[dict[bytes, bytes], bytes]:
    """Return the headers and the beginning of the body."""
    head, body = framed.begin(status, list(headers), body, more=more, date=DATE, metered=lambda: LIMIT)
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first.startswith(b"HTTP/1.1 %d " % status)
    return dict(line.split(b": ", 1) for line in lines), body


def unchunked(data: bytes) -> bytes:
    """Return the content of a body in chunks, which must be whole."""
    content = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            assert data == b"\r\n"
            return content
        content, data = content + data[:length], data[length + 2 :]


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_however_a_body_is_given_in_parts_its_client_reads_the_same(
    parts: list[bytes], has_length: bool, is_http_1_0: bool
) -> None:
    content = b"".join(parts)
    framed = framing(is_http_1_0=is_http_1_0)
    own: Any = [(b"content-length", b"%d" % len(content))] if has_length else []
    is_whole = len(parts) == 1
    headers, sent = begin(framed, *own, body=parts[0], more=not is_whole)
    for number, part in enumerate(parts[1:], start=2):
        sent += framed.part(part, more=number < len(parts))
    if has_length or is_whole:
        assert headers[b"content-length"] == b"%d" % len(content)
        assert sent == content
    elif is_http_1_0:
        assert sent == content
        assert headers[b"connection"] == b"close"
        assert not framed.keep_alive
    else:
        assert headers[b"transfer-encoding"] == b"chunked"
        assert unchunked(sent) == content


def test_an_answer_to_head_has_the_headers_of_the_one_to_get_and_no_body() -> None:
    for more in (False, True):
        headers, sent = begin(framing(only_head=True), body=b"12345", more=more)
        assert sent == b""
        assert headers.get(b"content-length") == (None if more else b"5")


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_neither_body_nor_length(status: int) -> None:
    headers, sent = begin(framing(), (b"content-length", b"5"), status=status, body=b"12345")
    assert (headers, sent) == ({b"date": DATE}, b"")


@pytest.mark.parametrize(
    ("length", "parts"), [(5, [b"1234"]), (5, [b"123456"]), (5, [b"12", b"34"]), (5, [b"123", b"456"])]
)
def test_a_body_of_another_length_than_declared_is_an_error(length: int, parts: list[bytes]) -> None:
    framed = framing()
    with pytest.raises(RuntimeError, match="content-length"):
        begin(framed, (b"content-length", b"%d" % length), body=parts[0], more=len(parts) > 1)
        framed.part(parts[1], more=False)


@pytest.mark.parametrize(
    "header", [(b"x", b"a\r\nset-cookie: b=c"), (b"x", b"a\0"), (b"x y", b"a"), (b"", b"a"), (b"x:", b"a")]
)
def test_a_header_that_would_split_the_answer_is_an_error(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(RuntimeError, match="header"):
        begin(framing(), header)


def test_the_edge_sets_its_own_headers_and_keeps_the_others() -> None:
    given_headers = [
        (b"Date", b"never"),
        (b"Keep-Alive", b"5"),
        (b"Transfer-Encoding", b"gzip"),
        (b"X-Own", b"1"),
        (b"x-ratelimit-limit", b"1"),
    ]
    headers, _ = begin(framing(), *given_headers)
    assert headers == {
        b"date": DATE,
        b"x-own": b"1",
        b"x-ratelimit-limit": b"300",
        b"content-length": b"0",
    }


def test_an_application_may_close_the_connection() -> None:
    framed = framing()
    headers, _ = begin(framed, (b"connection", b"close"))
    assert headers[b"connection"] == b"close"
    assert not framed.keep_alive
