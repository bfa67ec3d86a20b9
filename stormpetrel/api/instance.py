"""Facts about the instance: `/api/v1/instance…`, `/api/v2/instance`, nodeinfo and webfinger."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote
from xml.sax.saxutils import quoteattr

import msgspec

from stormpetrel import __version__
from stormpetrel.api.accounts import local_username
from stormpetrel.api.instance_texts import rule_entities
from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import API_VERSIONS, VERSION, Account
from stormpetrel.api.json.instance_entities import (
    AccountLimits,
    Activity,
    Contact,
    InstanceConfiguration,
    InstanceConfigurationV2,
    InstanceStatistics,
    InstanceUrls,
    InstanceV1,
    InstanceV2,
    Language,
    MediaLimits,
    Nodeinfo,
    NodeinfoLink,
    NodeinfoLinks,
    NodeinfoMetadata,
    NodeinfoServices,
    NodeinfoSoftware,
    NodeinfoUsage,
    NodeinfoUsers,
    PollLimits,
    Registrations,
    StatusLimits,
    Thumbnail,
    TimelinesAccess,
    Translation,
    UrlsV2,
    Usage,
    UsageUsers,
    Vapid,
    Webfinger,
    WebfingerLink,
)
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Malformed, NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.http.site import Site
from stormpetrel.media import films
from stormpetrel.media.formats import FILM_TYPES, PICTURE_TYPES, SERVED_TYPES
from stormpetrel.model.account import (
    MAX_DISPLAY_NAME,
    MAX_FIELD_CHARACTERS,
    MAX_FIELDS,
    MAX_NOTE,
)
from stormpetrel.model.account import Account as ModelAccount
from stormpetrel.model.media import MAX_DESCRIPTION
from stormpetrel.model.moderation import InstanceRule, InstanceText
from stormpetrel.model.text import LINK_CHARACTERS
from stormpetrel.readers.counts import ACTIVITY_S, COUNTS_S
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import instance as rules
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

FINISHED_MS = 1000
"""How long a member's answer is used again, at most: as long as a cached page is fresh."""
NODEINFO_SCHEMA = "http://nodeinfo.diaspora.software/ns/schema/2.0"

_LANGUAGE_NAMES = {
    "ar": "العربية",
    "cs": "čeština",
    "de": "Deutsch",
    "en": "English",
    "eo": "Esperanto",
    "es": "Español",
    "fa": "فارسی",
    "fr": "Français",
    "it": "Italiano",
    "ja": "日本語",
    "ko": "한국어",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt": "Português",
    "ru": "Русский",
    "tr": "Türkçe",
    "uk": "Українська",
    "zh": "中文",
}


def _languages(site: Site) -> list[str]:
    return [code.strip() for code in site.config.languages.split(",") if code.strip()]


def _account_limits() -> AccountLimits:
    return AccountLimits(
        max_display_name_length=MAX_DISPLAY_NAME,
        max_note_length=MAX_NOTE,
        max_profile_fields=MAX_FIELDS,
        profile_field_name_limit=MAX_FIELD_CHARACTERS,
        profile_field_value_limit=MAX_FIELD_CHARACTERS,
    )


def _status_limits(site: Site) -> StatusLimits:
    return StatusLimits(
        max_characters=site.config.posts.max_characters, characters_reserved_per_url=LINK_CHARACTERS
    )


@dataclass(frozen=True, slots=True)
class _About:
    contact: ModelAccount | None
    rules: list[InstanceRule]
    texts: dict[str, InstanceText]


@cache
def _takes_films() -> bool:
    return films.is_there()


def _media_limits(site: Site) -> MediaLimits:
    media = site.config.media
    with_films = _takes_films()
    return MediaLimits(
        supported_mime_types=(*PICTURE_TYPES, *(FILM_TYPES if with_films else ())),
        description_limit=MAX_DESCRIPTION,
        image_size_limit=media.max_image_bytes,
        image_matrix_limit=media.max_image_pixels,
        video_size_limit=media.max_video_bytes if with_films else 0,
        video_frame_rate_limit=films.MAX_FRAME_RATE if with_films else 0,
        video_matrix_limit=films.MAX_MATRIX if with_films else 0,
    )


