"""Scheduled posts: the courier publishes each one once, when it is due."""

from __future__ import annotations

from msgspec.structs import replace

from stormpetrel.errors import Forbidden, Invalid, NotFound
from stormpetrel.model.account import AccountState
from stormpetrel.model.page import Page
from stormpetrel.model.post import Draft, Scheduled, Visibility
from stormpetrel.rules import drafts, polls, posts
from stormpetrel.rules.languages import clean_language
from stormpetrel.storage import accounts, outbox, pins
from stormpetrel.storage import scheduled as stored
from stormpetrel.storage.engine.connection import Connection

MIN_AHEAD_MS = 5 * 60 * 1000
MAX_AHEAD_MS = 5 * 366 * 24 * 3600 * 1000
MAX_SCHEDULED = 300
MAX_PER_DAY = 25
"""Both are Mastodon's limits; days are in UTC."""
DAY_MS = 24 * 3600 * 1000


def schedule_post(
    connection: Connection,
    *,
    author_id: int,
    draft: Draft,
    due_at_ms: int,
    max_characters: int,
    domain: str,
    now_ms: int,
    idempotency_key: str | None = None,
) -> Scheduled:
    """Store a draft, checked like a post, until it is due. The same key returns the same one for an hour.

    Raise as `posts.create_post` does, and Invalid for a time too near or too far, and for
    too many scheduled posts.
    """
    key = (idempotency_key or "")[: drafts.MAX_IDEMPOTENCY_KEY]
    found = accounts.author(
        connection, account_id=author_id, idempotency_key=key, application_id=draft.application_id
    )
    if found is None or found.account.state is not AccountState.ACTIVE:
        raise Forbidden("This account is not allowed to post")
    if found.answered is not None:
        if found.answered[1] > now_ms - drafts.IDEMPOTENCY_MS:
            return scheduled_post(connection, account_id=author_id, scheduled_id=found.answered[0])
        drafts.forget_key(connection, account_id=author_id, key=key)
    if draft.media_ids:
        # Files without a post are deleted after a day; a scheduled post may wait for years.
        raise Invalid("Validation failed: Scheduled posts cannot have media")
    text, spoiler = drafts.checked_text(draft, max_characters)
    mentions, _ = drafts.named_in(connection, text, domain=domain)
    drafts.require_allowed_mentions(draft, mentions, author_id=author_id)
    if draft.poll is not None:
        polls.checked(draft.poll, post_id=0, author_id=author_id, now_ms=now_ms)
    if draft.in_reply_to_id is not None:
        posts.answered(connection, author_id=author_id, post_id=draft.in_reply_to_id, now_ms=now_ms)
    _require_time_and_room(connection, author_id=author_id, due_at_ms=due_at_ms, now_ms=now_ms)
    author = found.account
    made = Scheduled(
        connection.new_id(now_ms),
        author_id,
        # Use the author's defaults of now, not of the time when the post is due.
        replace(
            draft,
            text=text,
            spoiler_text=spoiler,
            # Checked now: a name that is registered later must not make the post fail.
            allowed_mentions=None,
            visibility=Visibility(author.default_visibility)
            if draft.visibility is None
            else draft.visibility,
            sensitive=bool(spoiler)
            or (author.default_sensitive if draft.sensitive is None else draft.sensitive),
            language=author.default_language if draft.language is None else clean_language(draft.language),
        ),
        due_at_ms,
    )
    stored.insert(connection, made)
    if key:
        drafts.remember_key(connection, account_id=author_id, key=key, answer_id=made.id, now_ms=now_ms)
    _post_later(connection, made, max_characters=max_characters, domain=domain, now_ms=now_ms)
    return made


