"""Queries about reports, warnings, and the audit log. The log is append-only: no statement changes it."""

from __future__ import annotations

import json

from stormpetrel.model.ids import time_ms
from stormpetrel.model.moderation import Act, AuditEntry, Category, Report, Warning
from stormpetrel.model.page import Page
from stormpetrel.storage.engine.connection import Connection, Row
from stormpetrel.storage.engine.paging import paged
from stormpetrel.storage.engine.statement import sql

_REPORT_COLUMNS = (
    "r.id, r.reporter_id, r.account_id, r.category, r.comment, r.post_ids, r.rule_ids, r.assigned_id, "
    "r.resolved_at_ms"
)
_INSERT_REPORT = sql(
    "INSERT INTO reports (id, reporter_id, account_id, category, comment, post_ids, rule_ids) "
    "VALUES (:id, :reporter_id, :account_id, :category, :comment, :post_ids, :rule_ids)"
)
_REPORT = sql(f"SELECT {_REPORT_COLUMNS} FROM reports r WHERE r.id = :report_id")
_SAME_OPEN = sql(
    f"SELECT {_REPORT_COLUMNS} FROM reports r WHERE r.reporter_id = :reporter_id AND r.account_id = :account_id "
    "AND r.resolved_at_ms = 0 AND r.category = :category AND r.comment = :comment AND r.post_ids = :post_ids "
    "AND r.rule_ids = :rule_ids ORDER BY r.id LIMIT 1"
)
_OPEN = sql(
    f"SELECT {_REPORT_COLUMNS} FROM reports r WHERE r.resolved_at_ms = 0 AND r.id > :after_id "
    "ORDER BY r.id LIMIT :count"
)
_REPORTS = paged(f"SELECT {_REPORT_COLUMNS} FROM reports r WHERE r.resolved_at_ms > 0", "r.id")
_REPORTS_OF = sql(
    f"SELECT {_REPORT_COLUMNS} FROM reports r WHERE r.account_id = :account_id ORDER BY r.id DESC LIMIT :count"
)
_COUNT_BY = sql(
    "SELECT count(*) FROM (SELECT 1 FROM reports WHERE reporter_id = :reporter_id AND id > :since_id LIMIT :most) "
    "AS counted"
)
_COUNT_OPEN = sql(
    "SELECT count(*) FROM (SELECT 1 FROM reports WHERE resolved_at_ms = 0 LIMIT :most) AS counted"
)
_RESOLVE = sql("UPDATE reports SET resolved_at_ms = :now_ms WHERE id = :report_id")
_ASSIGN = sql("UPDATE reports SET assigned_id = :assigned_id WHERE id = :report_id")

_INSERT_ENTRY = sql(
    "INSERT INTO audit_log (id, actor_id, actor_name, act, account_id, account_name, post_id, report_id, reason) "
    "VALUES (:id, :actor_id, :actor_name, :act, :account_id, :account_name, :post_id, :report_id, :reason)"
)
_ENTRY_COLUMNS = (
    "l.id, l.actor_id, l.actor_name, l.act, l.account_id, l.account_name, l.post_id, l.report_id, l.reason"
)
_LOG = paged(f"SELECT {_ENTRY_COLUMNS} FROM audit_log l WHERE TRUE", "l.id")
_LOG_OF = paged(f"SELECT {_ENTRY_COLUMNS} FROM audit_log l WHERE l.account_id = :account_id", "l.id")

_INSERT_WARNING = sql(
    "INSERT INTO warnings (id, account_id, act, reason, post_id) "
    "VALUES (:id, :account_id, :act, :reason, :post_id)"
)
_WARNINGS = sql("SELECT id, account_id, act, reason, post_id FROM warnings WHERE id IN :warning_ids[]")


def _report(row: Row) -> Report:
    return Report(
        id=row[0],
        reporter_id=row[1],
        account_id=row[2],
        category=Category(row[3]),
        comment=row[4],
        post_ids=tuple(json.loads(row[5])),
        rule_ids=tuple(json.loads(row[6])),
        assigned_id=row[7],
        resolved_at_ms=row[8],
        created_at_ms=time_ms(row[0]),
    )


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(
        id=row[0],
        actor_id=row[1],
        actor_name=row[2],
        act=Act(row[3]),
        account_id=row[4],
        account_name=row[5],
        post_id=row[6],
        report_id=row[7],
        reason=row[8],
        created_at_ms=time_ms(row[0]),
    )


