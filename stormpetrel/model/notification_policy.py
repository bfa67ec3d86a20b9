"""The policy of an account for notifications from accounts that it may not know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stormpetrel.model.notification import Kind

DAY_MS = 86_400_000
NEW_ACCOUNT_MS = 30 * DAY_MS
"""An account is new for this long, as in Mastodon."""
NEW_FOLLOWER_MS = 3 * DAY_MS
"""A follower counts as one after this time, as in Mastodon: following must not be a way around the policy."""

GOVERNED = frozenset({Kind.MENTION, Kind.BOOST, Kind.FAVOURITE, Kind.FOLLOW, Kind.FOLLOW_REQUEST})
"""Kinds that the policy applies to. The others tell the account of what it asked for, or of moderation."""


class Choice(StrEnum):
    """The treatment of a notification. `filter`: it waits in a request until the account accepts the sender."""

    ACCEPT = "accept"
    FILTER = "filter"
    DROP = "drop"


_STRICTNESS = (Choice.ACCEPT, Choice.FILTER, Choice.DROP)


@dataclass(frozen=True, slots=True)
class NotificationPolicy:
    """The choice for each sort of sender."""

    for_not_following: Choice = Choice.ACCEPT
    for_not_followers: Choice = Choice.ACCEPT
    for_new_accounts: Choice = Choice.ACCEPT
    for_private_mentions: Choice = Choice.ACCEPT
    for_bots: Choice = Choice.ACCEPT


@dataclass(frozen=True, slots=True)
class KnownSender:
    """The sender of a notification, as its recipient knows it.

    `follows_since_ms`: None if it does not follow the recipient. `is_uninvited`: it mentions the recipient in
    a direct post that answers nothing of the recipient's.
    """

    is_followed: bool
    follows_since_ms: int | None
    created_at_ms: int
    is_bot: bool
    is_uninvited: bool


def choice(policy: NotificationPolicy, sender: KnownSender, *, now_ms: int) -> Choice:
    """Return the strictest choice of those that apply to the sender."""
    applying = [Choice.ACCEPT]
    if sender.follows_since_ms is None or now_ms - sender.follows_since_ms < NEW_FOLLOWER_MS:
        applying.append(policy.for_not_followers)
    if not sender.is_followed:
        applying.append(policy.for_not_following)
        if now_ms - sender.created_at_ms < NEW_ACCOUNT_MS:
            applying.append(policy.for_new_accounts)
        if sender.is_uninvited:
            applying.append(policy.for_private_mentions)
        if sender.is_bot:
            applying.append(policy.for_bots)
    return max(applying, key=_STRICTNESS.index)


@dataclass(frozen=True, slots=True)
class NotificationRequest:
    """The filtered notifications of one sender.

    `id` is the id of the oldest of them; `last_post_id` is the post of the newest mention, if there is one.
    """

    id: int
    from_account_id: int
    newest_id: int
    count: int
    last_post_id: int | None
