"""The numbers of visitors by period, and by machine if several serve the instance."""

from __future__ import annotations

from sqlalchemy import PrimaryKeyConstraint, Table

from stormpetrel.storage.tables.columns import metadata, number, text_column

audience_numbers = Table(
    "audience_numbers",
    metadata,
    text_column("period"),
    text_column("machine"),
    text_column("name"),
    number("count"),
    PrimaryKeyConstraint("period", "machine", "name"),
)
