"""Remove expired rows, a small batch per transaction, so that no writer waits long."""

from __future__ import annotations

from stormpetrel.model.event import AccessChanged, NotificationsRemoved, RelationshipChanged
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

_IDEMPOTENCY = sql(
    """DELETE FROM idempotency WHERE (account_id, key) IN (
        SELECT account_id, key FROM idempotency WHERE created_at_ms < :before_ms
        ORDER BY created_at_ms LIMIT :count)"""
)
_CODES = sql(
    """DELETE FROM oauth_codes WHERE code_hash IN (
        SELECT code_hash FROM oauth_codes WHERE expires_at_ms < :before_ms ORDER BY expires_at_ms LIMIT :count)"""
)
_SPENT_CODES = sql(
    """DELETE FROM oauth_spent_codes WHERE code_hash IN (
        SELECT code_hash FROM oauth_spent_codes WHERE expires_at_ms < :before_ms
        ORDER BY expires_at_ms LIMIT :count)"""
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
# Ids carry the time, so their order is the order of age.
_SESSIONS = sql(
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE id < :before_id ORDER BY id LIMIT :count)"
)
_NOTIFICATIONS = sql(
    """DELETE FROM notifications WHERE id IN (
        SELECT id FROM notifications WHERE id < :before_id ORDER BY id LIMIT :count)
    RETURNING account_id"""
)
_APP_TOKENS = sql(
    """DELETE FROM tokens WHERE id IN (
        SELECT id FROM tokens WHERE account_id IS NULL AND id < :before_id ORDER BY id LIMIT :count)
    RETURNING token_hash"""
)
_DEAD_JOBS = sql(
    """DELETE FROM outbox_dead WHERE id IN (
        SELECT id FROM outbox_dead WHERE died_at_ms < :before_ms ORDER BY died_at_ms LIMIT :count)"""
)
_NEXT_APPLICATIONS = sql(
    """SELECT id FROM applications WHERE id > :after_id AND id < :before_id ORDER BY id LIMIT :count"""
)
# An application that posted stays: its posts show its name.
_UNUSED_APPLICATIONS = sql(
    """DELETE FROM applications WHERE id IN :ids[] AND client_id <> :built_in
    AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.application_id = applications.id)
    AND NOT EXISTS (SELECT 1 FROM oauth_codes c WHERE c.application_id = applications.id)
    AND NOT EXISTS (SELECT 1 FROM posts p WHERE p.application_id = applications.id)"""
)


def remove_old_idempotency_keys(connection: Connection, *, before_ms: int, count: int) -> int:
    """Remove idempotency keys older than `before_ms`; return how many, at most `count`."""
    return connection.run(_IDEMPOTENCY, before_ms=before_ms, count=count)


def remove_old_codes(connection: Connection, *, before_ms: int, count: int) -> int:
    """Remove OAuth codes that expired before `before_ms`; return how many, at most `count`."""
    return max(
        connection.run(statement, before_ms=before_ms, count=count) for statement in (_CODES, _SPENT_CODES)
    )


def end_expired_mutes(connection: Connection, *, now_ms: int, count: int) -> int:
    """End expired mutes, and publish that; return how many, at most `count`."""
    rows = connection.all(_MUTES, now_ms=now_ms, count=count)
    for account_id, target_id in rows:
        connection.tell(RelationshipChanged(account_id, target_id))
    return len(rows)


def remove_old_mail_links(connection: Connection, *, now_ms: int, count: int) -> int:
    """Remove expired links in mails; return how many, at most `count`."""
    return connection.run(_MAIL_LINKS, now_ms=now_ms, count=count)


def remove_unconfirmed(connection: Connection, *, before_ms: int, count: int) -> int:
    """Remove accounts made before `before_ms` and never confirmed; return how many, at most `count`."""
    return connection.run(_UNCONFIRMED, before_ms=before_ms, count=count)


def remove_old_sessions(connection: Connection, *, before_id: int, count: int) -> int:
    """Remove sessions that have expired by age; return how many, at most `count`."""
    return connection.run(_SESSIONS, before_id=before_id, count=count)


def remove_old_notifications(connection: Connection, *, before_id: int, count: int) -> int:
    """Remove the oldest notifications, and publish that; return how many, at most `count`."""
    rows = connection.all(_NOTIFICATIONS, before_id=before_id, count=count)
    for account_id in {row[0] for row in rows}:
        connection.tell(NotificationsRemoved(account_id))
    return len(rows)


def remove_old_app_tokens(connection: Connection, *, before_id: int, count: int) -> int:
    """Remove apps' own tokens (client credentials), and publish that; return how many, at most `count`."""
    rows = connection.all(_APP_TOKENS, before_id=before_id, count=count)
    for (token_hash,) in rows:
        connection.tell(AccessChanged(account_id=0, token_hash=bytes(token_hash)))
    return len(rows)


def remove_dead_jobs(connection: Connection, *, before_ms: int, count: int) -> int:
    """Remove jobs that were given up before `before_ms`; return how many, at most `count`."""
    return connection.run(_DEAD_JOBS, before_ms=before_ms, count=count)


def remove_unused_applications(
    connection: Connection, *, after_id: int, before_id: int, built_in: str, count: int
) -> tuple[int, int]:
    """Check the next `count` applications after `after_id`, and remove those without tokens, codes and posts.

    Return (number removed, last id that was checked; 0 at the end of the list). `built_in` is the client id
    of the application that always stays.
    """
    ids = [
        row[0]
        for row in connection.all(_NEXT_APPLICATIONS, after_id=after_id, before_id=before_id, count=count)
    ]
    if not ids:
        return 0, 0
    removed = connection.run(_UNUSED_APPLICATIONS, ids=ids, built_in=built_in)
    return removed, ids[-1] if len(ids) == count else 0
