"""Convert model values to API entities: pure functions, one per entity."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar
from urllib.parse import quote

import msgspec
from msgspec import UNSET

from stormpetrel.api.json.entities import (
    Account,
    AccountField,
    Approval,
    CredentialAccount,
    FeaturedTag,
    Marker,
    Poll,
    PollOption,
    Profile,
    Relationship,
    Role,
    Source,
    Status,
    StatusApplication,
    StatusMention,
    StatusTag,
    Tag,
    TagHistory,
    VisibilityName,
)
from stormpetrel.api.json.media_entities import attachment, media_url
from stormpetrel.api.json.post_entities import (
    EditedPoll,
    EditedPollOption,
    ScheduledParams,
    ScheduledPoll,
    ScheduledStatus,
    StatusEdit,
)
from stormpetrel.errors import Invalid
from stormpetrel.model.account import Account as ModelAccount
from stormpetrel.model.account import Role as ModelRole
from stormpetrel.model.initial import picture_name
from stormpetrel.model.notification import Kind
from stormpetrel.model.notification import Marker as ModelMarker
from stormpetrel.model.poll import Poll as ModelPoll
from stormpetrel.model.poll import positions_in
from stormpetrel.model.post import Post, Version, Visibility
from stormpetrel.model.post import Scheduled as ModelScheduled
from stormpetrel.model.relationship import Relationship as ModelRelationship
from stormpetrel.model.text import render_field, render_html, render_note, tag_key
from stormpetrel.model.trend import Day

RAW_ACCOUNT = b"\0"
"""Placeholder for an account's bytes, which are inserted later. JSON escapes control characters, so no text
contains it."""
_MARK = msgspec.Raw(RAW_ACCOUNT)
_NOBODY = Approval()

VISIBILITY_NAMES: dict[Visibility, VisibilityName] = {
    Visibility.PUBLIC: "public",
    Visibility.UNLISTED: "unlisted",
    Visibility.FOLLOWERS: "private",
    Visibility.DIRECT: "direct",
}
VISIBILITIES = {name: visibility for visibility, name in VISIBILITY_NAMES.items()}

KIND_NAMES = {
    Kind.MENTION: "mention",
    Kind.POST: "status",
    Kind.BOOST: "reblog",
    Kind.FOLLOW: "follow",
    Kind.FOLLOW_REQUEST: "follow_request",
    Kind.FAVOURITE: "favourite",
    Kind.SIGN_UP: "admin.sign_up",
    Kind.REPORT: "admin.report",
    Kind.WARNING: "moderation_warning",
    Kind.POLL: "poll",
    Kind.UPDATE: "update",
}
KINDS = {name: kind for kind, name in KIND_NAMES.items()}

# Role ids as in Mastodon: -99 is the role of all members; 1 is the administrator bit.
_ROLES = {
    ModelRole.MEMBER: Role(id="-99", name="", permissions="65536"),
    # 1024: sees users; 16: handles reports; 4: reads the audit log.
    ModelRole.MODERATOR: Role(id="1", name="Moderator", permissions="1044", highlighted=True),
    ModelRole.ADMIN: Role(id="3", name="Admin", permissions="1", highlighted=True),
}

T = TypeVar("T")


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def timestamp(time_ms: int) -> str:
    """Return a time as `2026-01-02T03:04:05.678Z`."""
    return f"{_second(time_ms // 1000)}.{time_ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return datetime.fromtimestamp(days * 86_400, UTC).strftime("%Y-%m-%d")


def date(time_ms: int) -> str:
    """Return a date as `2026-01-02`, in UTC."""
    return _day(time_ms // 86_400_000)


def maybe_id(some_id: int | None) -> str | None:
    """Return an id as text, or None for None."""
    return None if some_id is None else str(some_id)


def account_fields(account: ModelAccount, base_url: str) -> list[AccountField]:
    """Return a profile's fields as HTML."""
    return [
        AccountField(name=field.name, value=render_field(field.value, base_url=base_url, named=account.named))
        for field in account.fields
    ]


def _picture(key: str, otherwise: str, base_url: str) -> str:
    return media_url(key, base_url) if key else f"{base_url}/assets/{otherwise}"


def avatar_url(account: ModelAccount, base_url: str) -> str:
    """Return the URL of the account's avatar (possibly animated) or of its initial on its colour."""
    return _picture(account.avatar_key, picture_name(account), base_url)


