"""What the API answers: the Mastodon API's entities as typed structs, field for field.

Order, names and types are Mastodon 4.5's (docs.joinmastodon.org/entities); a few fields of 4.6 are there too,
where typed clients miss them. Ids are strings, counts integers, arrays never null, times
`2026-01-02T03:04:05.678Z`. How model values become these is in api/convert.py; bytes are in api/render.py.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from stormpetrel import __version__

VERSION = f"4.5.0 (compatible; Stormpetrel {__version__})"
"""What apps parse: the API that we speak, then who speaks it."""
API_VERSIONS = {"mastodon": 1}
"""1: what came before 4.3. From 2 on apps ask for grouped notifications, which do not exist here yet."""

VisibilityName = Literal["public", "unlisted", "private", "direct"]


class Entity(msgspec.Struct, frozen=True):
    """Base of all answers."""


class Error(Entity, frozen=True):
    """Every refusal. `details` says what is wrong with which field."""

    error: str
    error_description: str | UnsetType = UNSET
    details: dict[str, list[ErrorDetail]] | UnsetType = UNSET


class ErrorDetail(Entity, frozen=True):
    error: str
    description: str


class Nothing(Entity, frozen=True):
    """An empty object: done, and there is nothing to say."""


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


class Approval(Entity, frozen=True):
    """Who may feature an account, or quote a post: nobody yet."""

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
    hide_collections: bool = False
    indexable: bool = False
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
    """The account of the one who asks, with what only its owner may see."""

    source: Source
    role: Role


class MutedAccount(Account, frozen=True, kw_only=True):
    """An account that one has muted. `mute_expires_at`: null for ever."""

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
    """A hashtag within a status; a `Tag` says more."""

    name: str
    url: str


class StatusApplication(Entity, frozen=True):
    name: str
    website: str | None


class MediaAttachment(Entity, frozen=True):
    id: str
    type: str
    url: str
    preview_url: str


class Status(Entity, frozen=True):
    """A post. `favourited` to `pinned` are there only for a reader who is signed in, `pinned` on one's own.

    The reader's fields come last: api/render.py puts them behind bytes that are the same for everybody.
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
    media_attachments: list[MediaAttachment]
    mentions: list[StatusMention]
    tags: list[StatusTag]
    emojis: list[CustomEmoji]
    card: None
    poll: None
    quote: None
    quote_approval: Approval
    tagged_collections: tuple[str, ...]
    reblog: Status | None
    text: str | UnsetType = UNSET
    favourited: bool | UnsetType = UNSET
    reblogged: bool | UnsetType = UNSET
    muted: bool | UnsetType = UNSET
    bookmarked: bool | UnsetType = UNSET
    filtered: tuple[str, ...] | UnsetType = UNSET
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


class Notification(Entity, frozen=True):
    """What others did. `status` is there when it is about one."""

    id: str
    type: str
    created_at: str
    group_key: str
    account: Account
    status: Status | UnsetType = UNSET


class NotificationCount(Entity, frozen=True):
    count: int


class NotificationPolicySummary(Entity, frozen=True):
    pending_requests_count: int = 0
    pending_notifications_count: int = 0


class NotificationPolicy(Entity, frozen=True):
    """Everything is accepted: there is no filter of notifications yet."""

    for_not_following: str = "accept"
    for_not_followers: str = "accept"
    for_new_accounts: str = "accept"
    for_private_mentions: str = "accept"
    for_limited_accounts: str = "accept"
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


class Filter(Entity, frozen=True):
    """A filter of version 2; there are none yet."""

    id: str
    title: str
    context: list[str]
    expires_at: str | None
    filter_action: str
    keywords: list[Nothing]
    statuses: list[Nothing]


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


class Announcement(Entity, frozen=True):
    id: str
    content: str
    published_at: str


class Suggestion(Entity, frozen=True):
    source: str
    sources: list[str]
    account: Account


class Conversation(Entity, frozen=True):
    id: str
    unread: bool
    accounts: list[Account]
    last_status: Status | None


class ScheduledStatus(Entity, frozen=True):
    id: str
    scheduled_at: str


class Card(Entity, frozen=True):
    """A link that many share."""

    url: str
    title: str


class NotificationRequest(Entity, frozen=True):
    id: str
    account: Account


# The instance --------------------------------------------------------------------------------------------


class AccountLimits(Entity, frozen=True):
    max_display_name_length: int
    max_note_length: int
    max_profile_fields: int
    profile_field_name_limit: int
    profile_field_value_limit: int
    max_featured_tags: int = 0
    max_pinned_statuses: int = 0
    max_avatar_description_length: int = 0
    max_header_description_length: int = 0


class StatusLimits(Entity, frozen=True):
    max_characters: int
    characters_reserved_per_url: int
    max_media_attachments: int = 0


class MediaLimits(Entity, frozen=True):
    """No media yet: nothing is accepted, of no size."""

    supported_mime_types: tuple[str, ...] = ()
    description_limit: int = 0
    image_size_limit: int = 0
    image_matrix_limit: int = 0
    video_size_limit: int = 0
    video_frame_rate_limit: int = 0
    video_matrix_limit: int = 0


