"""Single-use links in mails."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table

from stormpetrel.storage.tables.columns import id_column, metadata, number, ref, text_column

mail_links = Table(  # following one proves that the mail was read: works once, until it expires
    "mail_links",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    ref("account_id", "accounts.id"),
    text_column("purpose"),  # confirm, address, reset
    text_column("email"),  # the address it was sent to
    number("created_at_ms"),
    number("expires_at_ms"),
    Index(None, "account_id"),
    Index(None, "expires_at_ms"),
)

# Used only by the previous release, while both run; the migration after that removes it.
mail_quotas = Table(
    "mail_quotas",
    metadata,
    id_column("slot"),
    Column("window_id", BigInteger, nullable=False),
    number("asked"),
)