def account(account: ModelAccount, *, base_url: str) -> Account:
    """Return an account as all readers see it."""
    url = f"{base_url}/@{account.username}"
    header = _picture(account.header_key, "header.png", base_url)
    has_both = account.avatar_key and account.avatar_static_key
    otherwise = "" if has_both else picture_name(account)
    return Account(
        id=str(account.id),
        username=account.username,
        acct=account.username,
        display_name=account.display_name,
        locked=account.locked,
        bot=account.bot,
        discoverable=account.discoverable,
        indexable=account.indexable,
        group=False,
        created_at=f"{date(account.created_at_ms)}T00:00:00.000Z",
        note=render_note(account.note, base_url=base_url, named=account.named),
        url=url,
        uri=url,
        avatar=_picture(account.avatar_key, otherwise, base_url),
        avatar_static=_picture(account.avatar_static_key, otherwise, base_url),
        header=header,
        header_static=_picture(account.header_static_key, "header.png", base_url),
        followers_count=account.followers_count,
        following_count=account.following_count,
        statuses_count=account.posts_count,
        last_status_at=date(account.last_post_at_ms) if account.last_post_at_ms else None,
        hide_collections=False,
        noindex=not account.discoverable,
        emojis=[],
        fields=account_fields(account, base_url),
    )


def credential_account(
    own: ModelAccount, *, base_url: str, role: str, follow_requests_count: int
) -> CredentialAccount:
    """Return the reader's own account: the public entity plus its source as written."""
    return CredentialAccount(
        **msgspec.structs.asdict(account(own, base_url=base_url)),
        source=Source(
            privacy=VISIBILITY_NAMES[Visibility(own.default_visibility)],
            sensitive=own.default_sensitive,
            language=own.default_language,
            note=own.note,
            fields=[AccountField(name=field.name, value=field.value) for field in own.fields],
            follow_requests_count=follow_requests_count,
            discoverable=own.discoverable,
            indexable=own.indexable,
        ),
        role=_ROLES[ModelRole(role)],
    )


def profile(own: ModelAccount, *, featured_tags: list[FeaturedTag], base_url: str) -> Profile:
    """Return the reader's own profile as written: plain text, and null where there is no image."""

    def picture(key: str) -> str | None:
        return media_url(key, base_url) if key else None

    return Profile(
        id=str(own.id),
        display_name=own.display_name,
        note=own.note,
        fields=[AccountField(name=field.name, value=field.value) for field in own.fields],
        avatar=picture(own.avatar_key),
        avatar_static=picture(own.avatar_static_key),
        header=picture(own.header_key),
        header_static=picture(own.header_static_key),
        locked=own.locked,
        bot=own.bot,
        discoverable=own.discoverable,
        indexable=own.indexable,
        featured_tags=featured_tags,
    )


def relationship(relationship: ModelRelationship) -> Relationship:
    """Return how the reader and an account are related."""
    return Relationship(
        id=str(relationship.account_id),
        following=relationship.following,
        showing_reblogs=relationship.show_boosts,
        notifying=relationship.notify,
        languages=relationship.languages,
        followed_by=relationship.followed_by,
        blocking=relationship.blocking,
        blocked_by=relationship.blocked_by,
        muting=relationship.muting,
        muting_notifications=relationship.muting_notifications,
        muting_expires_at=(timestamp(relationship.muting_until_ms) if relationship.muting_until_ms else None),
        requested=relationship.requested,
        requested_by=relationship.requested_by,
        domain_blocking=False,
        endorsed=relationship.endorsed,
        note=relationship.note,
    )


def poll(poll: ModelPoll, *, reader_id: int | None, votes: int, now_ms: int) -> Poll:
    """Return a poll as seen by a reader who voted for `votes`. Its author counts as having voted, as they
    cannot vote."""
    shown = poll.is_open_book(now_ms)
    return Poll(
        id=str(poll.post_id),
        expires_at=timestamp(poll.expires_at_ms),
        expired=poll.is_over(now_ms),
        multiple=poll.multiple,
        votes_count=poll.votes_count,
        voters_count=poll.voters_count,
        options=[
            PollOption(title=option.title, votes_count=option.votes_count if shown else None)
            for option in poll.options
        ],
        emojis=[],
        voted=UNSET if reader_id is None else votes != 0 or poll.author_id == reader_id,
        own_votes=UNSET if reader_id is None else positions_in(votes),
    )


def status_edit(post: Post, version: Version, *, base_url: str) -> StatusEdit:
    """Return a version of a post, with a placeholder for its account (RAW_ACCOUNT). A name that only an older
    text mentions stays plain text, without a link."""
    return StatusEdit(
        content=render_html(version.text, mentions=post.mentions, base_url=base_url),
        spoiler_text=version.spoiler_text,
        sensitive=version.sensitive,
        created_at=timestamp(version.written_at_ms),
        account=_MARK,  # type: ignore[arg-type]  # bytes of the account are put here later
        media_attachments=[attachment(media, base_url=base_url) for media in version.shown_media(post)],
        emojis=[],
        poll=EditedPoll([EditedPollOption(title) for title in version.poll_options])
        if version.poll_options
        else UNSET,
    )


