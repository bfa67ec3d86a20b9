"""The entities of reports and of moderators' warnings."""

from __future__ import annotations

from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import Account, AccountWarning, Report
from stormpetrel.model.moderation import Act, Warning
from stormpetrel.model.moderation import Report as ModelReport

ACTIONS = {
    Act.HIDE: "delete_statuses",
    Act.DELETE_POST: "delete_statuses",
    Act.MARK_SENSITIVE: "mark_statuses_as_sensitive",
    Act.SILENCE: "silence",
    Act.SUSPEND: "suspend",
}
"""Mastodon's names for acts. It has none for undone acts ("none"): the warning's text describes them."""

_HEADINGS = {
    Act.HIDE: "Your post was hidden by the moderators; only you and they can see it.",
    Act.UNHIDE: "Your post is visible again.",
    Act.UNSILENCE: "Your account is no longer limited.",
    Act.UNSUSPEND: "Your account is no longer suspended.",
}


def report_entity(report: ModelReport, target: Account) -> Report:
    """Return the entity of a report, with the reported account."""
    done = report.resolved_at_ms
    return Report(
        id=str(report.id),
        action_taken=bool(done),
        action_taken_at=convert.timestamp(done) if done else None,
        category=report.category.value,
        comment=report.comment,
        forwarded=False,
        created_at=convert.timestamp(report.created_at_ms),
        status_ids=[str(post_id) for post_id in report.post_ids],
        rule_ids=[str(rule_id) for rule_id in report.rule_ids],
        target_account=target,
    )


def warning_entity(warning: Warning, target: Account) -> AccountWarning:
    """Return the entity of a warning for the warned account."""
    heading = _HEADINGS.get(warning.act)
    return AccountWarning(
        id=str(warning.id),
        action=ACTIONS.get(warning.act, "none"),
        text=f"{heading} {warning.reason}" if heading else warning.reason,
        status_ids=[str(warning.post_id)] if warning.post_id else None,
        target_account=target,
        appeal=None,
        created_at=convert.timestamp(warning.created_at_ms),
    )
