"""The canary's messages in the spool: stored and answered like those of people, left out of figures, soon deleted."""

from __future__ import annotations

import sqlite3

from stormpetrel.storage.sms_spool import inbox

ROUTE = "_canary"
"""No configured route can have this name, because of its underscore."""
NUMBER = "canary"
"""No provider can hand this over as a sender, because it is no number."""


def put(db: sqlite3.Connection, *, key: str, text: str, now_ms: int) -> bool:
    """Store a message; return False if its key is stored already. A message without a text has no effect."""
    has_effect = bool(text)
    return (
        inbox.put(
            db, key=key, route=ROUTE, number=NUMBER, receiver=NUMBER, text=text, now_ms=now_ms,
            klass=inbox.MEMBERS, state="stored" if has_effect else "done",
            effect=None if has_effect else "none",
        )
        is not None
    )  # fmt: skip


def message_key(db: sqlite3.Connection, *, message_id: int) -> str:
    """Return the key of the message that an answer belongs to, "" if there is none."""
    row = db.execute("SELECT key FROM outbox WHERE id = ? AND number = ?", (message_id, NUMBER)).fetchone()
    return "" if row is None else str(row[0]).partition("#")[0]


def prune(db: sqlite3.Connection, *, before_ms: int) -> list[str]:
    """Delete everything of the canary from before that time; return the keys of its messages."""
    keys = db.execute(
        "DELETE FROM inbox WHERE number = ? AND at_ms < ? RETURNING key", (NUMBER, before_ms)
    ).fetchall()
    db.execute("DELETE FROM outbox WHERE number = ? AND at_ms < ?", (NUMBER, before_ms))
    return [key for (key,) in keys]