def _require_time_and_room(connection: Connection, *, author_id: int, due_at_ms: int, now_ms: int) -> None:
    if due_at_ms < now_ms + MIN_AHEAD_MS:
        raise Invalid("Validation failed: Scheduled at must be at least 5 minutes in the future")
    if due_at_ms > now_ms + MAX_AHEAD_MS:
        raise Invalid("Validation failed: Scheduled at is too far in the future")
    # Lock, so that of two requests at once only one can use the last free place.
    pins.lock(connection, account_id=author_id)
    day_ms = due_at_ms - due_at_ms % DAY_MS
    total, on_that_day = stored.counts(
        connection, account_id=author_id, from_ms=day_ms, until_ms=day_ms + DAY_MS
    )
    if total >= MAX_SCHEDULED:
        raise Invalid(f"Validation failed: You have exceeded the limit of {MAX_SCHEDULED} scheduled posts")
    if on_that_day >= MAX_PER_DAY:
        raise Invalid(
            f"Validation failed: You have exceeded the limit of {MAX_PER_DAY} scheduled posts a day"
        )


def _post_later(
    connection: Connection, scheduled: Scheduled, *, max_characters: int, domain: str, now_ms: int
) -> None:
    """Queue the post with the current length limit: lowering it later must not reject an accepted post."""
    outbox.put(
        connection,
        kind="scheduled_post",
        payload={
            "scheduled_id": scheduled.id,
            "due_at_ms": scheduled.due_at_ms,
            "max_characters": max_characters,
            "domain": domain,
        },
        now_ms=now_ms,
        delay_ms=scheduled.due_at_ms - now_ms,
    )


def scheduled_posts(connection: Connection, *, account_id: int, page: Page) -> list[Scheduled]:
    """Return the account's scheduled posts, the last written first."""
    return stored.scheduled(connection, account_id=account_id, page=page)


def scheduled_post(connection: Connection, *, account_id: int, scheduled_id: int) -> Scheduled:
    """Return one of the account's scheduled posts. Raise NotFound for other accounts' and for published ones."""
    found = stored.one(connection, scheduled_id=scheduled_id)
    if found is None or found.account_id != account_id:
        raise NotFound
    return found


def reschedule(
    connection: Connection,
    *,
    account_id: int,
    scheduled_id: int,
    due_at_ms: int,
    max_characters: int,
    domain: str,
    now_ms: int,
) -> Scheduled:
    """Change the time of one of the account's scheduled posts.

    Raise NotFound for others, Invalid for the time.
    """
    found = scheduled_post(connection, account_id=account_id, scheduled_id=scheduled_id)
    if due_at_ms == found.due_at_ms:
        return found
    # Delete and insert: if the courier publishes the post at this moment, one of the two finds it deleted.
    if not stored.delete(connection, scheduled_id=scheduled_id):
        raise NotFound
    _require_time_and_room(connection, author_id=account_id, due_at_ms=due_at_ms, now_ms=now_ms)
    moved = replace(found, due_at_ms=due_at_ms)
    stored.insert(connection, moved)
    _post_later(connection, moved, max_characters=max_characters, domain=domain, now_ms=now_ms)
    return moved


def cancel(connection: Connection, *, account_id: int, scheduled_id: int) -> None:
    """Delete one of the account's scheduled posts. Raise NotFound for other accounts' and for published ones."""
    scheduled_post(connection, account_id=account_id, scheduled_id=scheduled_id)
    if not stored.delete(connection, scheduled_id=scheduled_id):
        raise NotFound


def post_scheduled(
    connection: Connection,
    *,
    scheduled_id: int,
    due_at_ms: int,
    max_characters: int,
    domain: str,
    now_ms: int,
) -> None:
    """Publish a due post and delete it from the scheduled ones, in one transaction; once,
    however often this is called.

    If the post that it replies to is gone, it is published without replying. The post of an account that may
    not post now stays scheduled, for its owner to send again or remove.
    """
    found = stored.one(connection, scheduled_id=scheduled_id)
    if found is None or found.due_at_ms != due_at_ms:
        return
    if accounts.state(connection, account_id=found.account_id) is not AccountState.ACTIVE:
        return
    if not stored.delete(connection, scheduled_id=scheduled_id):
        return
    draft = found.draft
    if draft.in_reply_to_id is not None:
        try:
            posts.answered(
                connection, author_id=found.account_id, post_id=draft.in_reply_to_id, now_ms=now_ms
            )
        except NotFound:
            draft = replace(draft, in_reply_to_id=None)
    posts.create_post(
        connection,
        author_id=found.account_id,
        draft=draft,
        max_characters=max_characters,
        domain=domain,
        now_ms=now_ms,
    )