@hot
def _about(connection: Connection) -> _About:
    return _About(
        rules.contact(connection),
        rules.rules(connection),
        rules.texts(connection),
    )


async def _about_and_contact(request: Request) -> tuple[_About, Account | None]:
    about: _About = await request.site.database.read(_about)
    request.keep_hot("instance", ttl_s=COUNTS_S)
    contact_ids = () if about.contact is None else (about.contact.id,)
    # The numbers of accounts and posts change by the clock.
    request.keep_finished(contact_ids, until_ms=request.now_ms + FINISHED_MS)
    if about.contact is None:
        return about, None
    return about, convert.account(about.contact, base_url=request.site.base_url)


def _published(about: _About, name: str, site: Site) -> str | None:
    return f"{site.base_url}/about#{name}" if name in about.texts else None


@answers(InstanceV1)
async def v1(request: Request) -> Response:
    """View the instance, in the form for older apps"""
    site = request.site
    config = site.config
    about, contact = await _about_and_contact(request)
    counts = await site.counts.now(now_ms=request.now_ms)
    return json(
        InstanceV1(
            uri=site.domain,
            title=config.title,
            short_description=config.description,
            description=config.description,
            email=config.contact_email,
            version=VERSION,
            urls=InstanceUrls(streaming_api=site.streaming_url),
            stats=InstanceStatistics(user_count=counts.users, status_count=counts.posts, domain_count=0),
            thumbnail=f"{site.base_url}/assets/header.png",
            languages=_languages(site),
            registrations=config.registration != "closed",
            approval_required=config.registration == "approval",
            invites_enabled=False,
            configuration=InstanceConfiguration(
                accounts=_account_limits(),
                statuses=_status_limits(site),
                media_attachments=_media_limits(site),
                polls=PollLimits(),
            ),
            contact_account=contact,
            rules=rule_entities(about.rules),
        )
    )


@answers(InstanceV2)
async def v2(request: Request) -> Response:
    """View the instance"""
    site = request.site
    config = site.config
    about, contact = await _about_and_contact(request)
    counts = await site.counts.now(now_ms=request.now_ms)
    picture = f"{site.base_url}/assets/header.png"
    return json(
        InstanceV2(
            domain=site.domain,
            title=config.title,
            version=VERSION,
            source_url=f"{site.base_url}/about",
            description=config.description,
            usage=Usage(users=UsageUsers(active_month=counts.active_month)),
            thumbnail=Thumbnail(url=picture, blurhash=None, versions={"@1x": picture}, description=""),
            icon=[],
            languages=_languages(site),
            configuration=InstanceConfigurationV2(
                urls=UrlsV2(
                    streaming=site.streaming_url,
                    about=f"{site.base_url}/about",
                    status=config.status_url or None,
                    privacy_policy=_published(about, "privacy_policy", site),
                    terms_of_service=_published(about, "terms_of_service", site),
                ),
                vapid=Vapid(public_key=""),
                accounts=_account_limits(),
                statuses=_status_limits(site),
                media_attachments=_media_limits(site),
                polls=PollLimits(),
                translation=Translation(enabled=False),
                timelines_access=TimelinesAccess(),
                limited_federation=False,
            ),
            registrations=Registrations(
                enabled=config.registration != "closed",
                approval_required=config.registration == "approval",
                reason_required=config.registration == "approval",
                message=None,
                min_age=None,
                url=f"{site.base_url}/auth/sign_up",
            ),
            contact=Contact(email=config.contact_email, account=contact),
            rules=rule_entities(about.rules),
            api_versions=API_VERSIONS,
        )
    )