def insert_report(connection: Connection, report: Report) -> None:
    """Insert an open report without a moderator."""
    connection.run(_INSERT_REPORT, id=report.id, **_said(report))


def same_open_report(connection: Connection, report: Report) -> Report | None:
    """Return the same reporter's open report with the same content about the same account, or None."""
    row = connection.one(_SAME_OPEN, **_said(report))
    return None if row is None else _report(row)


def _said(report: Report) -> dict[str, int | str]:
    """Return the columns that the reporter decides."""
    return {
        "reporter_id": report.reporter_id,
        "account_id": report.account_id,
        "category": report.category.value,
        "comment": report.comment,
        "post_ids": json.dumps(report.post_ids),
        "rule_ids": json.dumps(report.rule_ids),
    }


def report(connection: Connection, *, report_id: int) -> Report | None:
    """Return the report, or None."""
    row = connection.one(_REPORT, report_id=report_id)
    return None if row is None else _report(row)


def open_reports(connection: Connection, *, after_id: int, count: int) -> list[Report]:
    """Return open reports with a larger id, oldest first."""
    return [_report(row) for row in connection.all(_OPEN, after_id=after_id, count=count)]


def resolved_reports(connection: Connection, *, page: Page) -> list[Report]:
    """Return resolved reports, newest first."""
    return [_report(row) for row in _REPORTS.run(connection, page)]


def reports_of(connection: Connection, *, account_id: int, count: int) -> list[Report]:
    """Return reports about the account, newest first."""
    return [_report(row) for row in connection.all(_REPORTS_OF, account_id=account_id, count=count)]


def count_reports_by(connection: Connection, *, reporter_id: int, since_id: int, most: int) -> int:
    """Return how many reports with a larger id the account made; counting ends at `most`."""
    row = connection.one(_COUNT_BY, reporter_id=reporter_id, since_id=since_id, most=most)
    assert row is not None
    return int(row[0])


def count_open(connection: Connection, *, most: int) -> int:
    """Return how many reports are open; counting ends at `most`."""
    row = connection.one(_COUNT_OPEN, most=most)
    assert row is not None
    return int(row[0])


def resolve(connection: Connection, *, report_id: int, now_ms: int) -> None:
    """Mark the report as resolved."""
    connection.run(_RESOLVE, report_id=report_id, now_ms=now_ms)


def assign(connection: Connection, *, report_id: int, assigned_id: int) -> None:
    """Assign the report to a moderator."""
    connection.run(_ASSIGN, report_id=report_id, assigned_id=assigned_id)


def insert_entry(connection: Connection, entry: AuditEntry) -> None:
    """Append an entry to the log."""
    connection.run(
        _INSERT_ENTRY,
        id=entry.id,
        actor_id=entry.actor_id,
        actor_name=entry.actor_name,
        act=entry.act.value,
        account_id=entry.account_id,
        account_name=entry.account_name,
        post_id=entry.post_id,
        report_id=entry.report_id,
        reason=entry.reason,
    )


def log(connection: Connection, *, page: Page, account_id: int | None) -> list[AuditEntry]:
    """Return log entries, newest first; only those about the account if given."""
    if account_id is None:
        return [_entry(row) for row in _LOG.run(connection, page)]
    return [_entry(row) for row in _LOG_OF.run(connection, page, account_id=account_id)]


def insert_warning(
    connection: Connection, *, id: int, account_id: int, act: Act, reason: str, post_id: int
) -> None:
    """Insert a warning to the account; its notification has the same id."""
    connection.run(
        _INSERT_WARNING, id=id, account_id=account_id, act=act.value, reason=reason, post_id=post_id
    )


def warnings(connection: Connection, *, warning_ids: list[int]) -> dict[int, Warning]:
    """Return the existing ones of these warnings, by id."""
    if not warning_ids:
        return {}
    rows = connection.all(_WARNINGS, warning_ids=warning_ids)
    return {row[0]: Warning(row[0], row[1], Act(row[2]), row[3], row[4], time_ms(row[0])) for row in rows}
