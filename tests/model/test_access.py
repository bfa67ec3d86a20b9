"""Scopes: which exist, and what each allows."""

from __future__ import annotations

import pytest

from stormpetrel.model.access import SCOPES, covers, expand, new_token, parse_scopes, secret_hash


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("read", ("read",)),
        ("read write follow push", ("read", "write", "follow", "push")),
        ("read+write:statuses", ("read", "write:statuses")),
        ("  read\twrite\nread ", ("read", "write")),
        ("profile", ("profile",)),
        ("", ()),
        ("admin", None),
        ("read admin:write", None),
        ("READ", None),
        ("read:nothing", None),
        ("read,write", None),
        ("write:", None),
    ],
)
def test_which_scopes_a_text_asks_for(text: str, scopes: tuple[str, ...] | None) -> None:
    assert parse_scopes(text) == scopes


@pytest.mark.parametrize(
    ("granted", "allowed", "refused"),
    [
        (
            "read",
            ("read", "read:accounts", "read:statuses", "profile"),
            ("write", "write:statuses", "push", "follow"),
        ),
        ("write", ("write:statuses", "write:media"), ("read", "read:statuses", "profile", "push")),
        (
            "follow",
            ("read:follows", "write:blocks", "write:mutes"),
            ("read:accounts", "write:statuses", "write"),
        ),
        ("read:accounts", ("profile", "read:accounts"), ("read", "read:statuses")),
        ("profile", ("profile",), ("read:accounts", "read")),
        ("push", ("push",), ("read", "write")),
        ("write:statuses", ("write:statuses",), ("write", "write:media", "read:statuses")),
    ],
)
def test_what_a_scope_allows(granted: str, allowed: tuple[str, ...], refused: tuple[str, ...]) -> None:
    assert set(allowed) <= expand((granted,))
    assert not set(refused) & expand((granted,))
    assert all(covers((granted,), (scope,)) for scope in allowed)
    assert not any(covers((granted,), (scope,)) for scope in refused)


@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope_can_be_asked_for_covers_itself_and_its_own_expansion(scope: str) -> None:
    assert parse_scopes(scope) == (scope,)
    assert covers((scope,), (scope,))
    assert covers((scope,), tuple(expand((scope,))))
    assert expand(tuple(expand((scope,)))) == expand((scope,))


def test_many_narrow_scopes_do_not_add_up_to_the_wide_one() -> None:
    narrow = tuple(scope for scope in SCOPES if scope.startswith("write:"))
    assert not covers(narrow, ("write",))
    assert covers(("write",), narrow)
    assert covers(narrow, ())


def test_a_secret_is_kept_only_as_its_hash() -> None:
    assert len(secret_hash("token")) == 32
    assert secret_hash("token") != secret_hash("Token")


def test_a_token_never_begins_like_an_option():
    drawn = iter(["-5630WeuZw1", "--x", "a-b"])
    assert new_token(lambda: next(drawn)) == "a-b"
