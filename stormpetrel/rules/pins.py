"""Posts that an author pins to their profile, and threads that an account has muted."""

from __future__ import annotations

from stormpetrel.errors import Invalid
from stormpetrel.model.event import AccountChanged, Reacted
from stormpetrel.model.post import Visibility
from stormpetrel.rules import posts
from stormpetrel.storage import pins as stored
from stormpetrel.storage.engine.connection import Connection

MAX_PINNED = 5


def pin(connection: Connection, *, account_id: int, post_id: int, now_ms: int) -> None:
    """Pin the account's own post.

    Raise NotFound if it may not see the post, Invalid if the post cannot be pinned.
    """
    post = posts.post(connection, reader_id=account_id, post_id=post_id, now_ms=now_ms)
    if post.author_id != account_id:
        raise Invalid("Validation failed: Someone else's post cannot be pinned")
    if post.boost_of_id is not None:
        raise Invalid("Validation failed: A boost cannot be pinned")
    if post.visibility is Visibility.DIRECT:
        raise Invalid("Validation failed: Posts that are only visible to mentioned users cannot be pinned")
    stored.lock(connection, account_id=account_id)
    pinned = stored.pinned(connection, account_id=account_id)
    if post_id in pinned:
        return
    if len(pinned) >= MAX_PINNED:
        raise Invalid("Validation failed: You have already pinned the maximum number of posts")
    stored.put(connection, id=connection.new_id(now_ms), account_id=account_id, post_id=post_id)
    connection.tell(Reacted(account_id, post_id))
    connection.tell(AccountChanged(account_id))


def unpin(connection: Connection, *, account_id: int, post_id: int, now_ms: int) -> None:
    """Unpin the post, if it is pinned. Raise NotFound if the account may not see it."""
    posts.post(connection, reader_id=account_id, post_id=post_id, now_ms=now_ms)
    if stored.delete(connection, account_id=account_id, post_id=post_id):
        connection.tell(Reacted(account_id, post_id))
        connection.tell(AccountChanged(account_id))


def mute_thread(connection: Connection, *, account_id: int, post_id: int, now_ms: int) -> None:
    """Stop notifying the account of the post's thread. Raise NotFound if the account may not see the post."""
    post = posts.visible_original(connection, reader_id=account_id, post_id=post_id, now_ms=now_ms)
    if stored.mute(connection, account_id=account_id, thread_id=post.thread_id or post.id):
        connection.tell(Reacted(account_id, 0))


def unmute_thread(connection: Connection, *, account_id: int, post_id: int, now_ms: int) -> None:
    """Notify the account of the thread again. Raise NotFound if the account may not see the post."""
    post = posts.visible_original(connection, reader_id=account_id, post_id=post_id, now_ms=now_ms)
    if stored.unmute(connection, account_id=account_id, thread_id=post.thread_id or post.id):
        connection.tell(Reacted(account_id, 0))
