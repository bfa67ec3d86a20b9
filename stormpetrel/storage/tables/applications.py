"""OAuth clients, their codes and tokens."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table, UniqueConstraint

from stormpetrel.storage.tables.columns import id_column, metadata, number, ref, text_column

applications = Table(  # OAuth clients
    "applications",
    metadata,
    id_column(),
    text_column("client_id"),
    Column("client_secret_hash", LargeBinary, nullable=False),
    text_column("name"),
    text_column("website", ""),
    text_column("redirect_uris"),  # one per line
    text_column("scopes"),
    number("created_at_ms"),
    UniqueConstraint("client_id"),
)

oauth_codes = Table(
    "oauth_codes",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    ref("application_id", "applications.id"),
    ref("account_id", "accounts.id"),
    text_column("redirect_uri"),
    text_column("scopes"),
    text_column("code_challenge", ""),  # S256; empty: none was sent
    number("expires_at_ms"),
    Index(None, "application_id"),
    Index(None, "account_id"),
    Index(None, "expires_at_ms"),
)

oauth_spent_codes = Table(  # a second use of a code revokes the token that it gave
    "oauth_spent_codes",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    ref("token_id", "tokens.id"),
    number("expires_at_ms"),
    Index(None, "token_id"),
    Index(None, "expires_at_ms"),
)

tokens = Table(
    "tokens",
    metadata,
    id_column(),
    Column("token_hash", LargeBinary, nullable=False),
    ref("application_id", "applications.id"),
    ref("account_id", "accounts.id", nullable=True),  # null: client credentials
    text_column("scopes"),
    number("created_at_ms"),
    UniqueConstraint("token_hash"),
    Index(None, "account_id"),
    Index(None, "application_id"),
)
