"""Percent-decoding gives the standard library's results, and refuses input that would be expensive."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.shield.percent import MAX_BROKEN_ESCAPES, pairs, parse_query, unquoted

_pieces = st.sampled_from(
    [
        b"%",
        b"%4",
        b"%41",
        b"%e0%B8%81",
        b"=",
        b"==",
        b"=3D",
        b"=\r\n",
        b"a",
        b"+",
        b"\r",
        b"\n",
        b"_",
        b" ",
        b"\xff",
    ]
)


@given(st.lists(_pieces, max_size=30).map(b"".join))
def test_decoding_is_that_of_the_standard_library(text: bytes) -> None:
    assert unquoted(text) == unquote_to_bytes(text)


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_as_the_standard_library_does(text: bytes) -> None:
    assert unquoted(text) == unquote_to_bytes(text)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=10))
def test_what_was_encoded_comes_back(given_pairs: list[tuple[str, str]]) -> None:
    text = urlencode(given_pairs).encode()
    assert [(name.decode(), value.decode()) for name, value in pairs(text, most=20)] == given_pairs


@given(st.lists(st.sampled_from([b"a", b"=", b"&", b"+", b"%20", b"%", b"b=c"]), max_size=20).map(b"".join))
def test_pairs_are_those_of_the_standard_library(text: bytes) -> None:
    expected = parse_qsl(text.decode(), keep_blank_values=True, encoding="latin-1")
    found = pairs(text, most=100)
    assert [(name.decode("latin-1"), value.decode("latin-1")) for name, value in found] == expected


def test_a_few_broken_escapes_stand_for_themselves_and_many_are_refused() -> None:
    assert unquoted(b"100% sure, %zz, % " * 100) == b"100% sure, %zz, % " * 100
    assert unquoted(b"%" * MAX_BROKEN_ESCAPES) == b"%" * MAX_BROKEN_ESCAPES
    with pytest.raises(ValueError, match="broken"):
        unquoted(b"%" * (MAX_BROKEN_ESCAPES + 1))
    assert parse_query(b"a=" + b"%" * 2000) == []


def test_too_many_parameters_are_refused_and_a_query_is_read_to_its_256th() -> None:
    text = b"&".join(b"a%d=1" % n for n in range(300))
    with pytest.raises(ValueError, match="too many"):
        pairs(text, most=256)
    assert len(parse_query(text)) == 256
