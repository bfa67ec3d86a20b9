"""Deleting an account: it disappears at once; its rows are deleted afterwards, a few per transaction."""

from __future__ import annotations

from stormpetrel.errors import NotFound
from stormpetrel.model.account import AccountState
from stormpetrel.model.event import AccountChanged
from stormpetrel.rules import access, phones
from stormpetrel.rules.posts import delete_post
from stormpetrel.rules.relationships import remove_follower, unfollow
from stormpetrel.storage import accounts, outbox
from stormpetrel.storage import deletion as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.hidden_counts import take_back_counts

BATCH = 25
"""Posts, and follows of each kind, per transaction: small, so that other transactions do not wait long."""


def delete_account(connection: Connection, *, account_id: int, now_ms: int) -> None:
    """Delete an account for good.

    This transaction hides it, signs it out and deletes its private data; the courier deletes its posts and
    follows soon after. The name stays taken, so that it cannot be used to impersonate the former owner.

    The caller must have checked the password. Raise NotFound where there is no such account.
    """
    state = accounts.state(connection, account_id=account_id)
    if state is None or state is AccountState.DELETED:
        raise NotFound("Account not found")
    accounts.set_state(connection, account_id=account_id, state=AccountState.DELETED)
    if state is not AccountState.SUSPENDED:
        take_back_counts(connection, account_id=account_id)
    access.revoke_all(connection, account_id=account_id)
    phones.unlink_of(connection, account_id=account_id, now_ms=now_ms)
    stored.forget_person(connection, account_id=account_id)
    connection.tell(AccountChanged(account_id, hidden=True))
    outbox.put(connection, kind="erase_account", payload={"account_id": account_id}, now_ms=now_ms)


def delete_suspended(connection: Connection, *, before_ms: int, now_ms: int, count: int) -> int:
    """Delete accounts suspended since before `before_ms`, at most `count`; return the number deleted."""
    account_ids = accounts.suspended_before(connection, before_ms=before_ms, count=count)
    for account_id in account_ids:
        delete_account(connection, account_id=account_id, now_ms=now_ms)
    return len(account_ids)


def erase_some(connection: Connection, *, account_id: int, now_ms: int) -> None:
    """Erase a batch of what a deleted account left, and queue the next batch if there may be more."""
    if accounts.state(connection, account_id=account_id) is not AccountState.DELETED:
        return
    posts = stored.post_ids(connection, account_id=account_id, count=BATCH)
    for post_id in posts:
        delete_post(connection, author_id=account_id, post_id=post_id, now_ms=now_ms)
    followed = stored.followed_ids(connection, account_id=account_id, count=BATCH)
    for followed_id in followed:
        unfollow(connection, follower_id=account_id, followed_id=followed_id, now_ms=now_ms)
    followers = stored.follower_ids(connection, account_id=account_id, count=BATCH)
    for follower_id in followers:
        remove_follower(connection, account_id=account_id, follower_id=follower_id, now_ms=now_ms)
    if posts or followed or followers:
        outbox.put(connection, kind="erase_account", payload={"account_id": account_id}, now_ms=now_ms)
