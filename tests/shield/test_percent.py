"""Percent-decoding gives the standard library's results, and refuses input that would be expensive."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stormpetrel.shield.percent import (
    MAX_BROKEN_ESCAPES,
    MAX_PARAMETERS,
    is_readable,
    pairs,
    parameter,
    query_string,
    quoted,
    unquoted,
)

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


@given(st.text(), st.sampled_from(["", "/", "/@:~!$&'()*+,;=", "/:?#[]@!$&'()*+,;=%"]))
@example("".join(map(chr, range(256))), "/")
@example("100%25 %", "%")
def test_encoding_is_that_of_the_standard_library(text: str, safe: str) -> None:
    assert quoted(text, safe=safe.encode()) == quote(text, safe=safe)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=10))
def test_what_was_encoded_comes_back(given_pairs: list[tuple[str, str]]) -> None:
    assert query_string(given_pairs) == urlencode(given_pairs)
    text = query_string(given_pairs).encode()
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


def test_the_broken_escapes_of_all_parameters_count_together() -> None:
    text = b"%&a=%g&" * (MAX_BROKEN_ESCAPES // 2)
    assert pairs(text, most=2000) == [(b"%", b""), (b"a", b"%g")] * (MAX_BROKEN_ESCAPES // 2)
    with pytest.raises(ValueError, match="broken"):
        pairs(text + b"%4=", most=2000)


def test_too_many_parameters_are_refused() -> None:
    text = b"&".join(b"a%d=1" % n for n in range(300))
    with pytest.raises(ValueError, match="too many"):
        pairs(text, most=256)
    assert len(pairs(text, most=300)) == 300


@pytest.mark.parametrize(
    "query",
    [
        b"&" * (MAX_PARAMETERS - 1),
        b"&" * MAX_PARAMETERS,
        b"%41" * 2_000,
        b"%" * MAX_BROKEN_ESCAPES,
        b"%" * (MAX_BROKEN_ESCAPES + 1),
        b"%41" * 2_000 + b"%4" * MAX_BROKEN_ESCAPES,
        b"%41" * 2_000 + b"%4&" * MAX_BROKEN_ESCAPES,
        b"%4" * MAX_BROKEN_ESCAPES + b"%z",
    ],
)
def test_a_query_is_readable_if_its_parameters_can_be_read(query: bytes) -> None:
    try:
        pairs(query, most=MAX_PARAMETERS)
    except ValueError:
        assert not is_readable(query)
    else:
        assert is_readable(query)


NAMED = [
    b"ab",
    b"a%62",
    b"%61b",
    b"ab[]",
    b"ab%5b0]",
    b"abc",
    b"a+b",
    b"a b",
    b"=",
    b"=x%41+%zz",
    b"&",
    b"%",
    b"%4",
]


@given(st.lists(st.sampled_from(NAMED), max_size=14).map(b"".join))
def test_parameters_by_name_are_those_among_all_that_have_it(query: bytes) -> None:
    names = {b"ab", b"a b"}
    expected = [pair for pair in pairs(query, most=100) if pair[0].partition(b"[")[0] in names]
    assert pairs(query, most=100, names=names) == expected


PIECES = [
    b"to_k",
    b"%74o_k",
    b"to%5f%6b",
    b"to%5F%6B",
    b"to_",
    b"k",
    b"%",
    b"%7",
    b"=",
    b"=x%41+",
    b"&",
    b"&&",
    b"%26",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
@example(b"to_k&to_k=1")
@example(b"%74o%5f%6b")
def test_a_parameter_is_found_where_decoding_everything_finds_it(query: bytes) -> None:
    expected = next((value for name, value in pairs(query, most=100) if name == b"to_k"), None)
    found = parameter(b"to_k").search(b"&" + query)
    value = None if found is None else unquoted((found[1] or b"").replace(b"+", b" "))
    assert value == expected
