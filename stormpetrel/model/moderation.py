"""Moderation: reports, the acts of moderators, and who may carry them out on which account."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stormpetrel.model.account import Role

MAX_COMMENT = 1000
MAX_REASON = 1000
MAX_REPORTED_POSTS = 40
MAX_RULES = 40
MAX_RULE = 300
MAX_HINT = 500
MAX_TEXT = 50_000
MAX_ANNOUNCEMENT = 2000

TEXT_NAMES = ("extended_description", "privacy_policy", "terms_of_service")
"""Texts that an instance may publish about itself."""

RANKS = {Role.MEMBER: 0, Role.MODERATOR: 1, Role.ADMIN: 2}


class Category(StrEnum):
    """The reason for a report. `violation`: of the instance's rules."""

    SPAM = "spam"
    LEGAL = "legal"
    VIOLATION = "violation"
    OTHER = "other"


class Act(StrEnum):
    """The acts in the audit log."""

    RESOLVE = "resolve"
    ASSIGN = "assign"
    WARN = "warn"
    HIDE = "hide"
    UNHIDE = "unhide"
    MARK_SENSITIVE = "mark_sensitive"
    DELETE_POST = "delete_post"
    SILENCE = "silence"
    UNSILENCE = "unsilence"
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"
    SET_ROLE = "set_role"
    APPROVE = "approve"
    REJECT = "reject"
    TEXTS = "texts"
    EMAIL_DOMAINS = "email_domains"
    LINK_PHONE = "link_phone"
    UNLINK_PHONE = "unlink_phone"
    UNLOCK_PHONE = "unlock_phone"
    PAUSE_ROUTE = "pause_route"
    RESUME_ROUTE = "resume_route"
    REPLAY_TEXT = "replay_text"
    SHIELD_ALLOW = "shield_allow"
    SHIELD_DENY = "shield_deny"
    SHIELD_UNDO = "shield_undo"
    SHIELD_PAUSE = "shield_pause"
    STATUS_PAGE = "status_page"
    PUBLISH_REPORT = "publish_report"
    WITHDRAW_REPORT = "withdraw_report"


WARNED = frozenset(
    {Act.WARN, Act.HIDE, Act.MARK_SENSITIVE, Act.DELETE_POST, Act.SILENCE, Act.UNSILENCE, Act.UNHIDE}
    | {Act.SUSPEND, Act.UNSUSPEND}
)
"""Acts that notify the account they concern."""


@dataclass(frozen=True, slots=True)
class Moderator:
    """The moderator who acts. `account_id` 0: the operator at the command line, with the rights of an admin."""

    account_id: int
    name: str
    role: Role


COMMAND_LINE = Moderator(0, "cli", Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Report:
    """A report about an account. `resolved_at_ms` 0: it is open."""

    id: int
    reporter_id: int
    account_id: int
    category: Category
    comment: str
    post_ids: tuple[int, ...]
    rule_ids: tuple[int, ...]
    assigned_id: int | None
    resolved_at_ms: int
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the audit log. Ids are 0 where there is none; names are those at the time of the act."""

    id: int
    actor_id: int
    actor_name: str
    act: Act
    account_id: int
    account_name: str
    post_id: int
    report_id: int
    reason: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Warning:
    """The notice that an account got about an act. `post_id` 0: it was about the account."""

    id: int
    account_id: int
    act: Act
    reason: str
    post_id: int
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class InstanceRule:
    """A rule of the instance."""

    id: int
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class InstanceText:
    """A text that the instance publishes, as written."""

    name: str
    text: str
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class Announcement:
    """An announcement of the admins to all readers. `read`: the reader has dismissed it."""

    id: int
    text: str
    created_at_ms: int
    updated_at_ms: int
    read: bool


def outranks(actor: Moderator, *, target_id: int, target_role: Role) -> bool:
    """Return True if the actor may act on the target: moderators on members, admins on
    all, no one on themselves.
    """
    if actor.account_id == target_id:
        return False
    return actor.role is Role.ADMIN or RANKS[actor.role] > RANKS[target_role]
