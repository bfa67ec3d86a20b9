"""Pending side effects."""

from __future__ import annotations

from sqlalchemy import Index, Table

from stormpetrel.storage.tables.columns import id_column, metadata, number, text_column

outbox = Table(  # pending side effects, written in the transaction that causes them
    "outbox",
    metadata,
    id_column(),
    text_column("kind"),
    text_column("payload"),  # JSON
    number("due_at_ms"),
    number("attempts", 0),
    number("leased_until_ms", 0),
    text_column("last_error", ""),
    number("lane", 0),  # 0: done in this database; others wait for something outside (storage/outbox.py)
    Index("ix_outbox_due", "lane", "due_at_ms"),
)

outbox_dead = Table(  # given up after the last attempt, retained for inspection
    "outbox_dead",
    metadata,
    id_column(),
    text_column("kind"),
    text_column("payload"),
    number("attempts"),
    text_column("last_error"),
    number("died_at_ms"),
    Index(None, "died_at_ms"),
)
