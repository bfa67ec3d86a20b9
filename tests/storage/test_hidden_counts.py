"""Counts under concurrent writes: each count equals the length of its list. Each writer has its own
connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from stormpetrel.errors import Refusal
from stormpetrel.model.ids import IdMaker
from stormpetrel.model.moderation import COMMAND_LINE
from stormpetrel.model.post import Visibility
from stormpetrel.rules import deletion, moderation, posts, reactions, relationships
from stormpetrel.storage.engine.connection import connect
from stormpetrel.storage.engine.statement import sql
from tests.store import Store

WRITERS = 8
_POST = sql("SELECT replies_count, boosts_count, favourites_count FROM posts WHERE id = :id")
_ACCOUNT = sql("SELECT posts_count, followers_count, following_count FROM accounts WHERE id = :id")


def at_once(store: Store, act: Callable[[Store, int], Any]) -> None:
    """Run `act(store, n)` from WRITERS connections at the same time. A refusal is not an error."""
    barrier = threading.Barrier(WRITERS)
    failures: list[BaseException] = []

    def one(number: int) -> None:
        own = Store(store.url)
        own.connection.close()
        # A separate slot of ids, as each process has.
        own.connection = connect(store.url, ids=IdMaker(number + 2))
        own.now_ms = store.now_ms + 1
        try:
            barrier.wait()
            for _ in range(20):
                try:
                    act(own, number)
                    return
                except Refusal:
                    return
                except Exception as error:
                    if type(error).__name__ not in (
                        "DeadlockDetected",
                        "SerializationFailure",
                        "UniqueViolation",
                    ):
                        raise
        except BaseException as error:
            failures.append(error)
        finally:
            own.connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def counts(store: Store, statement: Any, id_: int) -> tuple[int, ...]:
    row = store.connection.one(statement, id=id_)
    assert row is not None
    return tuple(row)


def delete(store: Store, author: int, post: int) -> None:
    store.do(posts.delete_post, author_id=author, post_id=post, now_ms=store.now_ms)


def test_a_post_that_is_deleted_eight_times_at_once_is_counted_once(store: Store) -> None:
    author = store.person("author")
    parent = store.post(author)
    reply = store.post(author, in_reply_to_id=parent)
    kept = store.post(author, in_reply_to_id=parent)
    at_once(store, lambda own, _: delete(own, author, reply))
    assert counts(store, _POST, parent)[0] == 1
    assert counts(store, _ACCOUNT, author)[0] == 2
    delete(store, author, kept)
    assert counts(store, _POST, parent)[0] == 0


@pytest.mark.parametrize("what", ["favourite", "boost", "follow"])
def test_what_is_done_and_undone_eight_times_at_once_is_counted_once(store: Store, what: str) -> None:
    author, fan = store.person("author"), store.person("fan")
    post = store.post(author)
    doing: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = {
        "favourite": (reactions.favourite, reactions.unfavourite, {"account_id": fan, "post_id": post}),
        "boost": (reactions.boost, posts.unboost, {"account_id": fan, "post_id": post}),
        "follow": (relationships.follow, relationships.unfollow, {"follower_id": fan, "followed_id": author}),
    }
    do, undo, named = doing[what]
    more = {"favourite": {}, "boost": {"visibility": None}, "follow": {"show_boosts": None, "notify": None}}[
        what
    ]

    def figures() -> tuple[int, ...]:
        return (
            *counts(store, _POST, post),
            counts(store, _ACCOUNT, author)[1],
            counts(store, _ACCOUNT, fan)[2],
        )

    before = figures()
    at_once(store, lambda own, _: own.do(do, **named, **more, now_ms=own.now_ms))
    assert sum(figures()) - sum(before) == (2 if what == "follow" else 1)
    at_once(store, lambda own, _: own.do(undo, **named, now_ms=own.now_ms))
    assert figures() == before


def test_hidden_accounts_are_counted_nowhere_and_come_back(store: Store) -> None:
    author, fan, friend = store.person("author"), store.person("fan"), store.person("friend")
    post = store.post(author)
    store.post(fan, in_reply_to_id=post)
    store.do(reactions.favourite, account_id=fan, post_id=post, now_ms=store.now_ms)
    store.do(reactions.boost, account_id=fan, post_id=post, visibility=None, now_ms=store.now_ms)
    for one, other in ((fan, author), (author, fan), (friend, fan)):
        store.do(
            relationships.follow,
            follower_id=one,
            followed_id=other,
            show_boosts=None,
            notify=None,
            now_ms=store.now_ms,
        )
    shown = (counts(store, _POST, post), counts(store, _ACCOUNT, author), counts(store, _ACCOUNT, friend))
    assert shown == ((1, 1, 1), (1, 1, 1), (0, 0, 1))
    store.do(moderation.suspend, COMMAND_LINE, account_id=fan, reason="x", now_ms=store.now_ms)
    hidden = (counts(store, _POST, post), counts(store, _ACCOUNT, author), counts(store, _ACCOUNT, friend))
    assert hidden == ((0, 0, 0), (1, 0, 0), (0, 0, 0))
    # The suspension has already taken back the counts of follows that others undo in the meantime.
    store.do(relationships.unfollow, follower_id=friend, followed_id=fan, now_ms=store.now_ms)
    assert counts(store, _ACCOUNT, friend) == (0, 0, 0)
    store.do(moderation.unsuspend, COMMAND_LINE, account_id=fan, reason="x", now_ms=store.now_ms)
    assert (counts(store, _POST, post), counts(store, _ACCOUNT, author)) == ((1, 1, 1), (1, 1, 1))
    # Deleted: the counts change at once, and stay when the rows are erased.
    store.do(deletion.delete_account, account_id=fan, now_ms=store.now_ms)
    for _ in range(3):
        assert (counts(store, _POST, post), counts(store, _ACCOUNT, author)) == ((0, 0, 0), (1, 0, 0))
        store.do(deletion.erase_some, account_id=fan, now_ms=store.now_ms)


def test_direct_posts_and_hidden_replies_are_not_counted_for_others(store: Store) -> None:
    author, friend = store.person("author"), store.person("friend")
    post = store.post(author)
    replies = [
        store.post(friend, f"@{store.name(author)}", in_reply_to_id=post, visibility=visibility)
        for visibility in Visibility
    ]
    assert counts(store, _POST, post)[0] == 2
    assert counts(store, _ACCOUNT, friend)[0] == 3
    for reply in replies:
        delete(store, friend, reply)
    assert counts(store, _POST, post)[0] == 0
    assert counts(store, _ACCOUNT, friend)[0] == 0
