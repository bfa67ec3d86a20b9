"""Queries: links in mails, and how often mails were asked for."""

from __future__ import annotations

from stormpetrel.model.mail import Link, Purpose
from stormpetrel.storage.connection import Connection
from stormpetrel.storage.statement import sql

_ADD = sql(
    """INSERT INTO mail_links (token_hash, account_id, purpose, email, created_at_ms, expires_at_ms)
    VALUES (:token_hash, :account_id, :purpose, :email, :now_ms, :expires_at_ms)"""
)
_LINK = sql("SELECT account_id, purpose, email, expires_at_ms FROM mail_links WHERE token_hash = :token_hash")
_TAKE = sql(
    """DELETE FROM mail_links WHERE token_hash = :token_hash
    RETURNING account_id, purpose, email, expires_at_ms"""
)
_DELETE_OF = sql("DELETE FROM mail_links WHERE account_id = :account_id")
_SENT = sql("SELECT count(*) FROM mail_links WHERE account_id = :account_id AND created_at_ms > :since_ms")
_ASK = sql(
    """INSERT INTO mail_quotas (slot, window_id, asked) VALUES (:slot, :window_id, 1)
    ON CONFLICT (slot) DO UPDATE SET window_id = excluded.window_id, asked = CASE
        WHEN mail_quotas.window_id = excluded.window_id THEN mail_quotas.asked + 1 ELSE 1 END
    RETURNING asked"""
)


def add_link(
    connection: Connection,
    link: Link,
    *,
    token_hash: bytes,
    now_ms: int,
) -> None:
    """Stores a link by the hash of its token."""
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
    """The link, expired or not, or None."""
    row = connection.one(_LINK, token_hash=token_hash)
    return None if row is None else Link(row[0], Purpose(row[1]), row[2], row[3])


def take_link(connection: Connection, *, token_hash: bytes) -> Link | None:
    """The link, which is gone afterwards; None when there is none."""
    row = connection.one(_TAKE, token_hash=token_hash)
    return None if row is None else Link(row[0], Purpose(row[1]), row[2], row[3])


def delete_links_of(connection: Connection, *, account_id: int) -> None:
    """No link that was sent to the account works any more."""
    connection.run(_DELETE_OF, account_id=account_id)


def links_since(connection: Connection, *, account_id: int, since_ms: int) -> int:
    """How many links made after `since_ms` are still unused."""
    row = connection.one(_SENT, account_id=account_id, since_ms=since_ms)
    assert row is not None
    return int(row[0])


def ask(connection: Connection, *, slot: int, window_id: int) -> int:
    """Counts that somebody asks, and how often they have in this window."""
    row = connection.one(_ASK, slot=slot, window_id=window_id)
    assert row is not None
    return int(row[0])
