"""Conversations: reading, marking and removing them, and how direct posts change them.

A conversation is the direct posts of a thread; an account has those that it wrote or is mentioned in.
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
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

COUNTED_CONVERSATIONS = 40
"""Unread conversations are counted among this many with the newest posts: every page of a member counts them."""


def conversations(connection: Connection, *, account_id: int, page: Page, now_ms: int) -> list[Conversation]:
    """Return the account's conversations, the one with the newest post first; paged by `place`.

    Posts that the account is not shown (of authors it blocks or mutes, of silenced accounts that it does not
    follow, hidden by moderators) do not count. A conversation with no other posts is left out.
    """
    found = stored.conversations(connection, account_id=account_id, page=page, now_ms=now_ms)
    return _with_participants(connection, account_id, found)


@hot
def unread_count(connection: Connection, *, account_id: int, limit: int, now_ms: int) -> int:
    """Count the unread ones among the first COUNTED_CONVERSATIONS of `conversations`, up to `limit`."""
    return stored.unread_count(
        connection, account_id=account_id, newest=COUNTED_CONVERSATIONS, limit=limit, now_ms=now_ms
    )


def conversation(
    connection: Connection, *, account_id: int, conversation_id: int, now_ms: int
) -> Conversation:
    """Return one of the account's conversations, if `conversations` would list it. Raise NotFound."""
    found = stored.conversation(connection, account_id=account_id, thread_id=conversation_id, now_ms=now_ms)
    if found is None or found.shown_id is None:
        raise NotFound
    return _with_participants(connection, account_id, [found])[0]


def _with_participants(
    connection: Connection, account_id: int, found: list[stored.StoredConversation]
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
    """Mark the conversation as read, until another account posts in it. Raise NotFound as in `conversation`."""
    conversation(connection, account_id=account_id, conversation_id=conversation_id, now_ms=now_ms)
    if stored.mark_read(connection, account_id=account_id, thread_id=conversation_id):
        connection.tell(ConversationChanged(account_id, conversation_id))
    return conversation(connection, account_id=account_id, conversation_id=conversation_id, now_ms=now_ms)


def mark_unread(
    connection: Connection, *, account_id: int, conversation_id: int, now_ms: int
) -> Conversation:
    """Mark the newest post as unread, unless it is the account's own. Raise NotFound as `conversation` does."""
    found = conversation(connection, account_id=account_id, conversation_id=conversation_id, now_ms=now_ms)
    if stored.mark_unread(
        connection, account_id=account_id, thread_id=conversation_id, post_id=found.last_post_id
    ):
        connection.tell(ConversationChanged(account_id, conversation_id))
    return conversation(connection, account_id=account_id, conversation_id=conversation_id, now_ms=now_ms)


def remove(connection: Connection, *, account_id: int, conversation_id: int) -> None:
    """Remove the conversation from the account's list, with its posts so far.

    Other accounts and the posts are unaffected.

    A new post brings it back, with that post alone. Raise NotFound where there is none.
    """
    if not stored.delete(connection, account_id=account_id, thread_id=conversation_id):
        raise NotFound


# How posts change conversations ----------------------------------------------------------------------------


def add_post(
    connection: Connection, *, post: Post, account_ids: Collection[int], unheard: Collection[int] = ()
) -> None:
    """Add a direct post to the conversations of the accounts, possibly including its author.

    Ignore other posts.

    As with notifications, nothing is added between accounts of which one blocks the other. For an account
    that muted the thread, the post is added as read; so it is for those in `unheard`, whose policies for
    notifications did not accept it, unless they have an unread post there.
    """
    if post.visibility is not Visibility.DIRECT:
        return
    others = [account_id for account_id in account_ids if account_id != post.author_id]
    blocked = stored.blocked(connection, author_id=post.author_id, account_ids=others) if others else set()
    thread_id = post.thread_id or post.id
    # Lock in one order everywhere, so that two transactions that do this cannot deadlock.
    for account_id in sorted(set(account_ids) - blocked):
        stored.put(
            connection,
            account_id=account_id,
            thread_id=thread_id,
            post_id=post.id,
            is_read=account_id == post.author_id
            or account_id in unheard
            or pins.mutes(connection, account_id=account_id, post_id=post.id),
            keeps_unread=account_id in unheard,
        )
        connection.tell(ConversationChanged(account_id, thread_id, post.id))


def lock_of_post(connection: Connection, *, post_id: int) -> list[tuple[int, int]]:
    """Before a post is deleted: lock its conversations and return their (account, thread), for `settle`."""
    found = stored.of_post(connection, post_id=post_id)
    for account_id, thread_id in found:
        stored.lock(connection, account_id=account_id, thread_id=thread_id)
    return found


def settle(connection: Connection, *, post_id: int, places: Iterable[tuple[int, int]]) -> None:
    """After the deletion: update the last post of each conversation, or remove it if that was its only post."""
    for account_id, thread_id in places:
        if stored.settle(connection, account_id=account_id, thread_id=thread_id, post_id=post_id):
            connection.tell(ConversationChanged(account_id, thread_id))


def tell_of_post(connection: Connection, *, post_id: int) -> None:
    """Publish that moderators hid or restored the post, which may change the last post of its conversations."""
    for account_id, thread_id in stored.of_post(connection, post_id=post_id):
        connection.tell(ConversationChanged(account_id, thread_id))


def take_out(connection: Connection, *, post: Post, account_ids: Iterable[int]) -> None:
    """Remove a direct post from the conversations of accounts that it no longer mentions."""
    if post.visibility is not Visibility.DIRECT:
        return
    thread_id = post.thread_id or post.id
    places = [(account_id, thread_id) for account_id in sorted(account_ids) if account_id != post.author_id]
    for account_id, _ in places:
        stored.lock(connection, account_id=account_id, thread_id=thread_id)
        stored.take_out(connection, account_id=account_id, thread_id=thread_id, post_id=post.id)
    settle(connection, post_id=post.id, places=places)
