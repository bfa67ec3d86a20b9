"""The Mastodon API's entities as typed structs, field for field.

Order, names and types are those of Mastodon 4.5 (docs.joinmastodon.org/entities), plus a few fields of 4.6
that typed clients require. Ids are strings, counts are integers, arrays are never null, times are
`2026-01-02T03:04:05.678Z`. Entities about the instance are in instance_entities.py. convert.py makes these
from model values; render.py has the bytes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from stormpetrel import __version__

VERSION = f"4.5.0 (compatible; Stormpetrel {__version__})"
"""Apps parse this: the API version that the server implements, then the software."""
API_VERSIONS = {"mastodon": 2}
"""2: the features of 4.3, mainly grouped notifications. Apps that see it request `/api/v2/notifications`."""

VisibilityName = Literal["public", "unlisted", "private", "direct"]


class Entity(msgspec.Struct, frozen=True):
    """Base of all responses."""


class Error(Entity, frozen=True):
    """The body of every refusal. `details` lists the problems of each field."""

    error: str
    error_description: str | UnsetType = UNSET
    details: dict[str, list[ErrorDetail]] | UnsetType = UNSET


class ErrorDetail(Entity, frozen=True):
    error: str
    description: str


class Nothing(Entity, frozen=True):
    """An empty object: success without data."""


# Accounts ------------------------------------------------------------------------------------------------


class AccountField(Entity, frozen=True):
    name: str
    value: str
    verified_at: str | None = None


class CustomEmoji(Entity, frozen=True):
    shortcode: str
    url: str
    static_url: str
    visible_in_picker: bool
    category: str | None


class TrendingLink(Entity, frozen=True):
    """A link that many posts contain. Links are not counted here."""

    url: str
    title: str
    description: str
    type: str


class Approval(Entity, frozen=True):
    """Who may feature an account or quote a post: no account yet."""

    automatic: tuple[str, ...] = ()
    manual: tuple[str, ...] = ()
    current_user: str = "denied"


class Role(Entity, frozen=True):
    id: str
    name: str
    permissions: str
    color: str = ""
    highlighted: bool = False
    collection_limit: int = 0


class Source(Entity, frozen=True):
    """A profile as its owner wrote it."""

    privacy: VisibilityName
    sensitive: bool
    language: str
    note: str
    fields: list[AccountField]
    follow_requests_count: int
    discoverable: bool
    indexable: bool
    hide_collections: bool = False
    attribution_domains: tuple[str, ...] = ()
    quote_policy: str = "nobody"


class Account(Entity, frozen=True):
    id: str
    username: str
    acct: str
    display_name: str
    locked: bool
    bot: bool
    discoverable: bool
    indexable: bool
    group: bool
    created_at: str
    note: str
    url: str
    uri: str
    avatar: str
    avatar_static: str
    header: str
    header_static: str
    followers_count: int
    following_count: int
    statuses_count: int
    last_status_at: str | None
    hide_collections: bool
    noindex: bool
    emojis: list[CustomEmoji]
    fields: list[AccountField]
    roles: tuple[Role, ...] = ()
    avatar_description: str = ""
    header_description: str = ""
    show_media: bool = True
    show_media_replies: bool = True
    show_featured: bool = True
    feature_approval: Approval = Approval()


class CredentialAccount(Account, frozen=True, kw_only=True):
    """The reader's own account, with the fields that only its owner may see."""

    source: Source
    role: Role


class Profile(Entity, frozen=True, kw_only=True):
    """The reader's own profile, for an app's edit form: plain text, and null where there is no image.

    Settings that this server does not have get the value that apps regard as the default.
    """

    id: str
    display_name: str
    note: str
    fields: list[AccountField]
    avatar: str | None
    avatar_static: str | None
    avatar_description: str = ""
    header: str | None
    header_static: str | None
    header_description: str = ""
    locked: bool
    bot: bool
    hide_collections: bool = False
    discoverable: bool
    indexable: bool
    show_media: bool = True
    show_media_replies: bool = True
    show_featured: bool = True
    attribution_domains: tuple[str, ...] = ()
    featured_tags: list[FeaturedTag]


class MutedAccount(Account, frozen=True, kw_only=True):
    """An account that the reader has muted. `mute_expires_at`: null for a mute without an end."""

    mute_expires_at: str | None


class Relationship(Entity, frozen=True):
    id: str
    following: bool
    showing_reblogs: bool
    notifying: bool
    languages: tuple[str, ...]
    followed_by: bool
    blocking: bool
    blocked_by: bool
    muting: bool
    muting_notifications: bool
    muting_expires_at: str | None
    requested: bool
    requested_by: bool
    domain_blocking: bool
    endorsed: bool
    note: str


class FamiliarFollowers(Entity, frozen=True):
    id: str
    accounts: list[Account]


# Statuses ------------------------------------------------------------------------------------------------


class StatusMention(Entity, frozen=True):
    id: str
    username: str
    url: str
    acct: str


class StatusTag(Entity, frozen=True):
    """A hashtag within a status; a `Tag` has more fields."""

    name: str
    url: str


class StatusApplication(Entity, frozen=True):
    name: str
    website: str | None


class PollOption(Entity, frozen=True):
    """`votes_count` is null while the totals are hidden."""

    title: str
    votes_count: int | None


class Poll(Entity, frozen=True):
    """A poll. `voted` and `own_votes` are present only for a signed-in reader."""

    id: str
    expires_at: str | None
    expired: bool
    multiple: bool
    votes_count: int
    voters_count: int | None
    options: list[PollOption]
    emojis: list[CustomEmoji]
    voted: bool | UnsetType = UNSET
    own_votes: list[int] | UnsetType = UNSET


