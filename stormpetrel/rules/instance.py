"""What can be said of the place as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model.account import Account, AccountState
from stormpetrel.storage import accounts
from stormpetrel.storage.connection import Connection

MONTH_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class InstanceCounts:
    """Accounts, posts, and accounts that posted in the last 30 days."""

    users: int
    posts: int
    active_month: int


def counts(connection: Connection, *, now_ms: int) -> InstanceCounts:
    """Counted anew; callers keep the answer for a while."""
    return InstanceCounts(*accounts.counts(connection, since_ms=now_ms - MONTH_MS))


def contact(connection: Connection) -> Account | None:
    """Whom to turn to: the first of the admins who is there, or None when there is none."""
    for account_id in sorted(accounts.admin_ids(connection)):
        found = accounts.account(connection, account_id=account_id)
        if found is not None and found.state is AccountState.ACTIVE:
            return found
    return None
