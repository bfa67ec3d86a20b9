"""Details of notifications that are not about a post: a report, or a moderator's decision."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stormpetrel.api.json import convert
from stormpetrel.api.json.report_entities import report_entity, warning_entity
from stormpetrel.model.notification import Kind, Notification
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import moderation as moderation_rules
from stormpetrel.storage.engine.connection import Connection

_encode = msgspec.json.Encoder().encode

WITH_DETAILS = (Kind.REPORT, Kind.WARNING)
"""Kinds of notifications that have such details."""


def details(
    connection: Connection, *, notifications: Sequence[Notification], base_url: str
) -> dict[int, bytes]:
    """Return the additional member of each notification's object, by the notification's id."""
    warnings = moderation_rules.warnings(
        connection, warning_ids=[n.id for n in notifications if n.kind is Kind.WARNING]
    )
    reports = moderation_rules.reports(
        connection, report_ids=[n.report_id for n in notifications if n.kind is Kind.REPORT]
    )
    ids = [*(w.account_id for w in warnings.values()), *(r.account_id for r in reports.values())]
    accounts = {
        account.id: convert.account(account, base_url=base_url)
        for account in account_rules.accounts(connection, account_ids=ids)
    }
    found: dict[int, bytes] = {}
    for notification in notifications:
        warning = warnings.get(notification.id)
        report = reports.get(notification.report_id)
        if warning is not None and warning.account_id in accounts:
            entity = warning_entity(warning, accounts[warning.account_id])
            found[notification.id] = b',"moderation_warning":' + _encode(entity)
        elif report is not None and report.account_id in accounts:
            target = accounts[report.account_id]
            found[notification.id] = b',"report":' + _encode(report_entity(report, target))
    return found
