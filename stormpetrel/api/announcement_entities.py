"""What the API says of announcements. Reports and warnings stand in notifications, so they are in entities.py."""

from __future__ import annotations

from stormpetrel.api.entities import CustomEmoji, Entity, Nothing, StatusMention, StatusTag


class Announcement(Entity, frozen=True):
    """What the admins tell everybody. `read` is there for who is signed in, as this list only is."""

    id: str
    content: str
    starts_at: str | None
    ends_at: str | None
    all_day: bool
    published_at: str
    updated_at: str
    read: bool
    mentions: list[StatusMention]
    statuses: list[Nothing]
    tags: list[StatusTag]
    emojis: list[CustomEmoji]
    reactions: list[Nothing]
