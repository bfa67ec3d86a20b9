"""`/api/v1/statuses/…`: create a post, read it and its thread, and act on it."""

from __future__ import annotations

from typing import Any

import msgspec

from stormpetrel.api.accounts import account_rows
from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import Account, Context, Status
from stormpetrel.api.json.render import keep_finished, renderer
from stormpetrel.api.paging import (
    ACCOUNTS_DEFAULT,
    ACCOUNTS_MOST,
    Id,
    PageQuery,
    ids_of,
    one_id,
    page_of,
)
from stormpetrel.api.polls import PollInput, poll_draft
from stormpetrel.api.scheduled_statuses import moment_of
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Invalid, UnexpectedMentions
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.post import Draft
from stormpetrel.rules import pins, reactions, scheduled, threads
from stormpetrel.rules import posts as rules
from stormpetrel.storage.engine.connection import Connection

STATUSES_BY_ID_MOST = 20
MAX_IDEMPOTENCY_KEY = 255
MEDIA_IDS_MOST = 20
ALLOWED_MENTIONS_MOST = 500


class StatusInput(msgspec.Struct):
    """A new post. A quote is refused: dropping it would change the meaning of the post.

    `allowed_mentions`: ids of the accounts that the text may mention; a post that mentions others is refused.
    """

    status: str = ""
    spoiler_text: str = ""
    visibility: str | None = None
    sensitive: bool | None = None
    language: str | None = None
    in_reply_to_id: Id | None = None
    media_ids: list[Id] = []
    poll: PollInput | None = None
    scheduled_at: str | None = None
    quoted_status_id: Id | None = None
    allowed_mentions: list[Id] | None = None


@answers(Status, takes=StatusInput)
async def create(request: Request) -> Response:
    """Post a status; with `scheduled_at`, schedule it (ScheduledStatus)"""
    try:
        return await _create(request)
    except UnexpectedMentions as refusal:
        accounts = await renderer(request).accounts(list(refusal.account_ids))
        error = msgspec.json.encode(refusal.safe_text)
        return Response(refusal.status, b'{"error":%b,"unexpected_accounts":%b}' % (error, accounts))


async def _create(request: Request) -> Response:
    given = await request.input(StatusInput)
    _refuse_what_is_not_here(given)
    key = request.headers.get("idempotency-key") or None
    if key is not None and len(key) > MAX_IDEMPOTENCY_KEY:
        raise Invalid(f"The Idempotency-Key is too long (maximum is {MAX_IDEMPOTENCY_KEY} characters)")
    assert request.access is not None
    draft = Draft(
        text=given.status,
        spoiler_text=given.spoiler_text,
        visibility=convert.visibility(given.visibility),
        sensitive=given.sensitive,
        language=given.language or None,
        in_reply_to_id=one_id(given.in_reply_to_id, "in_reply_to_id"),
        application_id=request.access.application_id,
        poll=poll_draft(given.poll),
        media_ids=tuple(ids_of(given.media_ids, most=MEDIA_IDS_MOST)),
        allowed_mentions=(
            None
            if given.allowed_mentions is None
            else tuple(ids_of(given.allowed_mentions, most=ALLOWED_MENTIONS_MOST))
        ),
    )
    due_at_ms = moment_of(given.scheduled_at)
    if due_at_ms is not None:
        later = await request.site.database.write(
            scheduled.schedule_post,
            author_id=request.account_id,
            draft=draft,
            due_at_ms=due_at_ms,
            idempotency_key=key,
            domain=request.site.domain,
            max_characters=request.site.config.posts.max_characters,
            now_ms=request.now_ms,
        )
        return json(convert.scheduled(later))
    # Before the write: if the post changes right after it, the created one must not be cached.
    began = renderer(request).freshness.begin()
    created = await request.site.database.write(
        rules.create_post,
        author_id=request.account_id,
        draft=draft,
        idempotency_key=key,
        domain=request.site.domain,
        max_characters=request.site.config.posts.max_characters,
        now_ms=request.now_ms,
    )
    if created.post is None or created.author is None:
        return await _status(request, created.post_id)
    return Response(200, renderer(request).new_status(created.post, created.author, began=began))


def _refuse_what_is_not_here(given: StatusInput) -> None:
    if given.quoted_status_id not in (None, ""):
        raise Invalid(
            "Quote posts are not supported; nothing was posted",
            fields={"quoted_status_id": "is not supported"},
        )


async def _status(request: Request, post_id: int) -> Response:
    return Response(body=await renderer(request).status(post_id, reader_id=request.reader_id))


@answers(Status)
async def show(request: Request) -> Response:
    """View a post"""
    post_id = request.id()
    await request.site.database.read(
        rules.post, reader_id=request.reader_id, post_id=post_id, now_ms=request.now_ms
    )
    request.keep_hot(f"post:{post_id}")
    answer = await _status(request, post_id)
    await keep_finished(request, (post_id,))
    return answer


class StatusesByIdQuery(msgspec.Struct):
    id: list[Id] = []