class PollLimits(Entity, frozen=True):
    """No polls yet."""

    max_options: int = 0
    max_characters_per_option: int = 0
    min_expiration: int = 0
    max_expiration: int = 0


class InstanceUrls(Entity, frozen=True):
    streaming_api: str


class InstanceStatistics(Entity, frozen=True):
    user_count: int
    status_count: int
    domain_count: int


class InstanceConfiguration(Entity, frozen=True):
    accounts: AccountLimits
    statuses: StatusLimits
    media_attachments: MediaLimits
    polls: PollLimits


class Rule(Entity, frozen=True):
    id: str
    text: str
    hint: str
    translations: dict[str, Nothing]


class InstanceV1(Entity, frozen=True):
    """`GET /api/v1/instance`: what older apps read."""

    uri: str
    title: str
    short_description: str
    description: str
    email: str
    version: str
    urls: InstanceUrls
    stats: InstanceStatistics
    thumbnail: str | None
    languages: list[str]
    registrations: bool
    approval_required: bool
    invites_enabled: bool
    configuration: InstanceConfiguration
    contact_account: Account | None
    rules: list[Rule]


class UsageUsers(Entity, frozen=True):
    active_month: int


class Usage(Entity, frozen=True):
    users: UsageUsers


class Thumbnail(Entity, frozen=True):
    url: str
    blurhash: str | None
    versions: dict[str, str]
    description: str


class Icon(Entity, frozen=True):
    src: str
    size: str


class Registrations(Entity, frozen=True):
    enabled: bool
    approval_required: bool
    reason_required: bool | None
    message: str | None
    min_age: int | None
    url: str | None


class Contact(Entity, frozen=True):
    email: str
    account: Account | None


class UrlsV2(Entity, frozen=True):
    streaming: str
    about: str
    status: str | None
    privacy_policy: str | None
    terms_of_service: str | None


class Vapid(Entity, frozen=True):
    """Empty while there is no web push."""

    public_key: str


class Translation(Entity, frozen=True):
    enabled: bool


class FeedAccess(Entity, frozen=True):
    local: str = "public"
    remote: str = "public"


class TimelinesAccess(Entity, frozen=True):
    live_feeds: FeedAccess = FeedAccess()
    hashtag_feeds: FeedAccess = FeedAccess()
    trending_link_feeds: FeedAccess = FeedAccess()


class InstanceConfigurationV2(Entity, frozen=True):
    urls: UrlsV2
    vapid: Vapid
    accounts: AccountLimits
    statuses: StatusLimits
    media_attachments: MediaLimits
    polls: PollLimits
    translation: Translation
    timelines_access: TimelinesAccess
    limited_federation: bool


class InstanceV2(Entity, frozen=True):
    """`GET /api/v2/instance`."""

    domain: str
    title: str
    version: str
    source_url: str
    description: str
    usage: Usage
    thumbnail: Thumbnail
    icon: list[Icon]
    languages: list[str]
    configuration: InstanceConfigurationV2
    registrations: Registrations
    contact: Contact
    rules: list[Rule]
    api_versions: dict[str, int]


class Activity(Entity, frozen=True):
    """One week. Numbers are text, `week` is seconds since 1970."""

    week: str
    statuses: str
    logins: str
    registrations: str


class DomainBlock(Entity, frozen=True):
    domain: str
    digest: str
    severity: str
    comment: str


class ExtendedDescription(Entity, frozen=True):
    updated_at: str
    content: str


class Language(Entity, frozen=True):
    code: str
    name: str


class NodeinfoLink(Entity, frozen=True):
    rel: str
    href: str


class NodeinfoLinks(Entity, frozen=True):
    links: list[NodeinfoLink]


class NodeinfoSoftware(Entity, frozen=True):
    name: str
    version: str


class NodeinfoServices(Entity, frozen=True):
    outbound: tuple[str, ...] = ()
    inbound: tuple[str, ...] = ()


class NodeinfoUsers(Entity, frozen=True):
    total: int
    active_month: int = msgspec.field(name="activeMonth")
    active_halfyear: int = msgspec.field(name="activeHalfyear")


class NodeinfoUsage(Entity, frozen=True):
    users: NodeinfoUsers
    local_posts: int = msgspec.field(name="localPosts")


class NodeinfoMetadata(Entity, frozen=True):
    node_name: str = msgspec.field(name="nodeName")
    node_description: str = msgspec.field(name="nodeDescription")


class Nodeinfo(Entity, frozen=True):
    """nodeinfo.diaspora.software, schema 2.0."""

    version: str
    software: NodeinfoSoftware
    protocols: tuple[str, ...]
    services: NodeinfoServices
    usage: NodeinfoUsage
    open_registrations: bool = msgspec.field(name="openRegistrations")
    metadata: NodeinfoMetadata


class WebfingerLink(Entity, frozen=True):
    rel: str
    type: str | UnsetType = UNSET
    href: str | UnsetType = UNSET


class Webfinger(Entity, frozen=True):
    """RFC 7033: where an account is found."""

    subject: str
    aliases: list[str]
    links: list[WebfingerLink]


class Token(Entity, frozen=True):
    """An access token, shown once."""

    access_token: str
    token_type: str
    scope: str
    created_at: int
