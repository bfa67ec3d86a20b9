"""Direct posts by conversation: what is in one, for whom, and what one does with it.

A conversation is the direct posts of a thread, of which each account has those that it wrote or is mentioned in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from stormpetrel.errors import NotFound
from stormpetrel.model.conversation import Conversation
from stormpetrel.model.event import ConversationChanged
from stormpetrel.model.page import Page
from stormpetrel.model.post import Post, Visibility
from stormpetrel.storage import conversations as stored
from stormpetrel.storage import pins
from stormpetrel.storage.connection import Connection
from stormpetrel.storage.hot import hot

COUNTED_CONVERSATIONS = 40
"""Unread conversations are counted among so many that have the newest posts: every page of a member asks."""


def conversations(connection: Connection, *, account_id: int, page: Page, now_ms: int) -> list[Conversation]:
    """The account's conversations, the one with the newest post first; paged by `place`.

    What the account is not shown (by whom it blocks or mutes, by silenced strangers, hidden by moderators) does
    not count, and a conversation without anything else is left out.
    """
    found = stored.conversations(connection, account_id=account_id, page=page, now_ms=now_ms)
    return _with_participants(connection, account_id, found)


@hot
def unread_count(connection: Connection, *, account_id: int, limit: int, now_ms: int) -> int:
    """Counts the unread ones among what `conversations` lists first, up to `limit`."""
    return stored.unread_count(
        connection, account_id=account_id, newest=COUNTED_CONVERSATIONS, limit=limit, now_ms=now_ms
    )


def conversation(
    connection: Connection, *, account_id: int, conversation_id: int, now_ms: int
) -> Conversation:
    """One of the account's own, if `conversations` would list it. Raises NotFound."""
    found = stored.conversation(connection, account_id=account_id, thread_id=conversation_id, now_ms=now_ms)
    if found is None or found.shown_id is None:
        raise NotFound
    return _with_participants(connection, account_id, [found])[0]


def _with_participants(
    connection: Connection, account_id: int, found: list[stored.Stored]
) -> list[Conversation]:
    shown = {one.thread_id: one.shown_id for one in found if one.shown_id is not None}
    between = stored.between(connection, post_ids=list(shown.values())) if shown else {}
    made = []
    for one in found:
        last_post_id = shown[one.thread_id]
        people = between[last_post_id]
        made.append(
            Conversation(
                id=one.thread_id,
                account_id=account_id,
                place=one.place,
                last_post_id=last_post_id,
                participant_ids=tuple(other for other in people if other != account_id) or (account_id,),
                unread=people[0] != account_id and last_post_id > one.read_to_id,
            )
        )
    return made


def mark_read(connection: Connection, *, account_id: int, conversation_id: int, now_ms: int) -> Conversation:
    """All of it is read, until somebody else posts in it. Raises NotFound as `conversation` does."""
    conversation(connection, account_id=account_id, conversation_id=conversation_id, now_ms=now_ms)
    if stored.mark_read(connection, account_id=account_id, thread_id=conversation_id):
        connection.tell(ConversationChanged(account_id, conversation_id))
    return conversation(connection, account_id=account_id, conversation_id=conversation_id, now_ms=now_ms)


def mark_unread(
    connection: Connection, *, account_id: int, conversation_id: int, now_ms: int
) -> Conversation:
    """Let the newest post count as unread, unless it is the account's own. Raises NotFound as `conversation`."""
    found = conversation(connection, account_id=account_id, conversation_id=conversation_id, now_ms=now_ms)
    if stored.mark_unread(
        connection, account_id=account_id, thread_id=conversation_id, post_id=found.last_post_id
    ):
        connection.tell(ConversationChanged(account_id, conversation_id))
    return conversation(connection, account_id=account_id, conversation_id=conversation_id, now_ms=now_ms)


def remove(connection: Connection, *, account_id: int, conversation_id: int) -> None:
    """Takes it out of the account's list, with what is in it so far; others keep theirs, and posts stay.

    A new post brings it back, with that post alone. Raises NotFound where there is none.
    """
    if not stored.delete(connection, account_id=account_id, thread_id=conversation_id):
        raise NotFound


# What posts do to conversations ----------------------------------------------------------------------------


def add_post(connection: Connection, *, post: Post, account_ids: Collection[int]) -> None:
    """A direct post reaches the accounts, of whom its author may be one. Nothing happens for other posts.

    As with notifications, there is nothing between those of whom one blocks the other. Who muted the thread has the
    post, and has read it.
    """
    if post.visibility is not Visibility.DIRECT:
        return
    others = [account_id for account_id in account_ids if account_id != post.author_id]
    blocked = stored.blocked(connection, author_id=post.author_id, account_ids=others) if others else set()
    thread_id = post.thread_id or post.id
    # In one order everywhere, so that two such transactions cannot wait for each other.
    for account_id in sorted(set(account_ids) - blocked):
        stored.put(
            connection,
            account_id=account_id,
            thread_id=thread_id,
            post_id=post.id,
            is_read=account_id == post.author_id
            or pins.mutes(connection, account_id=account_id, post_id=post.id),
        )
        connection.tell(ConversationChanged(account_id, thread_id, post.id))


def lock_of_post(connection: Connection, *, post_id: int) -> list[tuple[int, int]]:
    """Before a post is deleted: (account, thread) of the conversations it is in, which wait for `settle`."""
    found = stored.of_post(connection, post_id=post_id)
    for account_id, thread_id in found:
        stored.lock(connection, account_id=account_id, thread_id=thread_id)
    return found


def settle(connection: Connection, *, post_id: int, places: Iterable[tuple[int, int]]) -> None:
    """After it: what is last there now; a conversation whose only post it was is gone."""
    for account_id, thread_id in places:
        if stored.settle(connection, account_id=account_id, thread_id=thread_id, post_id=post_id):
            connection.tell(ConversationChanged(account_id, thread_id))


def tell_of_post(connection: Connection, *, post_id: int) -> None:
    """Moderators hid the post or show it again: another one may be last in the conversations it is in."""
    for account_id, thread_id in stored.of_post(connection, post_id=post_id):
        connection.tell(ConversationChanged(account_id, thread_id))


def take_out(connection: Connection, *, post: Post, account_ids: Iterable[int]) -> None:
    """A direct post does not reach the accounts any more: they are not mentioned in it now."""
    if post.visibility is not Visibility.DIRECT:
        return
    thread_id = post.thread_id or post.id
    places = [(account_id, thread_id) for account_id in sorted(account_ids) if account_id != post.author_id]
    for account_id, _ in places:
        stored.lock(connection, account_id=account_id, thread_id=thread_id)
        stored.take_out(connection, account_id=account_id, thread_id=thread_id, post_id=post.id)
    settle(connection, post_id=post.id, places=places)
