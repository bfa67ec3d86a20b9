"""Queries about links in mails."""

from __future__ import annotations

from stormpetrel.model.mail import Link, Purpose
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

_ADD = sql(
    """INSERT INTO mail_links (token_hash, account_id, purpose, email, created_at_ms, expires_at_ms)
    VALUES (:token_hash, :account_id, :purpose, :email, :now_ms, :expires_at_ms)"""
)
_LINK = sql("SELECT account_id, purpose, email, expires_at_ms FROM mail_links WHERE token_hash = :token_hash")
_TAKE = sql(
    """DELETE FROM mail_links WHERE token_hash = :token_hash
    RETURNING account_id, purpose, email, expires_at_ms"""
)
_NEWEST_ADDRESS = sql(
    """SELECT email FROM mail_links WHERE account_id = :account_id AND purpose = 'confirm'
    ORDER BY created_at_ms DESC LIMIT 1"""
)
_DELETE_OF = sql("DELETE FROM mail_links WHERE account_id = :account_id")


def add_link(
    connection: Connection,
    link: Link,
    *,
    token_hash: bytes,
    now_ms: int,
) -> None:
    """Store a link by its token's hash."""
    connection.run(
        _ADD,
        token_hash=token_hash,
        account_id=link.account_id,
        purpose=link.purpose.value,
        email=link.email,
        now_ms=now_ms,
        expires_at_ms=link.expires_at_ms,
    )


def link(connection: Connection, *, token_hash: bytes) -> Link | None:
    """Return the link, expired or not, or None."""
    row = connection.one(_LINK, token_hash=token_hash)
    return None if row is None else Link(row[0], Purpose(row[1]), row[2], row[3])


def take_link(connection: Connection, *, token_hash: bytes) -> Link | None:
    """Return the link and delete it; None if there is none."""
    row = connection.one(_TAKE, token_hash=token_hash)
    return None if row is None else Link(row[0], Purpose(row[1]), row[2], row[3])


def newest_address(connection: Connection, *, account_id: int) -> str | None:
    """Return the address in the account's newest confirmation link; None if none is stored."""
    row = connection.one(_NEWEST_ADDRESS, account_id=account_id)
    return None if row is None else str(row[0])


def delete_links_of(connection: Connection, *, account_id: int) -> None:
    """Delete all links of the account."""
    connection.run(_DELETE_OF, account_id=account_id)
