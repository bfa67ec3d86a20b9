"""Relationships between two accounts."""

from __future__ import annotations

import msgspec


class Relationship(msgspec.Struct, frozen=True):
    """The relationship between a reader and `account_id` (the target), as the reader sees it.

    `languages`: only posts in these are shown, empty for all. `muting_until_ms` 0: no expiry. `note`: the
    reader's private note about the target.
    """

    account_id: int
    following: bool = False
    show_boosts: bool = False
    notify: bool = False
    followed_by: bool = False
    blocking: bool = False
    blocked_by: bool = False
    muting: bool = False
    muting_notifications: bool = False
    requested: bool = False
    requested_by: bool = False
    languages: tuple[str, ...] = ()
    note: str = ""
    endorsed: bool = False
    muting_until_ms: int = 0
