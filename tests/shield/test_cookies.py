"""The session cookie: only a minted value is accepted."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.shield.cookies import (
    HOST_PREFIX,
    MAX_COOKIES,
    TEXT_CHARACTERS,
    SessionClaims,
    mint,
    pairs,
    read,
    sent_name,
    without_prefix,
)

SECRET = b"0123456789abcdef"
NUMBERS = st.integers(0, 2**64 - 1)


@given(
    session_id=NUMBERS, account_id=NUMBERS, issued_at_s=NUMBERS, secret=st.binary(min_size=16, max_size=100)
)
def test_what_is_minted_is_read(session_id: int, account_id: int, issued_at_s: int, secret: bytes) -> None:
    text = mint(secret, session_id=session_id, account_id=account_id, issued_at_s=issued_at_s)
    assert len(text) == TEXT_CHARACTERS
    assert read(secret, text) == SessionClaims(session_id, account_id, issued_at_s)
    assert read(secret + b"x", text) is None


@given(place=st.integers(0, TEXT_CHARACTERS - 1), character=st.characters(codec="latin-1"))
def test_one_changed_character_makes_it_nobodys(place: int, character: str) -> None:
    text = mint(SECRET, session_id=1, account_id=2, issued_at_s=3)
    changed = text[:place] + character + text[place + 1 :]
    assert (read(SECRET, changed) is None) == (changed != text)


@given(st.one_of(st.text(max_size=80), st.binary(max_size=80)))
def test_anything_else_is_nobodys(text: str | bytes) -> None:
    assert read(SECRET, text) is None


@pytest.mark.parametrize("form", ["{}=", "{}==", " {}", "{}\n", "", "A" * 54, "A" * 10_000])
def test_one_cookie_has_one_spelling(form: str) -> None:
    assert read(SECRET, form.format(mint(SECRET, session_id=1, account_id=2, issued_at_s=3))) is None


def test_the_bits_that_decoding_ignores_and_the_other_alphabet_are_other_spellings() -> None:
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    for number in range(200):
        text = mint(SECRET, session_id=number, account_id=2**64 - 1 - number, issued_at_s=number * 10**15)
        place = letters.index(text[-1])
        assert place % 16 == 0
        for other in range(1, 16):
            assert read(SECRET, text[:-1] + letters[place + other]) is None
        other_alphabet = text.translate(str.maketrans("-_", "+/"))
        assert (read(SECRET, other_alphabet) is None) == (other_alphabet != text)
        assert read(SECRET, text) == SessionClaims(number, 2**64 - 1 - number, number * 10**15)


def test_a_short_secret_and_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        mint(b"short", session_id=1, account_id=2, issued_at_s=3)
    with pytest.raises(ValueError, match="whole numbers"):
        mint(SECRET, session_id=-1, account_id=2, issued_at_s=3)


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (b"", b""),
        (b"a=b", b"a=b"),
        (b"__Host-stormpetrel_session=x", b"stormpetrel_session=x"),
        (
            b"a=b; __Host-stormpetrel_session=x; __Host-stormpetrel_form=y; c=d",
            b"a=b; stormpetrel_session=x; stormpetrel_form=y; c=d",
        ),
        (b"stormpetrel_session=evil", b""),
        (b"stormpetrel_session=evil; __Host-stormpetrel_session=x", b"; stormpetrel_session=x"),
        (b"__Host-stormpetrel_session=x;stormpetrel_session=evil", b"stormpetrel_session=x"),
        (b"a=b;\t stormpetrel_session=evil ;stormpetrel_device=evil; c=d", b"a=b; c=d"),
        (b"__host-stormpetrel_session=evil", b"__host-stormpetrel_session=evil"),
        (b"x__Host-stormpetrel_session=evil", b"xstormpetrel_session=evil"),
    ],
)
def test_behind_https_only_prefixed_cookies_of_ours_count(header: bytes, kept: bytes) -> None:
    assert without_prefix(header) == kept


_PIECES = (
    b"stormpetrel_",
    b"__Host-",
    b"__host-",
    b"form",
    b"a",
    b"=",
    b";",
    b",",
    b'"',
    b" ",
    b"\t",
    b"\xa0",
    b"\x85",
)


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map(b"".join))
def test_no_way_to_write_a_cookie_makes_one_without_prefix_ours(header: bytes) -> None:
    own = {name for name, _ in pairs(without_prefix(header)) if name.startswith(b"stormpetrel_")}
    sent = {name for name, _ in pairs(header)}
    assert own == {
        name.removeprefix(HOST_PREFIX.encode()) for name in sent if name.startswith(b"__Host-stormpetrel_")
    }


def test_a_cookie_ends_at_a_semicolon_only() -> None:
    assert list(pairs(b'a="b,c=d" ;\xa0e=f; nothing;g=')) == [(b"a", b"b,c=d"), (b"\xa0e", b"f"), (b"g", b"")]


def _all_pairs(header: bytes) -> list[tuple[bytes, bytes]]:
    """Return every name and value, however many there are."""
    found = []
    for part in header.split(b";"):
        name, equals, value = part.partition(b"=")
        if equals:
            value = value.strip(b" \t")
            if len(value) >= 2 and value[:1] == b'"' == value[-1:]:
                value = value[1:-1]
            found.append((name.strip(b" \t"), value))
    return found


@given(st.lists(st.sampled_from([*_PIECES, b"; a=b", b"; a%d=b;" % 7]), max_size=60).map(b"".join))
def test_a_browsers_cookies_are_all_read(header: bytes) -> None:
    browsers_most = 180
    more = b"".join(b"; c%d=%d" % (number, number) for number in range(browsers_most - header.count(b";")))
    assert list(pairs(header + more)) == _all_pairs(header + more)


def test_no_more_cookies_are_read_than_a_header_may_have() -> None:
    header = b"; ".join(b"a%d=%d" % (number, number) for number in range(MAX_COOKIES + 50))
    assert list(pairs(header)) == _all_pairs(header)[:MAX_COOKIES]
    assert list(pairs(b";" * 16_000)) == []


@pytest.mark.parametrize("separator", [b";", b"; "])
@pytest.mark.parametrize("count", [0, 1, MAX_COOKIES - 1, MAX_COOKIES, MAX_COOKIES + 1, 2_000])
def test_cookies_of_a_neighbouring_subdomain_hide_none_of_ours(separator, count):
    others = [b"a%d=stormpetrel_" % number for number in range(count)]
    ours = [b"__Host-stormpetrel_session=s", b"__Host-stormpetrel_visitor=v"]
    after = [b"b%d=%d" % (number, number) for number in range(300)]
    header = without_prefix(separator.join([*others, *ours, *after]))
    found = dict(pairs(header))
    assert found[b"stormpetrel_session"] == b"s"
    assert found[b"stormpetrel_visitor"] == b"v"


def test_a_neighbouring_subdomain_puts_no_cookie_of_ours_after_many_of_its_own():
    others = [b"a%d=1" % number for number in range(300)]
    for forged in (b"stormpetrel_session=x", b'b="; stormpetrel_session=x"', b"b=1, stormpetrel_session=x"):
        header = without_prefix(b"; ".join([*others, forged, b"__Host-stormpetrel_visitor=v"]))
        found = dict(pairs(header))
        assert b"stormpetrel_session" not in found
        assert found[b"stormpetrel_visitor"] == b"v"


def test_the_prefix_is_for_https() -> None:
    assert sent_name("stormpetrel_form", secure=True) == "__Host-stormpetrel_form"
    assert sent_name("stormpetrel_form", secure=False) == "stormpetrel_form"
