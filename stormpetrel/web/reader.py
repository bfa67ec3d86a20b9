"""The signed-in reader, as the layout of a page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stormpetrel.model.account import Account
from stormpetrel.model.page import Page
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import conversations as conversation_rules
from stormpetrel.rules import notifications as notification_rules
from stormpetrel.rules import relationships as relationship_rules

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

UNREAD_SHOWN = 20
"""Larger numbers appear as "20+": counting further would slow down every page."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A signed-in reader. `unread`: new notifications since their last visit; `letters`: unread
    conversations; `asking`: True if follow requests are pending."""

    account: Account
    unread: int
    letters: int
    asking: bool

    @property
    def unread_text(self) -> str:
        """Return the number to show at the bell."""
        return _shown(self.unread)

    @property
    def letters_text(self) -> str:
        """Return the number to show at the conversations."""
        return _shown(self.letters)


def _shown(count: int) -> str:
    return str(count) if count <= UNREAD_SHOWN else f"{UNREAD_SHOWN}+"


def read_reader(connection: Connection, *, reader_id: int | None, now_ms: int) -> Reader | None:
    """Read the reader with their unread counts, or return None for a visitor."""
    if reader_id is None:
        return None
    account = account_rules.account(connection, account_id=reader_id)
    unread = notification_rules.unread_count(
        connection, account_id=reader_id, limit=UNREAD_SHOWN + 1, now_ms=now_ms
    )
    letters = conversation_rules.unread_count(
        connection, account_id=reader_id, limit=UNREAD_SHOWN + 1, now_ms=now_ms
    )
    asking = account.locked and bool(
        relationship_rules.follow_requests(connection, account_id=reader_id, page=Page(limit=1))
    )
    return Reader(account, unread, letters, asking)


def read_admin(connection: Connection, *, reader_id: int, now_ms: int) -> Reader | None:
    """Read the reader. Raise Forbidden if they are not an administrator."""
    account_rules.require_admin(connection, account_id=reader_id)
    return read_reader(connection, reader_id=reader_id, now_ms=now_ms)
