"""Notifications: events that concern an account."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from stormpetrel.model.ids import first_id_at, parse_id


class Kind(StrEnum):
    """The kind of event. The API calls a post *status* and a boost *reblog*; api/json/convert.py translates.

    `post`: an account posted whose posts the recipient subscribed to. `poll`: a poll that the recipient
    created or voted in has ended. `update`: a post that the recipient boosted was edited.
    """

    MENTION = "mention"
    POST = "post"
    BOOST = "boost"
    FOLLOW = "follow"
    FOLLOW_REQUEST = "follow_request"
    FAVOURITE = "favourite"
    SIGN_UP = "sign_up"
    REPORT = "report"
    WARNING = "warning"
    POLL = "poll"
    UPDATE = "update"


class Notification(msgspec.Struct, frozen=True):
    """One notification of one account. `post_id` is the post it is about, if any."""

    id: int
    account_id: int
    kind: Kind
    from_account_id: int
    post_id: int | None
    created_at_ms: int
    report_id: int = 0


GROUPED = (Kind.FAVOURITE, Kind.BOOST, Kind.FOLLOW, Kind.SIGN_UP)
"""Kinds that are grouped: reactions to the same post, follows, and sign-ups."""
GROUP_MS = 12 * 3_600_000
"""A group covers one half of a day in UTC. (12 hours is also Mastodon's longest span, which
begins at the first one.)
"""
UNGROUPED = "ungrouped"


class GroupKey(msgspec.Struct, frozen=True):
    """A group of notifications: of a kind, about a post (0: about none), in one span of GROUP_MS."""

    kind: Kind
    post_id: int
    span: int

    @property
    def first_id(self) -> int:
        """Return a lower bound: no notification of the group has a smaller id."""
        return first_id_at(self.span * GROUP_MS)

    @property
    def end_id(self) -> int:
        """Return an upper bound: all notifications of the group have smaller ids."""
        return first_id_at((self.span + 1) * GROUP_MS)

    def __str__(self) -> str:
        return f"{self.kind.value}-{self.post_id}-{self.span}"


def group_key(notification: Notification) -> GroupKey | None:
    """Return the group that the notification belongs to; None if it is not grouped."""
    if notification.kind not in GROUPED:
        return None
    span = notification.created_at_ms // GROUP_MS
    return GroupKey(notification.kind, notification.post_id or 0, span)


def key_text(notification: Notification) -> str:
    """Return the key of the notification's group, or its own key if it is not grouped."""
    key = group_key(notification)
    return f"{UNGROUPED}-{notification.id}" if key is None else str(key)


def parse_group_key(text: str) -> GroupKey | int | None:
    """Return the group of a key, the id of a notification that is not grouped, or None for an invalid key."""
    name, _, rest = text.partition("-")
    if name == UNGROUPED:
        return parse_id(rest)
    post, _, span = rest.partition("-")
    kind = next((kind for kind in GROUPED if kind.value == name), None)
    if kind is None or not span.isascii() or not span.isdigit() or len(span) > SPAN_DIGITS:
        return None
    post_id = 0 if post == "0" else parse_id(post)
    return None if post_id is None else GroupKey(kind, post_id, int(span))


SPAN_DIGITS = 6
"""Digits of a span's number: enough for the next 1,300 years."""


class NotificationGroup(msgspec.Struct, frozen=True):
    """A group of notifications, counting those that were read.

    `newest` is the newest of them; `account_ids` are some of the accounts that caused them, the latest first.
    """

    key: str
    newest: Notification
    oldest_id: int
    count: int
    account_ids: tuple[int, ...]


class Marker(msgspec.Struct, frozen=True):
    """How far a reader has read a timeline (`home` or `notifications`)."""

    timeline: str
    last_read_id: int
    version: int
    updated_at_ms: int
