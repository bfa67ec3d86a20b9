"""Compression of answers for a single reader."""

from __future__ import annotations

import gzip

import pytest

from stormpetrel.edge.compression import MIN_PERSONAL_BYTES, in_gzip

JSON = (b"content-type", b"application/json; charset=utf-8")
BODY = b"a" * MIN_PERSONAL_BYTES
ASKED = {b"accept-encoding": b"gzip"}


def test_a_large_text_is_packed_and_its_headers_say_so() -> None:
    found = in_gzip([JSON, (b"content-length", b"1024")], BODY, ASKED)
    assert found is not None
    headers, body = found
    assert headers == [JSON, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    assert gzip.decompress(body) == BODY


@pytest.mark.parametrize(
    ("headers", "body", "asked"),
    [
        ([JSON], BODY[1:], ASKED),
        ([JSON], BODY, {}),
        ([JSON], BODY, {b"accept-encoding": b"br"}),
        ([(b"content-type", b"image/png")], BODY, ASKED),
        ([], BODY, ASKED),
        *(([JSON, (name, b"x")], BODY, ASKED) for name in (b"etag", b"content-encoding", b"content-range")),
    ],
)
def test_other_answers_are_sent_as_they_are(headers, body, asked) -> None:
    assert in_gzip(headers, body, asked) is None
