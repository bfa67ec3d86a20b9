"""Attachments: their owner, description and focus, and the post that they are attached to."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stormpetrel.errors import Busy, Invalid, NotFound, TooMany
from stormpetrel.model import text as texts
from stormpetrel.model.account import AccountState
from stormpetrel.model.characters import is_too_long
from stormpetrel.model.event import AccountChanged, PostChanged
from stormpetrel.model.media import (
    MAX_DESCRIPTION,
    MAX_PER_POST,
    Decoded,
    Media,
    MediaKind,
    MediaState,
    MediaWords,
    parse_focus,
)
from stormpetrel.model.quota import YOUNG_UPLOAD_MB
from stormpetrel.rules import quotas
from stormpetrel.storage import accounts, outbox
from stormpetrel.storage import media as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

TOO_MANY_UPLOADS = "Your account is new and has uploaded a lot. Please try again later"
LOOSE_KEPT_MS = 24 * 3_600_000
"""How long an attachment without a post is stored, for a draft or a post that is deleted and redrafted."""
PROCESSING_KEPT_MS = 15 * 60_000
"""Longer than any decoder may run. An attachment that is still being processed then, and is not in the
outbox, was lost with its worker before it was acknowledged, or given up by the courier.
"""
MOST_WAITING = 64
"""Limit of acknowledged uploads per machine: they take disk space until they are decoded."""


@hot
def own(connection: Connection, *, account_id: int, media_id: int) -> Media:
    """Return one of the account's attachments. Raise NotFound for those of other accounts."""
    found = stored.one(connection, media_id=media_id)
    if found is None or found.account_id != account_id:
        raise NotFound
    return found


@hot
def is_served(connection: Connection, *, key: str) -> bool:
    """Return True if the file may be read: the account that it belongs to is visible to others."""
    return stored.is_served(connection, key=key)


def checked_focus(text: str | None) -> tuple[int, int] | None:
    """Return the parsed focus; None where none was given. Raise Invalid."""
    if text is None or not text.strip():
        return None
    focus = parse_focus(text)
    if focus is None:
        raise Invalid(
            "Validation failed: Focus must be two numbers from -1.0 to 1.0", fields={"focus": "is invalid"}
        )
    return focus


def checked_description(text: str | None) -> str | None:
    """Return the cleaned description; None where none was given. Raise Invalid when it is too long."""
    if text is None:
        return None
    cleaned = texts.clean(text)
    if is_too_long(cleaned, MAX_DESCRIPTION):
        raise Invalid(
            f"Validation failed: Description is too long (maximum is {MAX_DESCRIPTION} characters)",
            fields={"description": "is too long"},
        )
    return cleaned


