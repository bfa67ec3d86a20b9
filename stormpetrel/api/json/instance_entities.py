"""The API's entities about the instance: both versions of the instance, nodeinfo, webfinger."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from stormpetrel.api.json.entities import Account, Entity, Nothing
from stormpetrel.model.media import MAX_PER_POST
from stormpetrel.model.poll import MAX_DURATION_S, MAX_OPTION_CHARACTERS, MAX_OPTIONS, MIN_DURATION_S
from stormpetrel.rules.featured_tags import MAX_FEATURED_TAGS
from stormpetrel.rules.pins import MAX_PINNED


class AccountLimits(Entity, frozen=True):
    max_display_name_length: int
    max_note_length: int
    max_profile_fields: int
    profile_field_name_limit: int
    profile_field_value_limit: int
    max_featured_tags: int = MAX_FEATURED_TAGS
    max_pinned_statuses: int = MAX_PINNED
    max_avatar_description_length: int = 0
    max_header_description_length: int = 0


class StatusLimits(Entity, frozen=True):
    max_characters: int
    characters_reserved_per_url: int
    max_media_attachments: int = MAX_PER_POST


class MediaLimits(Entity, frozen=True):
    """Upload limits. Sizes in bytes, matrices in pixels; the values for video are 0 if video is not
    accepted."""

    supported_mime_types: tuple[str, ...]
    description_limit: int
    image_size_limit: int
    image_matrix_limit: int
    video_size_limit: int
    video_frame_rate_limit: int
    video_matrix_limit: int


class PollLimits(Entity, frozen=True):
    """Expirations in seconds."""

    max_options: int = MAX_OPTIONS
    max_characters_per_option: int = MAX_OPTION_CHARACTERS
    min_expiration: int = MIN_DURATION_S
    max_expiration: int = MAX_DURATION_S


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
    """`GET /api/v1/instance`, for older apps."""

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
    """One week. Numbers are text, `week` is in seconds since 1970."""

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
    """A text about the instance. `updated_at`: null if none is published."""

    updated_at: str | None
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


class NodeinfoUpstream(Entity, frozen=True):
    name: str


class NodeinfoMetadata(Entity, frozen=True):
    """`upstream`: the project whose client API this is. megalodon, a library for apps, selects its dialect by
    it."""

    node_name: str = msgspec.field(name="nodeName")
    node_description: str = msgspec.field(name="nodeDescription")
    upstream: NodeinfoUpstream = NodeinfoUpstream(name="mastodon")


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
    """RFC 7033: the URLs of an account."""

    subject: str
    aliases: list[str]
    links: list[WebfingerLink]
