"""Questions to accounts behind hot pages: whether an insight report may name them."""

from __future__ import annotations

from sqlalchemy import Index, Table, UniqueConstraint

from stormpetrel.storage.tables.columns import id_column, metadata, number, ref, text_column

naming_questions = Table(
    "naming_questions",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    number("began_ms"),  # of the attack: with the account, the same question
    number("ended_ms"),
    number("percent"),  # of the attack's requests that went to pages of the account
    text_column("answer", ""),  # model/naming.py: NamingAnswer
    number("answered_at_ms", 0),
    UniqueConstraint("account_id", "began_ms"),
    Index(None, "began_ms"),
)
