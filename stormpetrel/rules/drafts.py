"""Drafts become posts: checked text, mentions and hashtags, the author's defaults, and the row."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from stormpetrel.errors import Invalid, UnexpectedMentions
from stormpetrel.model import text as texts
from stormpetrel.model.account import Account
from stormpetrel.model.characters import is_too_large, is_too_long, length
from stormpetrel.model.event import AccountChanged, PostCreated
from stormpetrel.model.post import MAX_MENTIONS, MAX_SPOILER, MAX_TAGS, Draft, Mention, Post, Visibility
from stormpetrel.rules import polls
from stormpetrel.rules.languages import clean_language
from stormpetrel.storage import accounts, outbox
from stormpetrel.storage import posts as stored
from stormpetrel.storage.engine.connection import Connection

IDEMPOTENCY_MS = 3_600_000
"""How long an Idempotency-Key returns the same post (Mastodon documents one hour)."""
MAX_IDEMPOTENCY_KEY = 255


class Created(msgspec.Struct, frozen=True):
    """A new post with its author, who has it counted; or only the id of the post created before with the same key."""

    post_id: int
    post: Post | None = None
    author: Account | None = None


def post_of(
    connection: Connection,
    draft: Draft,
    by: accounts.Author,
    parent: Post | None,
    text: str,
    spoiler: str,
    mentions: tuple[Mention, ...],
    tags: Sequence[tuple[str, str]],
    now_ms: int,
) -> Post:
    """Return the draft as a post with a new id and the author's defaults; its media come later. Raise Invalid."""
    author = by.account
    post = Post(
        id=connection.new_id(now_ms),
        author_id=author.id,
        text=text,
        spoiler_text=spoiler,
        visibility=Visibility(author.default_visibility if draft.visibility is None else draft.visibility),
        sensitive=bool(spoiler) or (author.default_sensitive if draft.sensitive is None else draft.sensitive),
        language=author.default_language if draft.language is None else clean_language(draft.language),
        in_reply_to_id=None if parent is None else parent.id,
        in_reply_to_account_id=None if parent is None else parent.author_id,
        boost_of_id=None,
        application=by.application,
        replies_count=0,
        boosts_count=0,
        favourites_count=0,
        created_at_ms=now_ms,
        mentions=mentions,
        tags=tuple(name for name, _ in tags),
        thread_id=None if parent is None else parent.thread_id or parent.id,
        poll=None,
    )
    if draft.poll is None:
        return post
    return replace(post, poll=polls.checked(draft.poll, post_id=post.id, author_id=author.id, now_ms=now_ms))


def insert_row(connection: Connection, post: Post, draft: Draft) -> None:
    """Insert the post's own row."""
    # The app may have been deleted before a scheduled post is due.
    application_id = None if post.application is None else draft.application_id
    stored.insert_post(connection, post=post, application_id=application_id)


def announced(connection: Connection, post: Post, by: accounts.Author, *, key: str, now_ms: int) -> Created:
    """End the creation of a post whose rows are written: store its key, notify subscribers and processes."""
    author = by.account
    is_counted = post.visibility is not Visibility.DIRECT
    if is_counted and by.has_subscribers:
        # There may be thousands. The courier notifies them, so that the author does not wait.
        outbox.put(connection, kind="post_notices", payload={"post_id": post.id}, now_ms=now_ms)
    if key:
        stored.put_idempotent(connection, account_id=author.id, key=key, post_id=post.id, now_ms=now_ms)
    connection.tell(
        PostCreated(
            post_id=post.id,
            author_id=author.id,
            visibility=int(post.visibility),
            in_reply_to_id=post.in_reply_to_id or 0,
            in_reply_to_account_id=post.in_reply_to_account_id or 0,
            mentioned_ids=tuple(mention.account_id for mention in post.mentions),
            tags=post.tags,
            language=post.language,
            author_silenced=author.silenced,
        )
    )
    connection.tell(AccountChanged(author.id))
    if is_counted:
        author = replace(author, posts_count=author.posts_count + 1, last_post_at_ms=now_ms)
    return Created(post.id, post, author)


def checked_text(draft: Draft, max_characters: int) -> tuple[str, str]:
    """Return the draft's text and content warning, cleaned. Raise Invalid."""
    if is_too_large(draft.text, max_characters) or is_too_large(draft.spoiler_text, MAX_SPOILER):
        raise Invalid(f"Validation failed: Text character limit of {max_characters} exceeded")
    text = texts.clean(draft.text)
    spoiler = texts.one_line(draft.spoiler_text)
    if not text and not draft.media_ids:
        raise Invalid("Validation failed: Text can't be blank")
    if texts.count_characters(text) + length(spoiler) > max_characters:
        raise Invalid(f"Validation failed: Text character limit of {max_characters} exceeded")
    if is_too_long(spoiler, MAX_SPOILER):
        raise Invalid(f"Validation failed: Content warning is too long (maximum is {MAX_SPOILER} characters)")
    return text, spoiler


def named_in(
    connection: Connection, text: str, *, domain: str
) -> tuple[tuple[Mention, ...], tuple[tuple[str, str], ...]]:
    """Return a text's mentions, by account id, and its hashtags (key, as written). Raise Invalid for too many."""
    names = texts.mentions_in(text, domain=domain)
    tags = texts.tags_in(text)
    if len(names) > MAX_MENTIONS:
        raise Invalid(f"Validation failed: Text mentions too many people (maximum is {MAX_MENTIONS})")
    if len(tags) > MAX_TAGS:
        raise Invalid(f"Validation failed: Text has too many hashtags (maximum is {MAX_TAGS})")
    mentions = (Mention(*named) for named in accounts.ids_by_names(connection, names=names).values())
    return tuple(sorted(mentions, key=lambda mention: mention.account_id)), tags


def require_allowed_mentions(draft: Draft, mentions: Sequence[Mention], *, author_id: int) -> None:
    """Raise UnexpectedMentions where the text mentions others than the draft allows."""
    if draft.allowed_mentions is not None:
        allowed = {author_id, *draft.allowed_mentions}
        others = tuple(mention.account_id for mention in mentions if mention.account_id not in allowed)
        if others:
            raise UnexpectedMentions(others)


def forget_key(connection: Connection, *, account_id: int, key: str) -> None:
    """Delete the idempotency key."""
    stored.forget_idempotent(connection, account_id=account_id, key=key)


def remember_key(connection: Connection, *, account_id: int, key: str, answer_id: int, now_ms: int) -> None:
    """Store the answer to the idempotency key."""
    stored.put_idempotent(connection, account_id=account_id, key=key, post_id=answer_id, now_ms=now_ms)
