"""The API's entities of announcements. Those of reports and warnings are part of entities.py."""

from __future__ import annotations

from stormpetrel.api.json.entities import CustomEmoji, Entity, Nothing, StatusMention, StatusTag


class Announcement(Entity, frozen=True):
    """An announcement of the administrators. `read` is always present: the reader must be signed in."""

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
