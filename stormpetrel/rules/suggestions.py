"""Suggested accounts: those followed by the accounts that the reader follows, then the most followed ones.

Only `discoverable` accounts; never those that the reader follows, asked to follow, blocks, is blocked by,
mutes or dismissed, nor silenced accounts.
"""

from __future__ import annotations

from stormpetrel.errors import NotFound
from stormpetrel.storage import accounts
from stormpetrel.storage import suggestions as stored
from stormpetrel.storage.engine.connection import Connection


def suggestions(
    connection: Connection, *, reader_id: int, limit: int, now_ms: int
) -> list[tuple[int, tuple[str, ...]]]:
    """Return (account, reasons), the best first; the reasons are "friends_of_friends" and "most_followed"."""
    near = stored.followed_by_followed(connection, reader_id=reader_id, count=limit, now_ms=now_ms)
    found: dict[int, tuple[str, ...]] = dict.fromkeys(near, ("friends_of_friends",))
    for account_id in stored.popular(connection, reader_id=reader_id, count=limit, now_ms=now_ms):
        if account_id in found or len(found) < limit:
            found[account_id] = (*found.get(account_id, ()), "most_followed")
    return list(found.items())


def dismiss(connection: Connection, *, account_id: int, target_id: int) -> None:
    """Stop suggesting the target. Raise NotFound for an account that does not exist."""
    if accounts.state(connection, account_id=target_id) is None:
        raise NotFound
    stored.dismiss(connection, account_id=account_id, target_id=target_id)
