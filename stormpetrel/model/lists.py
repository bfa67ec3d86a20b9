"""Lists of accounts: each is a smaller home timeline of its owner."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_LISTS = 50
"""Limit of lists per account (Mastodon's limit)."""
MAX_MEMBERS = 500
"""Limit of accounts per list: reading a list then costs no more than reading a home timeline."""
MAX_TITLE = 255


class RepliesPolicy(StrEnum):
    """Which of the members' replies a list shows: to any account that its owner follows,
    to other members, or none.
    """

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
    """Owner, members and replies policy of a list, which decide whether a post belongs in it."""

    list_id: int
    owner_id: int
    member_ids: frozenset[int]
    replies_policy: RepliesPolicy