@answers(list[Status], takes=StatusesByIdQuery)
async def several(request: Request) -> Response:
    """View several posts by id"""
    wanted = ids_of(request.query(StatusesByIdQuery).id, most=STATUSES_BY_ID_MOST)
    found = await request.site.database.read(
        rules.visible_ids, reader_id=request.reader_id, post_ids=wanted, now_ms=request.now_ms
    )
    return Response(body=await renderer(request).statuses(found, reader_id=request.reader_id))


class DeleteInput(msgspec.Struct):
    """`delete_media`: also delete the post's media at once; otherwise they can be used again for a day."""

    delete_media: bool = False


@answers(Status, takes=DeleteInput)
async def delete(request: Request) -> Response:
    """Delete a post; the response has its text, for redrafting"""
    post = await request.site.database.write(
        rules.delete_post,
        author_id=request.account_id,
        post_id=request.id(),
        delete_media=(await request.input(DeleteInput)).delete_media,
        now_ms=request.now_ms,
    )
    return Response(body=await renderer(request).deleted_status(post, reader_id=request.account_id))


@answers(Context)
async def context(request: Request) -> Response:
    """View the ancestors and descendants of a post in its thread"""
    post_id = request.id()
    thread = await request.site.database.read(
        threads.thread, reader_id=request.reader_id, post_id=post_id, now_ms=request.now_ms
    )
    # Depend on every post shown: deleting a reply deep below must invalidate this response too.
    shown = (post_id, *thread.ancestor_ids, *thread.descendant_ids)
    request.keep_hot(*(f"post:{shown_id}" for shown_id in shown))
    return Response(body=await renderer(request).context(thread, reader_id=request.reader_id))


# Actions on a post ---------------------------------------------------------------------------------------


class ReblogInput(msgspec.Struct):
    visibility: str | None = None


@answers(Status, takes=ReblogInput)
async def reblog(request: Request) -> Response:
    """Boost a post"""
    given = await request.input(ReblogInput)
    boost_id = await request.site.database.write(
        reactions.boost,
        account_id=request.account_id,
        post_id=request.id(),
        visibility=convert.visibility(given.visibility),
        now_ms=request.now_ms,
    )
    return await _status(request, boost_id)


@answers(Status)
async def unreblog(request: Request) -> Response:
    """Undo the boost of a post; the response is the original"""
    return await _undo(request, rules.unboost)


@answers(Status)
async def favourite(request: Request) -> Response:
    """Favourite a post"""
    return await _do(request, reactions.favourite)


@answers(Status)
async def unfavourite(request: Request) -> Response:
    """Undo the favourite of a post"""
    return await _undo(request, reactions.unfavourite)


@answers(Status)
async def bookmark(request: Request) -> Response:
    """Bookmark a post"""
    return await _do(request, reactions.bookmark)


@answers(Status)
async def unbookmark(request: Request) -> Response:
    """Remove the bookmark of a post"""
    return await _undo(request, reactions.unbookmark)


@answers(Status)
async def pin(request: Request) -> Response:
    """Pin a post to the profile"""
    return await _do(request, pins.pin)


@answers(Status)
async def unpin(request: Request) -> Response:
    """Unpin a post from the profile"""
    return await _do(request, pins.unpin)


@answers(Status)
async def mute(request: Request) -> Response:
    """Mute a conversation"""
    return await _do(request, pins.mute_thread)


@answers(Status)
async def unmute(request: Request) -> Response:
    """Unmute a conversation"""
    return await _do(request, pins.unmute_thread)


async def _do(request: Request, rule: Any) -> Response:
    post_id = request.id()
    await request.site.database.write(
        rule, account_id=request.account_id, post_id=post_id, now_ms=request.now_ms
    )
    return await _status(request, post_id)


async def _undo(request: Request, rule: Any) -> Response:
    """Undo also if the reader may no longer see the post; but then return no post (NotFound)."""
    original_id = await request.site.database.write(
        _undo_on_original,
        rule,
        account_id=request.account_id,
        post_id=request.id(),
        now_ms=request.now_ms,
    )
    await request.site.database.read(
        rules.post, reader_id=request.account_id, post_id=original_id, now_ms=request.now_ms
    )
    return await _status(request, original_id)


def _undo_on_original(
    connection: Connection, rule: Any, *, account_id: int, post_id: int, now_ms: int
) -> int:
    """Undo it on the original if the id is of a boost, because undoing deletes the boost. Return the
    original's id."""
    named = rules.posts(connection, post_ids=[post_id])
    original_id = (named[0].boost_of_id if named else None) or post_id
    rule(connection, account_id=account_id, post_id=original_id, now_ms=now_ms)
    return original_id


@answers(list[Account], takes=PageQuery, paged=True)
async def favourited_by(request: Request) -> Response:
    """View who favourited a post"""
    return await _who(request, rules.favourited_by)


@answers(list[Account], takes=PageQuery, paged=True)
async def reblogged_by(request: Request) -> Response:
    """View who boosted a post"""
    return await _who(request, rules.boosted_by)


async def _who(request: Request, rule: Any) -> Response:
    rows = await request.site.database.read(
        rule,
        now_ms=request.now_ms,
        reader_id=request.reader_id,
        post_id=request.id(),
        page=page_of(request.query(PageQuery), default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST),
    )
    return await account_rows(request, rows)
