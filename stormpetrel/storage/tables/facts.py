"""Single facts about the instance, by name."""

from __future__ import annotations

from sqlalchemy import PrimaryKeyConstraint, Table

from stormpetrel.storage.tables.columns import metadata, text_column

facts = Table(
    "facts",
    metadata,
    text_column("name"),
    text_column("value"),
    PrimaryKeyConstraint("name"),
)
