"""The instance as a whole: its counts, its texts and rules, announcements and blocked e-mail domains."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.audience.periods import periods_at
from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.account import Account, AccountState, ascii_domain, email_problem
from stormpetrel.model.characters import is_too_long, trimmed
from stormpetrel.model.event import InstanceChanged
from stormpetrel.model.moderation import (
    MAX_ANNOUNCEMENT,
    MAX_HINT,
    MAX_RULE,
    MAX_RULES,
    MAX_TEXT,
    TEXT_NAMES,
    Act,
    Announcement,
    InstanceRule,
    InstanceText,
    Moderator,
)
from stormpetrel.model.text import clean, excerpt
from stormpetrel.rules import audience
from stormpetrel.rules.moderation import note, require_admin
from stormpetrel.storage import accounts
from stormpetrel.storage import instance as stored
from stormpetrel.storage.engine.connection import Connection

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MONTH_MS = 30 * DAY_MS
ACTIVITY_WEEKS = 12
EXCERPT = 80
"""Number of characters of an announcement that the audit log shows."""


@dataclass(frozen=True, slots=True)
class InstanceCounts:
    """Accounts, posts, and active accounts of a month and of half a year."""

    users: int
    posts: int
    active_month: int
    active_halfyear: int


@dataclass(frozen=True, slots=True)
class CountedPart:
    """Active accounts and their posts; `last_id`: where the next part begins, None after the last."""

    users: int
    posts: int
    last_id: int | None


def count_some(connection: Connection, *, after_id: int, most: int) -> CountedPart:
    """Count the next `most` accounts: counting all at once would delay other reads on a large instance."""
    users, posts, last_id = accounts.count_some(connection, after_id=after_id, most=most)
    return CountedPart(users, posts, last_id)


def active_members(connection: Connection, *, now_ms: int) -> tuple[int, int]:
    """Return how many members were active in a month, and in half a year.

    These are the members who came, where they are counted (rules/audience.py), and at least those who have posted in
    the last 30 days.
    """
    posted = accounts.count_active(connection, since_ms=now_ms - MONTH_MS)
    month, half_year = audience.active_months(connection, now_ms=now_ms)
    return max(posted, month), max(posted, half_year)


@dataclass(frozen=True, slots=True)
class Week:
    """Use of the instance in one week, which begins on Monday at `start_ms`. `active`: members who came, if that was
    counted, and at least those who posted."""

    start_ms: int
    posts: int
    active: int
    sign_ups: int


def week_starts(now_ms: int) -> list[int]:
    """Return the starts of the last ACTIVITY_WEEKS weeks, the current one first; in ms since 1970."""
    # 1 January 1970 was a Thursday.
    monday_ms = now_ms - (now_ms + 3 * DAY_MS) % WEEK_MS
    return [monday_ms - week * WEEK_MS for week in range(ACTIVITY_WEEKS)]


def week(connection: Connection, *, start_ms: int) -> Week:
    """Return the use of the instance in the week that began at `start_ms`."""
    posts, authors, sign_ups = accounts.activity(connection, from_ms=start_ms, until_ms=start_ms + WEEK_MS)
    _, period, _ = periods_at(start_ms / 1000)
    (came,) = audience.active_members(connection, periods=[period.name])
    return Week(start_ms, posts, max(authors, came), sign_ups)


def contact(connection: Connection) -> Account | None:
    """Return the contact account: the first active admin, or None."""
    for account_id in sorted(accounts.admin_ids(connection)):
        found = accounts.account(connection, account_id=account_id)
        if found is not None and found.state is AccountState.ACTIVE:
            return found
    return None


# Texts of the instance. All visitors may read them; changes are for admins and go to the audit log.


def texts(connection: Connection) -> dict[str, InstanceText]:
    """Return the published texts by name."""
    return stored.texts(connection)


def text(connection: Connection, *, name: str) -> InstanceText:
    """Return a published text. Raise NotFound where there is none."""
    found = stored.text(connection, name=name)
    if found is None:
        raise NotFound("The admins have not published this document")
    return found


def rules(connection: Connection) -> list[InstanceRule]:
    """Return the rules in their order."""
    return stored.rules(connection)


def _written(text: str, *, most: int, name: str) -> str:
    said = clean(text)
    if is_too_long(said, most):
        raise Invalid(f"Validation failed: {name} is too long (maximum is {most} characters)")
    return said


def set_text(connection: Connection, actor: Moderator, *, name: str, text: str, now_ms: int) -> None:
    """Publish a text, one of TEXT_NAMES; an empty one withdraws it."""
    require_admin(actor)
    if name not in TEXT_NAMES:
        raise Invalid(f"Unknown text {name!r} (known: {', '.join(TEXT_NAMES)})")
    said = _written(text, most=MAX_TEXT, name="Text")
    stored.put_text(connection, name=name, text=said, now_ms=now_ms)
    connection.tell(InstanceChanged())
    note(connection, actor, Act.TEXTS, reason=f"{name} {'changed' if said else 'withdrawn'}", now_ms=now_ms)


def add_rule(connection: Connection, actor: Moderator, *, text: str, hint: str, now_ms: int) -> int:
    """Add a rule and return its id. Raise Invalid above MAX_RULES."""
    require_admin(actor)
    said = _written(text, most=MAX_RULE, name="Rule")
    if not said:
        raise Invalid("Validation failed: Rule can't be blank")
    explained = _written(hint, most=MAX_HINT, name="Hint")
    if len(stored.rules(connection)) >= MAX_RULES:
        raise Invalid(f"Validation failed: Too many rules (maximum is {MAX_RULES})")
    rule_id = connection.new_id(now_ms)
    stored.insert_rule(connection, id=rule_id, text=said, hint=explained)
    connection.tell(InstanceChanged())
    note(connection, actor, Act.TEXTS, reason=f"rule added: {said}", now_ms=now_ms)
    return rule_id


def remove_rule(connection: Connection, actor: Moderator, *, rule_id: int, now_ms: int) -> None:
    """Remove a rule. Raise NotFound."""
    require_admin(actor)
    gone = next((rule for rule in stored.rules(connection) if rule.id == rule_id), None)
    if gone is None:
        raise NotFound("Rule not found")
    stored.delete_rule(connection, rule_id=rule_id)
    connection.tell(InstanceChanged())
    note(connection, actor, Act.TEXTS, reason=f"rule removed: {gone.text}", now_ms=now_ms)


def announcements(connection: Connection, *, reader_id: int | None) -> list[Announcement]:
    """Return the admins' announcements, newest first."""
    return stored.announcements(connection, reader_id=reader_id or 0)