class Status(Entity, frozen=True):
    """A post. `favourited` to `pinned` are present only for a signed-in reader, `pinned` only on their own
    posts.

    The reader's fields come last: api/json/render.py appends them to bytes that all readers share.
    """

    id: str
    created_at: str
    in_reply_to_id: str | None
    in_reply_to_account_id: str | None
    sensitive: bool
    spoiler_text: str
    visibility: VisibilityName
    language: str | None
    uri: str
    url: str
    replies_count: int
    reblogs_count: int
    favourites_count: int
    quotes_count: int
    edited_at: str | None
    content: str
    application: StatusApplication | None
    account: Account
    media_attachments: list[Any]  # media_entities.MediaAttachment
    mentions: list[StatusMention]
    tags: list[StatusTag]
    emojis: list[CustomEmoji]
    card: None
    poll: Poll | UnsetType | None
    quote: None
    quote_approval: Approval
    tagged_collections: tuple[str, ...]
    reblog: Status | None
    text: str | UnsetType = UNSET
    favourited: bool | UnsetType = UNSET
    reblogged: bool | UnsetType = UNSET
    muted: bool | UnsetType = UNSET
    bookmarked: bool | UnsetType = UNSET
    filtered: list[dict[str, Any]] | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET


class StatusSource(Entity, frozen=True):
    id: str
    text: str
    spoiler_text: str


class Context(Entity, frozen=True):
    ancestors: list[Status]
    descendants: list[Status]


class TagHistory(Entity, frozen=True):
    day: str
    uses: str
    accounts: str


class Tag(Entity, frozen=True):
    id: str
    name: str
    url: str
    history: list[TagHistory]
    following: bool | UnsetType = UNSET
    featuring: bool | UnsetType = UNSET


class Search(Entity, frozen=True):
    accounts: list[Account]
    statuses: list[Status]
    hashtags: list[Tag]
    collections: tuple[str, ...]


# Reading -------------------------------------------------------------------------------------------------


class Report(Entity, frozen=True):
    """A report. `category` and `action_taken_at` are as in Mastodon. Reports are not forwarded yet."""

    id: str
    action_taken: bool
    action_taken_at: str | None
    category: str
    comment: str
    forwarded: bool
    created_at: str
    status_ids: list[str]
    rule_ids: list[str]
    target_account: Account


class AccountWarning(Entity, frozen=True):
    """A moderator's action and its reason. `appeal` is always null: appeals go by mail."""

    id: str
    action: str
    text: str
    status_ids: list[str] | None
    target_account: Account
    appeal: None
    created_at: str


class Notification(Entity, frozen=True):
    """An action of another account. `status`, `report` and `moderation_warning` are present if it is about
    one."""

    id: str
    type: str
    created_at: str
    group_key: str
    account: Account
    status: Status | UnsetType = UNSET
    report: Report | UnsetType = UNSET
    moderation_warning: AccountWarning | UnsetType = UNSET


class NotificationCount(Entity, frozen=True):
    count: int


class NotificationPolicySummary(Entity, frozen=True):
    pending_requests_count: int = 0
    pending_notifications_count: int = 0


class NotificationPolicy(Entity, frozen=True):
    """The policy of an account. An account that moderators silenced notifies only its followers
    (rules/notifications.py: notify), by no one's choice."""

    for_not_following: str = "accept"
    for_not_followers: str = "accept"
    for_new_accounts: str = "accept"
    for_private_mentions: str = "accept"
    for_limited_accounts: str = "drop"
    for_bots: str = "accept"
    summary: NotificationPolicySummary = NotificationPolicySummary()


class Marker(Entity, frozen=True):
    last_read_id: str
    version: int
    updated_at: str


class Markers(Entity, frozen=True):
    home: Marker | UnsetType = UNSET
    notifications: Marker | UnsetType = UNSET


class Preferences(Entity, frozen=True):
    default_visibility: VisibilityName = msgspec.field(name="posting:default:visibility")
    default_sensitive: bool = msgspec.field(name="posting:default:sensitive")
    default_language: str | None = msgspec.field(name="posting:default:language")
    default_quote_policy: str = msgspec.field(name="posting:default:quote_policy", default="nobody")
    expand_media: str = msgspec.field(name="reading:expand:media", default="default")
    expand_spoilers: bool = msgspec.field(name="reading:expand:spoilers", default=False)
    autoplay_gifs: bool = msgspec.field(name="reading:autoplay:gifs", default=False)


class UserList(Entity, frozen=True):
    id: str
    title: str
    replies_policy: str
    exclusive: bool


class FeaturedTag(Entity, frozen=True):
    id: str
    name: str
    url: str
    statuses_count: str
    last_status_at: str | None


class Suggestion(Entity, frozen=True):
    source: str
    sources: list[str]
    account: Account


class Conversation(Entity, frozen=True):
    id: str
    unread: bool
    accounts: list[Account]
    last_status: Status | None


class Card(Entity, frozen=True):
    """A link that many accounts share."""

    url: str
    title: str


class NotificationRequest(Entity, frozen=True):
    """The filtered notifications of one sender; `notifications_count` is text, as in Mastodon."""

    id: str
    created_at: str
    updated_at: str
    notifications_count: str
    account: Account
    last_status: Status | None


class Merged(Entity, frozen=True):
    """True if the list contains the notifications that were filtered and then accepted."""

    merged: bool


class Token(Entity, frozen=True):
    """An access token, shown once."""

    access_token: str
    token_type: str
    scope: str
    created_at: int