def begin(
    connection: Connection,
    *,
    account_id: int,
    size_bytes: int,
    description: str | None,
    focus: str | None,
    now_ms: int,
) -> Media:
    """Store a new attachment in the state "processing". `size_bytes`: size of the upload.

    Raise NotFound when the account is not active, Invalid for a wrong description or focus, TooMany when the
    account is young and has used up its quota.
    """
    if accounts.state(connection, account_id=account_id) is not AccountState.ACTIVE:
        raise NotFound
    megabytes = min(-(-size_bytes // 1_000_000), YOUNG_UPLOAD_MB.burst)
    quotas.require_young(
        connection, YOUNG_UPLOAD_MB, account_id, now_ms=now_ms, text=TOO_MANY_UPLOADS, uses=megabytes
    )
    media_id = connection.new_id(now_ms)
    stored.insert(
        connection,
        media_id=media_id,
        account_id=account_id,
        description=checked_description(description) or "",
        focus=checked_focus(focus) or (0, 0),
        now_ms=now_ms,
    )
    return own(connection, account_id=account_id, media_id=media_id)


def hand_over(connection: Connection, *, media: Media, lane: int, most_own: int, now_ms: int) -> None:
    """Queue the attachment, whose bytes are durable, for the courier of that lane. Raise TooMany, Busy."""
    waiting, own_waiting = stored.waiting(connection, lane=lane, account_id=media.account_id)
    if own_waiting >= most_own:
        raise TooMany("Too many uploads at once; wait until one is done", retry_after_s=10)
    if waiting >= MOST_WAITING:
        raise Busy("Many files are being processed; nothing was stored. Please try again", retry_after_s=10)
    outbox.put(
        connection,
        kind="media_upload",
        payload={"media_id": media.id},
        now_ms=now_ms,
        lane=lane,
        # The same id as the attachment's, so that each can be found by the other.
        job_id=media.id,
    )


def finish(connection: Connection, *, account_id: int, media_id: int, decoded: Decoded) -> Media:
    """Store the decoder's result and serve its files from now on.

    Raise NotFound if the attachment was deleted.
    """
    if not stored.set_done(connection, media_id=media_id, decoded=decoded):
        raise NotFound
    stored.put_files(connection, keys=_keys(decoded), account_id=account_id)
    return own(connection, account_id=account_id, media_id=media_id)


def unfinished(connection: Connection, *, media_id: int) -> Media | None:
    """Return the attachment while it is being processed; None when it is deleted, done or failed."""
    found = stored.one(connection, media_id=media_id)
    return found if found is not None and found.state is MediaState.PROCESSING else None


def fail(connection: Connection, *, media_id: int) -> None:
    """Mark the attachment as failed: the decoder refused it or was lost."""
    stored.set_failed(connection, media_id=media_id)


def describe(
    connection: Connection,
    *,
    account_id: int,
    media_id: int,
    description: str | None,
    focus: str | None,
    preview: Decoded | None,
    now_ms: int,
) -> Media:
    """Change the description, focus and preview of one of the account's attachments; None leaves a value.

    Raise NotFound, Invalid.
    """
    found = own(connection, account_id=account_id, media_id=media_id)
    new = checked_description(description)
    place = checked_focus(focus)
    stored.describe(
        connection,
        media_id=media_id,
        description=found.description if new is None else new,
        focus=found.focus if place is None else place,
    )
    if preview is not None:
        stored.put_files(connection, keys=(preview.preview_key,), account_id=account_id)
        stored.set_preview(connection, media_id=media_id, preview=preview)
        if found.decoded.preview_key:
            remove_files(connection, keys=(found.decoded.preview_key,), now_ms=now_ms)
    if found.post_id is not None:
        connection.tell(PostChanged(found.post_id, account_id))
    return own(connection, account_id=account_id, media_id=media_id)


def delete(connection: Connection, *, account_id: int, media_id: int, now_ms: int) -> None:
    """Delete one of the account's attachments.

    Raise NotFound for others, Invalid while it is attached to a post.
    """
    found = own(connection, account_id=account_id, media_id=media_id)
    if found.post_id is not None:
        raise Invalid("This is part of a post; change or delete the post instead")
    remove(connection, [found], now_ms=now_ms)


def attach(
    connection: Connection, *, author_id: int, media_ids: Sequence[int], post_id: int, now_ms: int
) -> tuple[Media, ...]:
    """Attach the author's unattached media to a post, in this order. Raise Invalid.

    The caller has created the post in the same transaction, and publishes it.
    """
    return replace(connection, author_id=author_id, media_ids=media_ids, post_id=post_id, now_ms=now_ms)


def replace(
    connection: Connection, *, author_id: int, media_ids: Sequence[int], post_id: int, now_ms: int
) -> tuple[Media, ...]:
    """Make these the attachments of the post, in this order, for an edit. Raise Invalid.

    Attachments of the post may stay; removed ones are stored for another day. An empty sequence removes all.
    """
    wanted = list(dict.fromkeys(media_ids))
    if len(wanted) > MAX_PER_POST:
        raise Invalid(f"Validation failed: Cannot attach more than {MAX_PER_POST} files")
    found = stored.several(connection, media_ids=wanted) if wanted else {}
    for media_id in wanted:
        media = found.get(media_id)
        if media is None or media.account_id != author_id or media.post_id not in (None, post_id):
            # One message for all three cases, so that it does not reveal whether an id exists and who owns
            # it.
            raise Invalid(f"Validation failed: Media {media_id} not found", fields={"media_ids": "not found"})
        if media.state is MediaState.FAILED:
            raise Invalid("Cannot attach a file that could not be processed")
        if media.state is MediaState.PROCESSING:
            raise Invalid("Cannot attach files that have not finished processing. Try again in a moment!")
    if len(wanted) > 1 and any(
        media.decoded.kind in (MediaKind.VIDEO, MediaKind.AUDIO) for media in found.values()
    ):
        raise Invalid("Validation failed: Cannot attach a video to a post that already contains images")
    before = stored.of_posts(connection, post_ids=[post_id]).get(post_id, ())
    gone = [media.id for media in before if media.id not in found]
    if gone:
        stored.detach(connection, media_ids=gone, now_ms=now_ms)
    for position, media_id in enumerate(wanted):
        stored.attach(connection, media_id=media_id, post_id=post_id, position=position)
    stored.set_count(connection, post_id=post_id, count=len(wanted))
    return stored.of_posts(connection, post_ids=[post_id]).get(post_id, ()) if wanted else ()


def describe_attached(
    connection: Connection, *, hung: Sequence[Media], words: Sequence[MediaWords]
) -> tuple[Media, ...]:
    """Change description and focus of attachments of a post, which has `hung`; return all of them afterwards.

    The caller publishes the change. Raise Invalid for any other attachment, and as `describe` does.
    """
    after = {media.id: media for media in hung}
    for new in words:
        old = after.get(new.media_id)
        if old is None:
            raise Invalid(
                f"Validation failed: Media {new.media_id} not found", fields={"media_attributes": "not found"}
            )
        description, focus = checked_description(new.description), checked_focus(new.focus)
        after[old.id] = msgspec.structs.replace(
            old,
            description=old.description if description is None else description,
            focus=old.focus if focus is None else focus,
        )
    for media in hung:
        new_media = after[media.id]
        if new_media != media:
            stored.describe(
                connection, media_id=media.id, description=new_media.description, focus=new_media.focus
            )
    return tuple(after.values())


def let_go(connection: Connection, *, media: Sequence[Media], delete_media: bool, now_ms: int) -> None:
    """Before a post is deleted: delete its media, or store them for a day so that the post can be redrafted."""
    if not media:
        return
    if delete_media:
        remove(connection, media, now_ms=now_ms)
    else:
        stored.detach(connection, media_ids=[one.id for one in media], now_ms=now_ms)


def remove(connection: Connection, media: Sequence[Media], *, now_ms: int) -> None:
    """Delete attachments: they are no longer served, and the courier deletes their files."""
    stored.delete(connection, media_ids=[one.id for one in media])
    remove_files(connection, keys=[key for one in media for key in _keys(one.decoded)], now_ms=now_ms)


def remove_files(connection: Connection, *, keys: Sequence[str], now_ms: int) -> None:
    """Stop serving the files; the courier deletes them."""
    wanted = [key for key in keys if key]
    if wanted:
        stored.delete_files(connection, keys=wanted)
        outbox.put(
            connection, kind="media_files", payload={"keys": wanted}, now_ms=now_ms, lane=outbox.LANE_FILES
        )


def _keys(decoded: Decoded) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for key in (decoded.key, decoded.preview_key) if key))


