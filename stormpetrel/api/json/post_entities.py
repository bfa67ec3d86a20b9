"""The Mastodon API's entities for edits and scheduled posts, as typed structs."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from stormpetrel.api.json.entities import Account, CustomEmoji, Entity, VisibilityName
from stormpetrel.api.json.media_entities import MediaAttachment


class EditedPollOption(Entity, frozen=True):
    title: str


class EditedPoll(Entity, frozen=True):
    options: list[EditedPollOption]


class StatusEdit(Entity, frozen=True):
    """A version of a post. `poll` is present only if the version had one."""

    content: str
    spoiler_text: str
    sensitive: bool
    created_at: str
    account: Account
    media_attachments: list[MediaAttachment]
    emojis: list[CustomEmoji]
    poll: EditedPoll | UnsetType = UNSET


class ScheduledPoll(Entity, frozen=True):
    options: list[str]
    expires_in: str
    multiple: bool
    hide_totals: bool


class ScheduledParams(Entity, frozen=True):
    """The post to create."""

    text: str
    poll: ScheduledPoll | None
    media_ids: list[str] | None
    sensitive: bool | None
    spoiler_text: str | None
    visibility: VisibilityName | None
    in_reply_to_id: str | None
    language: str | None
    application_id: str
    scheduled_at: None = None
    idempotency: None = None
    with_rate_limit: bool = False


class ScheduledStatus(Entity, frozen=True):
    id: str
    scheduled_at: str
    params: ScheduledParams
    media_attachments: list[MediaAttachment]