def announce(connection: Connection, actor: Moderator, *, text: str, now_ms: int) -> int:
    """Publish an announcement and return its id."""
    require_admin(actor)
    said = _written(text, most=MAX_ANNOUNCEMENT, name="Announcement")
    if not said:
        raise Invalid("Validation failed: Announcement can't be blank")
    announcement_id = connection.new_id(now_ms)
    stored.insert_announcement(connection, id=announcement_id, text=said, now_ms=now_ms)
    note(connection, actor, Act.TEXTS, reason=f"announced: {excerpt(said, EXCERPT)}", now_ms=now_ms)
    return announcement_id


def withdraw(connection: Connection, actor: Moderator, *, announcement_id: int, now_ms: int) -> None:
    """Withdraw an announcement. Raise NotFound."""
    require_admin(actor)
    if not stored.delete_announcement(connection, announcement_id=announcement_id):
        raise NotFound("Announcement not found")
    note(connection, actor, Act.TEXTS, reason=f"announcement {announcement_id} withdrawn", now_ms=now_ms)


def dismiss(connection: Connection, *, account_id: int, announcement_id: int) -> None:
    """Mark the announcement as read by the account. Raise NotFound."""
    if not stored.dismiss(connection, announcement_id=announcement_id, account_id=account_id):
        raise NotFound


def email_domains(connection: Connection) -> list[str]:
    """Return the domains whose addresses may not sign up, by name."""
    return stored.email_domains(connection)


def _domain(written: str) -> str:
    return ascii_domain(trimmed(written).removeprefix("@"))


def block_email_domain(connection: Connection, actor: Moderator, *, domain: str, now_ms: int) -> None:
    """Refuse sign-ups with addresses at the domain or its subdomains."""
    require_admin(actor)
    name = _domain(domain)
    if email_problem(f"a@{name}") is not None:
        raise Invalid(
            "Validation failed: Domain is not a domain name", fields={"domain": "is not a domain name"}
        )
    stored.block_email_domain(connection, domain=name, now_ms=now_ms)
    note(connection, actor, Act.EMAIL_DOMAINS, reason=f"{name} blocked", now_ms=now_ms)


def unblock_email_domain(connection: Connection, actor: Moderator, *, domain: str, now_ms: int) -> None:
    """Accept sign-ups with the domain again. Raise NotFound if it was not blocked."""
    require_admin(actor)
    name = _domain(domain)
    if not stored.unblock_email_domain(connection, domain=name):
        raise NotFound(f"{name} is not blocked")
    note(connection, actor, Act.EMAIL_DOMAINS, reason=f"{name} unblocked", now_ms=now_ms)