def scheduled(scheduled: ModelScheduled) -> ScheduledStatus:
    """Return the JSON entity of a scheduled post."""
    draft = scheduled.draft
    return ScheduledStatus(
        id=str(scheduled.id),
        scheduled_at=timestamp(scheduled.due_at_ms),
        params=ScheduledParams(
            text=draft.text,
            poll=ScheduledPoll(
                options=list(draft.poll.options),
                expires_in=str(draft.poll.duration_s),
                multiple=draft.poll.multiple,
                hide_totals=draft.poll.hide_totals,
            )
            if draft.poll
            else None,
            media_ids=[],
            sensitive=draft.sensitive,
            spoiler_text=draft.spoiler_text,
            visibility=None if draft.visibility is None else VISIBILITY_NAMES[draft.visibility],
            in_reply_to_id=maybe_id(draft.in_reply_to_id),
            language=draft.language or None,
            application_id=str(draft.application_id or 0),
        ),
        media_attachments=[],
    )


def status(post: Post, *, author: str, base_url: str) -> Status:
    """Return a post with placeholders (RAW_ACCOUNT) for its account and for the post that it boosts. The
    reader's fields are missing, and so is the poll if there is one, because it differs by reader.

    `author` is the username, for the post's URLs.
    """
    boost = post.boost_of_id is not None
    url = f"{base_url}/@{author}/{post.id}"
    return Status(
        id=str(post.id),
        created_at=timestamp(post.created_at_ms),
        in_reply_to_id=maybe_id(post.in_reply_to_id),
        in_reply_to_account_id=maybe_id(post.in_reply_to_account_id),
        sensitive=post.sensitive,
        spoiler_text=post.spoiler_text,
        visibility=VISIBILITY_NAMES[post.visibility],
        language=post.language or None,
        uri=url,
        url=url,
        replies_count=post.replies_count,
        reblogs_count=post.boosts_count,
        favourites_count=post.favourites_count,
        quotes_count=0,
        edited_at=timestamp(post.edited_at_ms) if post.edited_at_ms else None,
        content=render_html(post.text, mentions=post.mentions, base_url=base_url),
        application=(
            StatusApplication(name=post.application[0], website=post.application[1] or None)
            if post.application
            else None
        ),
        account=_MARK,  # type: ignore[arg-type]  # bytes of the account are put here later
        media_attachments=[attachment(media, base_url=base_url) for media in post.media],
        mentions=[
            StatusMention(
                id=str(mention.account_id),
                username=mention.username,
                url=f"{base_url}/@{mention.username}",
                acct=mention.username,
            )
            for mention in post.mentions
        ],
        tags=[StatusTag(name=name, url=tag_url(name, base_url)) for name in post.tags],
        emojis=[],
        card=None,
        poll=UNSET if post.poll else None,
        quote=None,
        quote_approval=_NOBODY,
        tagged_collections=(),
        reblog=_MARK if boost else None,  # type: ignore[arg-type]  # and the original's here
    )


def tag_url(name: str, base_url: str) -> str:
    """Return the URL of a hashtag's posts."""
    return f"{base_url}/tags/{quote(tag_key(name), safe='')}"


def tag(
    name: str, *, base_url: str, following: bool | None, featuring: bool = False, days: Sequence[Day] = ()
) -> Tag:
    """Return a hashtag with its last days, today first. `following`: True if the reader follows it, None for
    a visitor; `featuring`: True if it is on their profile."""
    key = tag_key(name)
    url = tag_url(key, base_url)
    history = [
        TagHistory(day=str(day.start_s), uses=str(day.uses), accounts=str(day.accounts)) for day in days
    ]
    if following is None:
        return Tag(id=key, name=key, url=url, history=history)
    return Tag(id=key, name=key, url=url, history=history, following=following, featuring=featuring)


def marker(marker: ModelMarker) -> Marker:
    """Return the position up to which a timeline was read."""
    return Marker(
        last_read_id=str(marker.last_read_id),
        version=marker.version,
        updated_at=timestamp(marker.updated_at_ms),
    )


def visibility(name: str | None) -> Visibility | None:
    """Return the visibility with this name, or None if none is given. Raise Invalid for an unknown name."""
    if name is None or name == "":
        return None
    found = VISIBILITIES.get(name)  # type: ignore[call-overload]  # any text may be asked for
    if found is None:
        raise Invalid("visibility must be one of public, unlisted, private, direct")
    return Visibility(found)
