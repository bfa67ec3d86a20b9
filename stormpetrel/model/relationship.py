"""What one account is to another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relationship:
    """How `account_id` (the target) stands to the reader who asks."""

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
