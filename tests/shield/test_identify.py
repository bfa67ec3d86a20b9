"""The identity of a request, and the bounded tables behind it."""

from __future__ import annotations

import hashlib

import pytest

from stormpetrel.shield.cookies import mint
from stormpetrel.shield.identify import (
    FRESH_S,
    UNKNOWN_S,
    Credentials,
    Identity,
    TokenEntry,
    TokenTable,
    address_identity,
    credentials_of,
    identify,
)

SECRET = b"0123456789abcdef"
STRANGER = Identity("address", "192.0.2.1")
COOKIE = mint(SECRET, session_id=3, account_id=4, issued_at_s=5).encode()


def hashed(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


@pytest.mark.parametrize(
    ("authorization", "cookie", "query", "expected"),
    [
        (None, None, b"", None),
        (None, b"theme=dark", b"q=access", None),
        (None, b"not_stormpetrel_session=x", b"", None),
        (b"Bearer abc", None, b"", Credentials(hashed(b"abc"), None)),
        (b"bEaReR   abc ", None, b"", Credentials(hashed(b"abc"), None)),
        (b"Bearer", None, b"", Credentials(None, None)),
        (b"Basic abc", None, b"", Credentials(None, None)),
        (b"Bearer " + b"a" * 513, None, b"", Credentials(None, None)),
        (None, None, b"a=b&access_token=abc", Credentials(hashed(b"abc"), None)),
        (None, None, b"access%5Ftoken=a%62c", Credentials(hashed(b"abc"), None)),
        (None, None, b"access_token=", Credentials(None, None)),
        (None, None, b"access_token", Credentials(None, None)),
        (None, None, b"access_tokens=abc&my_access_token=abc&a=access_token", None),
        (None, None, b"a=1&" * 400 + b"%61ccess_token=a+b", Credentials(hashed(b"a b"), None)),
        (None, None, b"access_token=" + b"%" * 1001, Credentials(None, None)),
        (b"Bearer abc", None, b"access_token=other", Credentials(hashed(b"abc"), None)),
        (None, b"a=b; stormpetrel_session=xyz", b"", Credentials(None, b"xyz")),
        (None, b'stormpetrel_session="xyz"', b"", Credentials(None, b"xyz")),
        (None, b"stormpetrel_session=", b"", Credentials(None, b"")),
    ],
)
def test_credentials_in_a_head(
    authorization: bytes | None, cookie: bytes | None, query: bytes, expected: Credentials | None
) -> None:
    assert credentials_of(authorization, cookie, query) == expected


def who(credentials: Credentials | None, tokens: TokenTable, at_s: float = 0.0) -> Identity:
    return identify(
        credentials, stranger=STRANGER, address="192.0.2.1", tokens=tokens, secret=SECRET, at_s=at_s
    ).identity


def test_a_known_token_speaks_for_its_account_even_when_it_is_due_to_be_looked_up_again() -> None:
    tokens = TokenTable()
    entry = TokenEntry(9, 1, 100.0, None)
    tokens.put(hashed(b"abc"), entry)
    credentials = Credentials(hashed(b"abc"), None)
    for at_s, fresh in ((100.0, entry), (100.0 + FRESH_S, None)):
        visit = identify(
            credentials, stranger=STRANGER, address="192.0.2.1", tokens=tokens, secret=SECRET, at_s=at_s
        )
        assert visit.identity == Identity("account", 9)
        assert visit.token == fresh


def test_an_unknown_token_or_an_applications_own_is_a_stranger_of_its_address() -> None:
    tokens = TokenTable()
    tokens.put(hashed(b"app"), TokenEntry(None, 1, 0.0, None))
    assert who(Credentials(hashed(b"nobody"), None), tokens) == STRANGER
    assert who(Credentials(hashed(b"app"), None), tokens) == STRANGER
    assert who(None, tokens) == STRANGER


def test_a_token_of_an_unconfirmed_account_is_a_stranger_and_ends_with_the_accounts_others() -> None:
    tokens = TokenTable()
    entry = TokenEntry(9, 1, 0.0, "claims", is_confirmed=False)
    tokens.put(hashed(b"new"), entry)
    assert who(Credentials(hashed(b"new"), None), tokens) == STRANGER
    assert tokens.get(hashed(b"new"), 1.0) == entry
    tokens.forget_account(9)
    assert tokens.get(hashed(b"new"), 1.0) is None


def test_a_session_cookie_speaks_for_its_account_and_a_forged_one_for_nobody() -> None:
    assert who(Credentials(None, COOKIE), TokenTable()) == Identity("account", 4)
    assert who(Credentials(None, COOKIE[:-1] + b"_"), TokenTable()) == STRANGER


@pytest.mark.parametrize(
    ("address", "value"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8::1", "2001:db8:0:0::/64"),
        ("::1", "0:0:0:0::/64"),
        ("fe80::1%eth0", "fe80:0:0:0::/64"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
    ],
)
def test_the_strangers_of_an_address_are_those_of_its_64_in_ipv6(address: str, value: str) -> None:
    assert address_identity(address) == Identity("address", value)


def test_the_token_table_and_its_unknown_hashes_are_bounded() -> None:
    tokens = TokenTable(capacity=10, unknown_capacity=5)
    for n in range(50):
        tokens.put(hashed(b"%d" % n), TokenEntry(n % 3, 1, 0.0, None))
        tokens.mark_unknown(hashed(b"u%d" % n), 0.0)
    assert len(tokens) == 10
    assert tokens.unknown_count == 5
    assert tokens.get(hashed(b"39"), 0.0) is None
    assert tokens.get(hashed(b"40"), 0.0) is not None


def test_tokens_are_forgotten_one_by_one_by_account_and_all_at_once() -> None:
    tokens = TokenTable()
    for n in range(6):
        tokens.put(hashed(b"%d" % n), TokenEntry(n % 2, 1, 0.0, None))
    tokens.forget(hashed(b"0"))
    tokens.forget(hashed(b"0"))
    tokens.forget_account(1)
    tokens.forget_account(77)
    assert len(tokens) == 2
    tokens.clear()
    assert len(tokens) == 0


def test_an_unknown_token_is_unknown_for_a_while_and_at_once_known_when_it_is_made() -> None:
    tokens = TokenTable()
    tokens.mark_unknown(b"h", 1.0)
    assert tokens.is_unknown(b"h", 1.0 + UNKNOWN_S - 0.1)
    assert not tokens.is_unknown(b"h", 1.0 + UNKNOWN_S)
    tokens.mark_unknown(b"h", 20.0)
    tokens.forget_all_unknown()
    assert not tokens.is_unknown(b"h", 20.0)
    tokens.mark_unknown(b"h", 20.0)
    tokens.put(b"h", TokenEntry(1, 1, 20.0, None))
    assert not tokens.is_unknown(b"h", 20.0)
