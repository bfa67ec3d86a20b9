"""Notifications: what others did that concerns one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stormpetrel.model.ids import first_id_at, parse_id


class Kind(StrEnum):
    """What happened. `post`: somebody posted whose posts one wants to be told of. The API calls that *status*,
    and a boost *reblog*; api/convert.py translates. `poll`: one that one asked or voted in has ended. `update`: a
    post that one boosted was edited."""

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


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification of one account. `post_id` is the post it is about, if any."""

    id: int
    account_id: int
    kind: Kind
    from_account_id: int
    post_id: int | None
    created_at_ms: int
    report_id: int = 0


GROUPED = (Kind.FAVOURITE, Kind.BOOST, Kind.FOLLOW, Kind.SIGN_UP)
"""Kinds that are told together: what many do with the same post, or who else follows."""
GROUP_MS = 12 * 3_600_000
"""What is told together happened in one half of a day, by UTC (Mastodon's longest span; it begins at the first)."""
UNGROUPED = "ungrouped"


@dataclass(frozen=True, slots=True)
class GroupKey:
    """Which notifications are told together: of a kind, about a post (0: about none), in one span of GROUP_MS."""

    kind: Kind
    post_id: int
    span: int

    @property
    def first_id(self) -> int:
        """No notification of the group has a smaller id."""
        return first_id_at(self.span * GROUP_MS)

    @property
    def end_id(self) -> int:
        """All of the group have smaller ids."""
        return first_id_at((self.span + 1) * GROUP_MS)

    def __str__(self) -> str:
        return f"{self.kind.value}-{self.post_id}-{self.span}"


def group_key(notification: Notification) -> GroupKey | None:
    """The group that the notification belongs to; None when it stands for itself."""
    if notification.kind not in GROUPED:
        return None
    span = notification.created_at_ms // GROUP_MS
    return GroupKey(notification.kind, notification.post_id or 0, span)


def key_text(notification: Notification) -> str:
    """The key of its group; one of its own when it stands for itself."""
    key = group_key(notification)
    return f"{UNGROUPED}-{notification.id}" if key is None else str(key)


def parse_group_key(text: str) -> GroupKey | int | None:
    """The group of a key, the id of the notification that stands for itself, or None for what is no key."""
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
"""Of a span's number: enough for the next 1,300 years."""


@dataclass(frozen=True, slots=True)
class NotificationGroup:
    """Notifications that are told as one. `oldest_id`, `count` and `account_ids` (some of those who did it, the last
    first) are about those that were looked at; `newest` is the newest of them."""

    key: str
    newest: Notification
    oldest_id: int
    count: int
    account_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Marker:
    """How far a reader has read a timeline (`home` or `notifications`)."""

    timeline: str
    last_read_id: int
    version: int
    updated_at_ms: int