# Avatars and headers


def set_avatar(connection: Connection, *, account_id: int, picture: Decoded | None, now_ms: int) -> None:
    """Replace the account's avatar; None removes it."""
    account = accounts.account(connection, account_id=account_id)
    if account is None:
        raise NotFound
    new = ("", "") if picture is None else (picture.key, picture.preview_key or picture.key)
    stored.put_files(connection, keys=dict.fromkeys(key for key in new if key), account_id=account_id)
    accounts.set_avatar(connection, account_id=account_id, key=new[0], static_key=new[1])
    old = list(dict.fromkeys((account.avatar_key, account.avatar_static_key)))
    remove_files(connection, keys=old, now_ms=now_ms)
    connection.tell(AccountChanged(account_id))


def set_header(connection: Connection, *, account_id: int, picture: Decoded | None, now_ms: int) -> None:
    """Replace the account's header; None removes it."""
    account = accounts.account(connection, account_id=account_id)
    if account is None:
        raise NotFound
    new = ("", "") if picture is None else (picture.key, picture.preview_key or picture.key)
    stored.put_files(connection, keys=dict.fromkeys(key for key in new if key), account_id=account_id)
    accounts.set_header(connection, account_id=account_id, key=new[0], static_key=new[1])
    old = list(dict.fromkeys((account.header_key, account.header_static_key)))
    remove_files(connection, keys=old, now_ms=now_ms)
    connection.tell(AccountChanged(account_id))


# Cleanup


def remove_old_loose(connection: Connection, *, now_ms: int, count: int) -> int:
    """Delete attachments that have had no post for a day, at most `count`; return the number deleted."""
    old = stored.old_loose(connection, before_ms=now_ms - LOOSE_KEPT_MS, count=count)
    if old:
        remove(connection, old, now_ms=now_ms)
        lost = [media.id for media in old if media.state is MediaState.PROCESSING]
        if lost:
            # Their machine and its spool are gone: no other courier could process these.
            outbox.drop(connection, job_ids=lost)
    return len(old)


def fail_lost(connection: Connection, *, now_ms: int, count: int) -> int:
    """Mark attachments whose processing was lost as failed, at most `count`; return their number."""
    return stored.fail_lost(connection, before_ms=now_ms - PROCESSING_KEPT_MS, count=count)
