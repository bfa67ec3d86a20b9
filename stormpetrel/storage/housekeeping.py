"""Removing what has had its time, a small batch per transaction: no writer waits long behind it."""

from __future__ import annotations

from stormpetrel.model.event import RelationshipChanged
from stormpetrel.storage.connection import Connection
from stormpetrel.storage.statement import sql

_IDEMPOTENCY = sql(
    """DELETE FROM idempotency WHERE (account_id, key) IN (
        SELECT account_id, key FROM idempotency WHERE created_at_ms < :before_ms
        ORDER BY created_at_ms LIMIT :count)"""
)
_CODES = sql(
    """DELETE FROM oauth_codes WHERE code_hash IN (
        SELECT code_hash FROM oauth_codes WHERE expires_at_ms < :before_ms ORDER BY expires_at_ms LIMIT :count)"""
)
_MUTES = sql(
    """DELETE FROM mutes WHERE id IN (
        SELECT id FROM mutes WHERE expires_at_ms > 0 AND expires_at_ms <= :now_ms LIMIT :count)
    RETURNING account_id, target_id"""
)

_MAIL_LINKS = sql(
    """DELETE FROM mail_links WHERE token_hash IN (
        SELECT token_hash FROM mail_links WHERE expires_at_ms <= :now_ms LIMIT :count)"""
)
_UNCONFIRMED = sql(
    """DELETE FROM accounts WHERE id IN (
        SELECT id FROM accounts WHERE state = 'unconfirmed' AND created_at_ms < :before_ms LIMIT :count)
    AND state = 'unconfirmed'"""
)


def remove_old_idempotency_keys(connection: Connection, *, before_ms: int, count: int) -> int:
    """Forgets what keys older than `before_ms` were answered with; how many, at most `count`."""
    return connection.run(_IDEMPOTENCY, before_ms=before_ms, count=count)


def remove_old_codes(connection: Connection, *, before_ms: int, count: int) -> int:
    """Removes OAuth codes that expired before `before_ms`; how many, at most `count`."""
    return connection.run(_CODES, before_ms=before_ms, count=count)


def end_expired_mutes(connection: Connection, *, now_ms: int, count: int) -> int:
    """Ends mutes that are over, and tells it; how many, at most `count`."""
    rows = connection.all(_MUTES, now_ms=now_ms, count=count)
    for account_id, target_id in rows:
        connection.tell(RelationshipChanged(account_id, target_id))
    return len(rows)


def remove_old_mail_links(connection: Connection, *, now_ms: int, count: int) -> int:
    """Removes links in mails that have expired; how many, at most `count`."""
    return connection.run(_MAIL_LINKS, now_ms=now_ms, count=count)


def remove_unconfirmed(connection: Connection, *, before_ms: int, count: int) -> int:
    """Removes accounts made before `before_ms` whose address was never confirmed; how many, at most `count`."""
    return connection.run(_UNCONFIRMED, before_ms=before_ms, count=count)
