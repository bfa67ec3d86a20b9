"""Queries about the instance's texts, rules, announcements, and blocked e-mail domains."""

from __future__ import annotations

from stormpetrel.model.ids import time_ms
from stormpetrel.model.moderation import Announcement, InstanceRule, InstanceText
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.statement import sql

_TEXT = sql("SELECT name, text, updated_at_ms FROM instance_texts WHERE name = :name")
_TEXTS = sql("SELECT name, text, updated_at_ms FROM instance_texts ORDER BY name")
_PUT_TEXT = sql(
    "INSERT INTO instance_texts (name, text, updated_at_ms) VALUES (:name, :text, :now_ms) "
    "ON CONFLICT (name) DO UPDATE SET text = excluded.text, updated_at_ms = excluded.updated_at_ms"
)
_DELETE_TEXT = sql("DELETE FROM instance_texts WHERE name = :name")

_RULES = sql("SELECT id, text, hint FROM instance_rules ORDER BY id LIMIT 100")
_INSERT_RULE = sql("INSERT INTO instance_rules (id, text, hint) VALUES (:id, :text, :hint)")
_DELETE_RULE = sql("DELETE FROM instance_rules WHERE id = :rule_id")

_ANNOUNCEMENTS = sql(
    "SELECT n.id, n.text, n.updated_at_ms, EXISTS (SELECT 1 FROM announcement_dismissals d "
    "WHERE d.announcement_id = n.id AND d.account_id = :reader_id) FROM announcements n "
    "ORDER BY n.id DESC LIMIT 40"
)
_INSERT_ANNOUNCEMENT = sql("INSERT INTO announcements (id, text, updated_at_ms) VALUES (:id, :text, :now_ms)")
_DELETE_ANNOUNCEMENT = sql("DELETE FROM announcements WHERE id = :announcement_id")
_HAS_ANNOUNCEMENT = sql("SELECT 1 FROM announcements WHERE id = :announcement_id")
_DISMISS = sql(
    "INSERT INTO announcement_dismissals (announcement_id, account_id) VALUES (:announcement_id, :account_id) "
    "ON CONFLICT DO NOTHING"
)

_DOMAINS = sql("SELECT domain FROM email_domain_blocks ORDER BY domain LIMIT 10000")
_BLOCKED = sql("SELECT 1 FROM email_domain_blocks WHERE domain IN :domains[text]")
_BLOCK = sql(
    "INSERT INTO email_domain_blocks (domain, created_at_ms) VALUES (:domain, :now_ms) ON CONFLICT DO NOTHING"
)
_UNBLOCK = sql("DELETE FROM email_domain_blocks WHERE domain = :domain")


def text(connection: Connection, *, name: str) -> InstanceText | None:
    """Return the text with that name, or None."""
    row = connection.one(_TEXT, name=name)
    return None if row is None else InstanceText(*row)


def texts(connection: Connection) -> dict[str, InstanceText]:
    """Return all texts by name."""
    return {row[0]: InstanceText(*row) for row in connection.all(_TEXTS)}


def put_text(connection: Connection, *, name: str, text: str, now_ms: int) -> None:
    """Publish the text; an empty one is withdrawn."""
    if text:
        connection.run(_PUT_TEXT, name=name, text=text, now_ms=now_ms)
    else:
        connection.run(_DELETE_TEXT, name=name)


def rules(connection: Connection) -> list[InstanceRule]:
    """Return the instance's rules, in order."""
    return [InstanceRule(*row) for row in connection.all(_RULES)]


def insert_rule(connection: Connection, *, id: int, text: str, hint: str) -> None:
    """Append a rule."""
    connection.run(_INSERT_RULE, id=id, text=text, hint=hint)


def delete_rule(connection: Connection, *, rule_id: int) -> bool:
    """Delete a rule; return False if there was none."""
    return connection.run(_DELETE_RULE, rule_id=rule_id) > 0


def announcements(connection: Connection, *, reader_id: int) -> list[Announcement]:
    """Return announcements, newest first."""
    rows = connection.all(_ANNOUNCEMENTS, reader_id=reader_id)
    return [Announcement(row[0], row[1], time_ms(row[0]), row[2], bool(row[3])) for row in rows]


def insert_announcement(connection: Connection, *, id: int, text: str, now_ms: int) -> None:
    """Insert an announcement."""
    connection.run(_INSERT_ANNOUNCEMENT, id=id, text=text, now_ms=now_ms)


def delete_announcement(connection: Connection, *, announcement_id: int) -> bool:
    """Delete an announcement; return False if there was none."""
    return connection.run(_DELETE_ANNOUNCEMENT, announcement_id=announcement_id) > 0


def dismiss(connection: Connection, *, announcement_id: int, account_id: int) -> bool:
    """Note that the account has read the announcement; return False if there is none."""
    if connection.one(_HAS_ANNOUNCEMENT, announcement_id=announcement_id) is None:
        return False
    connection.run(_DISMISS, announcement_id=announcement_id, account_id=account_id)
    return True


def email_domains(connection: Connection) -> list[str]:
    """Return the e-mail domains that are blocked for sign-ups."""
    return [row[0] for row in connection.all(_DOMAINS)]


def is_blocked(connection: Connection, *, domains: list[str]) -> bool:
    """Return whether any of the domains is blocked."""
    return connection.one(_BLOCKED, domains=domains) is not None


def block_email_domain(connection: Connection, *, domain: str, now_ms: int) -> None:
    """Block sign-ups with addresses of this domain."""
    connection.run(_BLOCK, domain=domain, now_ms=now_ms)


def unblock_email_domain(connection: Connection, *, domain: str) -> bool:
    """Unblock a domain; return False if it was not blocked."""
    return connection.run(_UNBLOCK, domain=domain) > 0
