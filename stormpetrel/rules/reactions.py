"""Reactions to a post: boosts, favourites and bookmarks. A boost is a post: rules/posts.py deletes it (`unboost`)."""

from __future__ import annotations

from stormpetrel.errors import Forbidden
from stormpetrel.model.account import AccountState
from stormpetrel.model.event import AccountChanged, PostChanged, PostCreated, Reacted
from stormpetrel.model.notification import Kind
from stormpetrel.model.post import (
    Visibility,
)
from stormpetrel.rules import notifications, posts
from stormpetrel.storage import accounts
from stormpetrel.storage import posts as stored
from stormpetrel.storage.engine.connection import Connection


def boost(
    connection: Connection, *, account_id: int, post_id: int, visibility: Visibility | None, now_ms: int
) -> int:
    """Boost a post, or the original of a boost; return the boost's id, even if it was boosted before.

    Raise NotFound if the account may not see the post, Forbidden if the post is not public or unlisted, or if
    the account may not post.
    """
    if accounts.state(connection, account_id=account_id) is not AccountState.ACTIVE:
        raise Forbidden("This account is not allowed to post")
    original = posts.visible_original(connection, reader_id=account_id, post_id=post_id, now_ms=now_ms)
    if original.visibility not in (Visibility.PUBLIC, Visibility.UNLISTED):
        raise Forbidden("This post is not public, so it cannot be boosted")
    known = stored.boost_id(connection, post_id=original.id, account_id=account_id)
    if known is not None:
        return known
    # A boost never has a wider audience than its original.
    wanted = Visibility.PUBLIC if visibility is None or visibility is Visibility.DIRECT else visibility
    boost_id = connection.new_id(now_ms)
    stored.insert_boost(
        connection,
        boost_id=boost_id,
        author_id=account_id,
        visibility=max(wanted, original.visibility),
        boost_of_id=original.id,
        now_ms=now_ms,
    )
    stored.add_boosts(connection, post_id=original.id, delta=1)
    accounts.count_new_post(connection, account_id=account_id, last_post_at_ms=0, now_ms=now_ms)
    notifications.notify(
        connection,
        account_id=original.author_id,
        kind=Kind.BOOST,
        from_account_id=account_id,
        post_id=original.id,
        now_ms=now_ms,
    )
    connection.tell(
        PostCreated(
            post_id=boost_id,
            author_id=account_id,
            visibility=int(max(wanted, original.visibility)),
            boost_of_id=original.id,
            boost_author_id=original.author_id,
        )
    )
    connection.tell(PostChanged(original.id, original.author_id))
    connection.tell(AccountChanged(account_id))
    connection.tell(Reacted(account_id, original.id))
    return boost_id


def favourite(connection: Connection, *, account_id: int, post_id: int, now_ms: int) -> None:
    """Favourite a post, once. Raise NotFound if the account may not see it."""
    found = posts.visible_original(connection, reader_id=account_id, post_id=post_id, now_ms=now_ms)
    if not stored.put_favourite(
        connection, id=connection.new_id(now_ms), account_id=account_id, post_id=found.id
    ):
        return
    stored.add_favourites(connection, post_id=found.id, delta=1)
    notifications.notify(
        connection,
        account_id=found.author_id,
        kind=Kind.FAVOURITE,
        from_account_id=account_id,
        post_id=found.id,
        now_ms=now_ms,
    )
    connection.tell(PostChanged(found.id, found.author_id))
    connection.tell(Reacted(account_id, found.id))


def unfavourite(connection: Connection, *, account_id: int, post_id: int, now_ms: int) -> None:
    """Remove a favourite. If there is none, raise NotFound where the account may not see the post."""
    found = posts.original_of(connection, post_id)
    if not stored.delete_favourite(connection, account_id=account_id, post_id=found.id):
        posts.require_visible(connection, reader_id=account_id, post_id=found.id, now_ms=now_ms)
        return
    stored.add_favourites(connection, post_id=found.id, delta=-1)
    notifications.withdraw(
        connection,
        account_id=found.author_id,
        kind=Kind.FAVOURITE,
        from_account_id=account_id,
        post_id=found.id,
    )
    connection.tell(PostChanged(found.id, found.author_id))
    connection.tell(Reacted(account_id, found.id))


def bookmark(connection: Connection, *, account_id: int, post_id: int, now_ms: int) -> None:
    """Bookmark a post, without notifying anyone. Raise NotFound if the account may not see it."""
    found = posts.visible_original(connection, reader_id=account_id, post_id=post_id, now_ms=now_ms)
    if stored.put_bookmark(connection, id=connection.new_id(now_ms), account_id=account_id, post_id=found.id):
        connection.tell(Reacted(account_id, found.id))


def unbookmark(connection: Connection, *, account_id: int, post_id: int, now_ms: int) -> None:
    """Remove a bookmark. If there is none, raise NotFound where the account may not see the post."""
    found = posts.original_of(connection, post_id)
    if not stored.delete_bookmark(connection, account_id=account_id, post_id=found.id):
        posts.require_visible(connection, reader_id=account_id, post_id=found.id, now_ms=now_ms)
        return
    connection.tell(Reacted(account_id, found.id))
