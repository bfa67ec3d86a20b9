"""Lists of accounts: a smaller home timeline of one's own making."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_LISTS = 50
"""Lists of one account (Mastodon's limit)."""
MAX_MEMBERS = 500
"""Accounts in one list: what the list's members cost a reading stays that of a home timeline."""
MAX_TITLE = 255


class RepliesPolicy(StrEnum):
    """Which of the members' replies a list shows: to anybody one follows, to other members, or none."""

    FOLLOWED = "followed"
    LIST = "list"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class AccountList:
    """A list. `exclusive`: its members' posts are left out of the owner's home timeline."""

    id: int
    account_id: int
    title: str
    replies_policy: RepliesPolicy
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Audience:
    """Whose list it is, who is in it and which replies it shows: what decides whether a post belongs in it."""

    list_id: int
    owner_id: int
    member_ids: frozenset[int]
    replies_policy: RepliesPolicy
