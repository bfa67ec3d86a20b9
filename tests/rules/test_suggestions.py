"""Follow suggestions: which accounts are suggested, why, and which never are; on both stores."""

from __future__ import annotations

import pytest

from stormpetrel.errors import NotFound
from stormpetrel.model.account import ProfileChange
from stormpetrel.rules import accounts, suggestions
from stormpetrel.storage import accounts as stored_accounts
from tests.community import block, follow, mute
from tests.store import Store

FRIENDS, MOST = ("friends_of_friends",), ("most_followed",)


def suggested(store: Store, reader: int, limit: int = 40) -> dict[int, tuple[str, ...]]:
    """Return account → reasons, the best suggestion first."""
    return dict(suggestions.suggestions(store.connection, reader_id=reader, limit=limit, now_ms=store.now_ms))


def test_friends_of_friends_come_first_then_who_is_followed_most(store: Store) -> None:
    reader, friend, other, close, far, star, alone = (store.person() for _ in range(7))
    fans = [store.person() for _ in range(3)]
    for who, target in ((reader, friend), (reader, other), (friend, close), (other, close), (other, far)):
        follow(store, who, target)
    for fan in fans:
        follow(store, fan, star)
    found = suggested(store, reader)
    assert list(found) == [close, far, star]
    assert found == {close: FRIENDS + MOST, far: FRIENDS + MOST, star: MOST}
    assert list(suggested(store, reader, limit=1)) == [close]
    assert list(suggested(store, alone, limit=1)) == [star]


def test_who_is_there_already_or_unwanted_is_never_suggested(store: Store) -> None:
    reader, friend = store.person(), store.person()
    follow(store, reader, friend)
    kinds = (
        *("wanted", "followed", "requested", "blocked", "blocking", "muted"),
        *("dismissed", "silenced", "hidden", "suspended"),
    )
    people = {kind: store.person() for kind in kinds}
    for account_id in people.values():
        follow(store, friend, account_id)
    assert set(suggested(store, reader)) == set(people.values())
    follow(store, reader, people["followed"])
    for kind, change in (
        ("requested", ProfileChange(locked=True)),
        ("hidden", ProfileChange(discoverable=False)),
    ):
        store.do(accounts.update_profile, account_id=people[kind], change=change, now_ms=store.now_ms)
    follow(store, reader, people["requested"])
    block(store, reader, people["blocked"])
    block(store, people["blocking"], reader)
    mute(store, reader, people["muted"], duration_s=60)
    store.do(suggestions.dismiss, account_id=reader, target_id=people["dismissed"])
    store.do(suggestions.dismiss, account_id=reader, target_id=people["dismissed"])
    store.do(stored_accounts.set_silenced, account_id=people["silenced"], silenced=True)
    store.do(accounts.suspend, account_id=people["suspended"])
    assert set(suggested(store, reader)) == {people["wanted"]}
    # A dismissal affects only that reader, and a mute expires.
    assert people["dismissed"] in suggested(store, people["wanted"])
    store.now_ms += 60_001
    assert set(suggested(store, reader)) == {people["wanted"], people["muted"]}


def test_only_the_newest_follows_of_each_are_looked_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormpetrel.storage.suggestions.FOLLOWS_MOST", 2)
    monkeypatch.setattr("stormpetrel.storage.suggestions.POPULAR_MOST", 0)
    reader = store.person()
    friends = [store.person() for _ in range(3)]
    liked = [store.person() for _ in range(3)]
    others = [store.person() for _ in range(3)]
    for friend in friends:
        follow(store, reader, friend)
    for account_id in liked:
        follow(store, friends[-1], account_id)
    for account_id in others:
        follow(store, friends[0], account_id)
    assert set(suggested(store, reader)) == set(liked[1:])


def test_nobody_can_be_dismissed_who_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound):
        store.do(suggestions.dismiss, account_id=store.person(), target_id=5)
