"""Notifications: what others did that concerns one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class Marker:
    """How far a reader has read a timeline (`home` or `notifications`)."""

    timeline: str
    last_read_id: int
    version: int
    updated_at_ms: int
