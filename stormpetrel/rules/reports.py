"""Reporting an account to the moderators: what can be reported, and notifying the moderators."""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.errors import Invalid, NotFound, TooMany
from stormpetrel.model import text as texts
from stormpetrel.model.account import AccountState
from stormpetrel.model.characters import is_too_long
from stormpetrel.model.event import Notified
from stormpetrel.model.ids import first_id_at
from stormpetrel.model.moderation import (
    MAX_COMMENT,
    MAX_REPORTED_POSTS,
    MAX_RULES,
    Category,
    Report,
)
from stormpetrel.model.notification import Kind
from stormpetrel.rules.posts import visible_ids
from stormpetrel.storage import accounts, instance, posts
from stormpetrel.storage import moderation as stored
from stormpetrel.storage import notifications as stored_notifications
from stormpetrel.storage.engine.connection import Connection

REPORTS_A_DAY = 40
"""Limit per reporter: enough for a person under attack, too few to flood the queue."""
DAY_MS = 86_400_000


def create_report(
    connection: Connection,
    *,
    reporter_id: int,
    account_id: int,
    post_ids: Sequence[int],
    comment: str,
    category: str,
    rule_ids: Sequence[int],
    now_ms: int,
) -> Report:
    """Report an account, with posts of it that the reporter may see, and notify every moderator.

    An empty category is "violation" where rules are named, otherwise "other". A report that repeats an open
    one returns that one, without notifying again. Raise NotFound for an account or post that the reporter
    cannot see, Invalid for oneself and values out of bounds, TooMany after REPORTS_A_DAY.
    """
    if account_id == reporter_id:
        raise Invalid("Validation failed: You cannot report yourself")
    if accounts.state(connection, account_id=account_id) is not AccountState.ACTIVE:
        raise NotFound
    said = texts.clean(comment)
    if is_too_long(said, MAX_COMMENT):
        raise Invalid(f"Validation failed: Comment is too long (maximum is {MAX_COMMENT} characters)")
    if len(post_ids) > MAX_REPORTED_POSTS or len(rule_ids) > MAX_RULES:
        raise Invalid(f"Validation failed: Too many posts or rules (maximum is {MAX_REPORTED_POSTS} each)")
    try:
        kind = Category(category or ("violation" if rule_ids else "other"))
    except ValueError:
        raise Invalid("Validation failed: Category must be spam, legal, violation or other") from None
    known = {rule.id for rule in instance.rules(connection)} if rule_ids else set()
    if not set(rule_ids) <= known:
        raise Invalid("Validation failed: Rule not found")
    wanted = list(dict.fromkeys(post_ids))
    seen = visible_ids(connection, reader_id=reporter_id, post_ids=wanted, now_ms=now_ms)
    found = posts.posts(connection, post_ids=seen)
    if any(post_id not in found or found[post_id].author_id != account_id for post_id in wanted):
        raise NotFound
    # The form may be sent twice at once: the second transaction waits here and then finds the first one's
    # report.
    accounts.lock_user(connection, account_id=reporter_id)
    report = Report(
        id=connection.new_id(now_ms),
        reporter_id=reporter_id,
        account_id=account_id,
        category=kind,
        comment=said,
        post_ids=tuple(wanted),
        rule_ids=tuple(dict.fromkeys(rule_ids)),
        assigned_id=None,
        resolved_at_ms=0,
        created_at_ms=now_ms,
    )
    same = stored.same_open_report(connection, report)
    if same is not None:
        return same
    made = stored.count_reports_by(
        connection, reporter_id=reporter_id, since_id=first_id_at(now_ms - DAY_MS), most=REPORTS_A_DAY
    )
    if made >= REPORTS_A_DAY:
        raise TooMany("You have reported a lot today. Please wait before you report more", retry_after_s=3600)
    stored.insert_report(connection, report)
    for moderator in accounts.team(connection):
        # Notify moderators who block the reporter too: reports are their task.
        if moderator.account_id == account_id:
            continue
        notification_id = connection.new_id(now_ms)
        stored_notifications.insert(
            connection,
            id=notification_id,
            account_id=moderator.account_id,
            kind=Kind.REPORT,
            from_account_id=reporter_id,
            post_id=None,
            report_id=report.id,
        )
        connection.tell(Notified(moderator.account_id, notification_id))
    return report


def own_report(connection: Connection, *, reporter_id: int, report_id: int) -> Report:
    """Return a report to its reporter. Raise NotFound for any other account."""
    found = stored.report(connection, report_id=report_id)
    if found is None or found.reporter_id != reporter_id:
        raise NotFound
    return found
