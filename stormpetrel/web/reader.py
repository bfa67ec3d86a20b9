"""Who looks at a page, as its frame shows it."""

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
    from stormpetrel.storage.connection import Connection

UNREAD_SHOWN = 20
"""Beyond this the frame says "20+": counting further would cost every page."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A signed-in reader. `unread`: notifications since they last looked; `letters`: unread conversations;
    `asking`: whether follow requests wait for an answer."""

    account: Account
    unread: int
    letters: int
    asking: bool

    @property
    def unread_text(self) -> str:
        """The number on the bell."""
        return _shown(self.unread)

    @property
    def letters_text(self) -> str:
        """The number at the conversations."""
        return _shown(self.letters)


def _shown(count: int) -> str:
    return str(count) if count <= UNREAD_SHOWN else f"{UNREAD_SHOWN}+"


def read_reader(connection: Connection, *, reader_id: int | None, now_ms: int) -> Reader | None:
    """The reader with what waits for them, or None for a visitor."""
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
