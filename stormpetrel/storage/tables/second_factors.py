"""Second factors of accounts: an authenticator app, passkeys, recovery codes."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

from stormpetrel.storage.tables.columns import Key, id_column, metadata, number, ref, text_column

authenticators = Table(  # apps that show a new code every 30 seconds
    "authenticators",
    metadata,
    Column(
        "account_id",
        Key,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    text_column("sealed_secret"),  # encrypted with the instance's secret
    number("last_step"),  # a code is accepted once
    number("created_at_ms"),
)

passkeys = Table(
    "passkeys",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    Column("credential_id", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    number("sign_count"),
    text_column("name"),
    number("created_at_ms"),
    number("last_used_at_ms", 0),
    UniqueConstraint("credential_id"),
    Index(None, "account_id"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("account_id", BigInteger, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("code_hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account_id", "code_hash"),
)