@answers(list[Activity])
async def activity(request: Request) -> Response:
    """View weekly activity: posts, active accounts and sign-ups"""
    weeks = await request.site.activity.now(now_ms=request.now_ms)
    request.keep_hot("instance", ttl_s=ACTIVITY_S)
    return json(
        [
            Activity(
                week=str(week.start_ms // 1000),
                statuses=str(week.posts),
                logins=str(week.active),
                registrations=str(week.sign_ups),
            )
            for week in weeks
        ]
    )


@answers(list[Language])
async def languages(request: Request) -> Response:
    """View the languages of the instance"""
    request.keep_hot("instance")
    return json(
        [Language(code=code, name=_LANGUAGE_NAMES.get(code, code)) for code in _languages(request.site)]
    )


# Nodeinfo, webfinger -------------------------------------------------------------------------------------


@answers(NodeinfoLinks)
async def nodeinfo_links(request: Request) -> Response:
    """View links to nodeinfo"""
    request.keep_hot("instance")
    return json(
        NodeinfoLinks(links=[NodeinfoLink(rel=NODEINFO_SCHEMA, href=f"{request.site.base_url}/nodeinfo/2.0")])
    )


@answers(Nodeinfo)
async def nodeinfo(request: Request) -> Response:
    """View the software and its usage numbers (nodeinfo)"""
    config = request.site.config
    counts = await request.site.counts.now(now_ms=request.now_ms)
    request.keep_hot("instance", ttl_s=COUNTS_S)
    return json(
        Nodeinfo(
            version="2.0",
            software=NodeinfoSoftware(name="stormpetrel", version=__version__),
            # Empty: there is no federation yet.
            protocols=(),
            services=NodeinfoServices(),
            usage=NodeinfoUsage(
                users=NodeinfoUsers(
                    total=counts.users,
                    active_month=counts.active_month,
                    active_halfyear=counts.active_halfyear,
                ),
                local_posts=counts.posts,
            ),
            open_registrations=config.registration == "open",
            metadata=NodeinfoMetadata(node_name=config.title, node_description=config.description),
        )
    )


class WebfingerQuery(msgspec.Struct):
    resource: str = ""


@answers(Webfinger, takes=WebfingerQuery)
async def webfinger(request: Request) -> Response:
    """Look up the URL of an account (RFC 7033)"""
    resource = request.query(WebfingerQuery).resource
    if not resource:
        raise Malformed("The parameter resource is missing")
    site = request.site
    kind, _, rest = resource.partition(":")
    if kind == "acct" and "@" in rest:
        username = local_username(request, rest)
    elif resource.startswith(f"{site.base_url}/@"):
        username = unquote(resource.removeprefix(f"{site.base_url}/@"))
    else:
        raise NotFound
    account = await site.database.read(account_rules.account_named, username=username)
    url = f"{site.base_url}/@{account.username}"
    avatar = convert.avatar_url(account, site.base_url)
    response = json(
        Webfinger(
            subject=f"acct:{account.username}@{site.domain}",
            aliases=[url],
            links=[
                WebfingerLink(rel="http://webfinger.net/rel/profile-page", type="text/html", href=url),
                WebfingerLink(
                    rel="http://webfinger.net/rel/avatar",
                    type=SERVED_TYPES[avatar.rpartition(".")[2]].decode(),
                    href=avatar,
                ),
            ],
        )
    )
    return Response(body=response.body, content_type=b"application/jrd+json; charset=utf-8")


@answers(str)
async def host_meta(request: Request) -> Response:
    """View where webfinger is (RFC 6415)"""
    template = quoteattr(f"{request.site.base_url}/.well-known/webfinger?resource={{uri}}")
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">'
        f'<Link rel="lrdd" template={template}/></XRD>\n'
    )
    request.keep_hot("instance")
    return Response(body=body.encode(), content_type=b"application/xrd+xml; charset=utf-8")
