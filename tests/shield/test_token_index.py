"""The index of members' tokens: which account a token that was not looked up yet queues as."""

from __future__ import annotations

import hashlib

from stormpetrel.shield.identify import Credentials, Identity, TokenTable, address_identity, identify
from stormpetrel.shield.token_index import TokenIndex

ADDRESS = "192.0.2.7"


def digest(number: int) -> bytes:
    return hashlib.sha256(b"token %d" % number).digest()


def filled(count: int) -> TokenIndex:
    index = TokenIndex()
    index.fill((digest(number), 1_000 + number, 5_000 + number) for number in range(count))
    return index


def identity(tokens: TokenTable, token_hash: bytes) -> Identity:
    visit = identify(
        Credentials(token_hash, None),
        stranger=address_identity(ADDRESS),
        address=ADDRESS,
        tokens=tokens,
        secret=b"s" * 16,
        at_s=1.0,
    )
    assert visit.token is None, "an entry of the index gives no access"
    return visit.identity


def test_each_token_is_found_and_no_other() -> None:
    index = filled(1_000)
    assert len(index) == 1_000
    assert [index.find(digest(number)) for number in (0, 500, 999)] == [
        (1_000, 5_000),
        (1_500, 5_500),
        (1_999, 5_999),
    ]
    assert index.find(digest(1_000)) is None
    assert TokenIndex().find(digest(1)) is None


def test_a_token_from_before_the_start_queues_as_its_account_until_it_is_looked_up() -> None:
    tokens = TokenTable()
    tokens.index = filled(10)
    assert identity(tokens, digest(3)) == Identity("account", 1_003)
    assert identity(tokens, digest(30)) == address_identity(ADDRESS)
    entry = tokens.get(digest(3), 1.0)
    assert entry is not None
    assert (entry.created_at_ms, entry.is_fresh(1.0)) == (5_003, False)


def test_a_token_that_ended_since_does_not_queue_as_its_account() -> None:
    tokens = TokenTable()
    tokens.index = filled(10)
    for number in (1, 2):
        assert identity(tokens, digest(number)).kind == "account"
    tokens.forget(digest(1))
    tokens.forget_account(1_002)
    tokens.forget_account(1_003)
    assert {identity(tokens, digest(number)).kind for number in (1, 2, 3)} == {"address"}
    assert identity(tokens, digest(4)).kind == "account"
