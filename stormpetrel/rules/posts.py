"""Posting, boosting, favouriting, bookmarking, deleting, and reading single posts and threads.

This is the only place that decides the length of a post, who is addressed, and who may see which post.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from stormpetrel.errors import Forbidden, Invalid, NotFound
from stormpetrel.model.account import AccountState, is_hidden
from stormpetrel.model.event import AccountChanged, PostChanged, PostDeleted, Reacted
from stormpetrel.model.notification import Kind
from stormpetrel.model.page import Page
from stormpetrel.model.post import (
    Draft,
    Flags,
    Post,
    Visibility,
)
from stormpetrel.model.quota import YOUNG_MENTIONS, YOUNG_POSTS, is_young
from stormpetrel.model.visibility import Facts, may_list, may_see
from stormpetrel.rules import conversations, media, notifications, polls, quotas
from stormpetrel.rules.drafts import (
    IDEMPOTENCY_MS,
    MAX_IDEMPOTENCY_KEY,
    Created,
    announced,
    checked_text,
    insert_row,
    named_in,
    post_of,
    require_allowed_mentions,
)
from stormpetrel.rules.plain_posts import create_plain_posts
from stormpetrel.storage import accounts, relationships
from stormpetrel.storage import posts as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot
from stormpetrel.storage.engine.together import together

TOO_MANY_POSTS = "This account is new and has posted a lot. Please wait before you post again"
TOO_MANY_MENTIONS = (
    "This account is new and has mentioned many people who do not follow it. "
    "Please wait before you mention more"
)


# Reading


@hot
def post(connection: Connection, *, reader_id: int | None, post_id: int, now_ms: int) -> Post:
    """Return the post. Raise NotFound where there is none and where the reader may not see
    it, without a difference.
    """
    require_visible(connection, reader_id=reader_id, post_id=post_id, now_ms=now_ms)
    return stored.posts(connection, post_ids=[post_id])[post_id]


@hot
def visible_original(connection: Connection, *, reader_id: int | None, post_id: int, now_ms: int) -> Post:
    """Return the post, or the original of a boost. Raise NotFound if the reader may not see it."""
    found = post(connection, reader_id=reader_id, post_id=post_id, now_ms=now_ms)
    if found.boost_of_id is not None:
        found = post(connection, reader_id=reader_id, post_id=found.boost_of_id, now_ms=now_ms)
    return found


def require_visible(connection: Connection, *, reader_id: int | None, post_id: int, now_ms: int) -> None:
    if visible_ids(connection, reader_id=reader_id, post_ids=[post_id], now_ms=now_ms) != [post_id]:
        raise NotFound


@hot
def posts(connection: Connection, *, post_ids: Sequence[int]) -> list[Post]:
    """Return those of the posts that exist, in the given order.

    The caller has checked that the reader may see them.
    """
    found = stored.posts(connection, post_ids=post_ids)
    return [found[post_id] for post_id in post_ids if post_id in found]


@hot
def visible_ids(
    connection: Connection,
    *,
    reader_id: int | None,
    post_ids: Sequence[int],
    now_ms: int,
    without_hidden: bool = False,
) -> list[int]:
    """Return those of the posts that the reader may see, in the given order.

    `without_hidden`: only those that may appear in lists (model/visibility.py: may_list).
    """
    facts = stored.facts(connection, reader_id=reader_id, post_ids=post_ids, now_ms=now_ms)
    return [
        post_id
        for post_id in post_ids
        if post_id in facts
        and may_see(facts[post_id], reader_id=reader_id)
        and (not without_hidden or may_list(facts[post_id], reader_id=reader_id))
    ]


@hot
def standing(connection: Connection, *, post_id: int) -> Facts | None:
    """Return the facts about a post's visibility that do not depend on the reader; None if the post is gone."""
    return stored.facts(connection, reader_id=None, post_ids=[post_id], now_ms=0).get(post_id)


@hot
def flags(connection: Connection, *, reader_id: int, post_ids: Sequence[int]) -> dict[int, Flags]:
    """Return the reader's flags of those posts, where there are any. A boost has its original's flags."""
    return stored.flags(connection, reader_id=reader_id, post_ids=post_ids)


def flags_of_readers(connection: Connection, *, post_id: int, reader_ids: Sequence[int]) -> dict[int, Flags]:
    """Return the flags of one post by reader, for those of the readers who have any."""
    return stored.flags_of_readers(connection, post_id=post_id, reader_ids=reader_ids)


@hot
def favourited_by(
    connection: Connection, *, reader_id: int | None, post_id: int, page: Page, now_ms: int
) -> list[tuple[int, int]]:
    """Return (internal id, account id) of its favourites, newest first. Raise NotFound as `post` does."""
    require_visible(connection, reader_id=reader_id, post_id=post_id, now_ms=now_ms)
    return stored.favourited_by(connection, post_id=post_id, page=page)


def boosted_by(
    connection: Connection, *, reader_id: int | None, post_id: int, page: Page, now_ms: int
) -> list[tuple[int, int]]:
    """Return (internal id, account id) of its boosts, newest first. Raise NotFound as `post` does."""
    require_visible(connection, reader_id=reader_id, post_id=post_id, now_ms=now_ms)
    return stored.boosted_by(connection, reader_id=reader_id, post_id=post_id, page=page)


# Writing


@together(create_plain_posts)
def create_post(
    connection: Connection,
    *,
    author_id: int,
    draft: Draft,
    max_characters: int,
    domain: str,
    now_ms: int,
    idempotency_key: str | None = None,
) -> Created:
    """Create a post and notify the accounts that it mentions. The same key returns the same post for an hour.

    `domain`: the instance's; @name@domain mentions a member too. Raise Forbidden for an account that is
    not active, Invalid for an empty or too long text and for too many mentions or tags,
    UnexpectedMentions, TooMany when a young account has used up a quota, NotFound for a reply to a post
    that the author may not see. Of many waiting calls, `create_plain_posts` does what it can together.
    """
    key = (idempotency_key or "")[:MAX_IDEMPOTENCY_KEY]
    found = accounts.author(
        connection, account_id=author_id, idempotency_key=key, application_id=draft.application_id
    )
    if found is None or found.account.state is not AccountState.ACTIVE:
        raise Forbidden("This account is not allowed to post")
    if found.answered is not None:
        if found.answered[1] > now_ms - IDEMPOTENCY_MS:
            return Created(found.answered[0])
        stored.forget_idempotent(connection, account_id=author_id, key=key)
    if draft.poll is not None and draft.media_ids:
        raise Invalid("Validation failed: A post can have media or a poll, not both")
    text, spoiler = checked_text(draft, max_characters)
    parent = None
    if draft.in_reply_to_id is not None:
        parent = answered(connection, author_id=author_id, post_id=draft.in_reply_to_id, now_ms=now_ms)
    mentions, tags = named_in(connection, text, domain=domain)
    require_allowed_mentions(draft, mentions, author_id=author_id)
    addressed = [mention.account_id for mention in mentions]
    quotas.require_young(connection, YOUNG_POSTS, author_id, now_ms=now_ms, text=TOO_MANY_POSTS)
    _require_few_strangers(connection, author_id=author_id, addressed=addressed, now_ms=now_ms)
    post = _insert(
        connection,
        post_of(connection, draft, found, parent, text, spoiler, mentions, tags, now_ms),
        draft,
        now_ms=now_ms,
    )
    if post.visibility is not Visibility.DIRECT:
        accounts.count_new_post(
            connection,
            account_id=author_id,
            last_post_at_ms=found.account.last_post_at_ms,
            now_ms=now_ms,
        )
    if parent is not None and is_counted_reply(post.visibility):
        stored.add_replies(connection, post_id=parent.id, delta=1)
    if parent is not None:
        connection.tell(PostChanged(parent.id, parent.author_id))
    if tags:
        stored.insert_tags(connection, post_id=post.id, tags=tags, now_ms=now_ms)
    if addressed:
        stored.insert_mentions(connection, post_id=post.id, account_ids=sorted(addressed))
    unheard = notifications.notify_mentioned(connection, post=post, account_ids=addressed, now_ms=now_ms)
    conversations.add_post(connection, post=post, account_ids={author_id, *addressed}, unheard=unheard)
    return announced(connection, post, found, key=key, now_ms=now_ms)


def _insert(connection: Connection, post: Post, draft: Draft, *, now_ms: int) -> Post:
    """Store the post with its poll and media, and return it with them."""
    insert_row(connection, post, draft)
    if post.poll is not None:
        polls.open_poll(connection, post.poll, now_ms=now_ms)
    if not draft.media_ids:
        return post
    attached = media.attach(
        connection, author_id=post.author_id, media_ids=draft.media_ids, post_id=post.id, now_ms=now_ms
    )
    return replace(post, media=attached)


def answered(connection: Connection, *, author_id: int, post_id: int, now_ms: int) -> Post:
    """Return the post to reply to; the original of a boost. Raise NotFound where the author may not see it."""
    try:
        return visible_original(connection, reader_id=author_id, post_id=post_id, now_ms=now_ms)
    except NotFound as error:
        raise NotFound("The post you replied to is no longer available") from error


def _require_few_strangers(
    connection: Connection, *, author_id: int, addressed: Sequence[int], now_ms: int
) -> None:
    """Raise TooMany when a young account mentions many accounts that neither follow it nor
    were mentioned by it before.
    """
    strangers = set(addressed) - {author_id}
    if not strangers or not is_young(author_id, now_ms=now_ms):
        return
    strangers -= relationships.followers_among(connection, account_id=author_id, ids=sorted(strangers))
    strangers -= stored.named_before(connection, author_id=author_id, account_ids=sorted(strangers))
    quotas.require_young(
        connection, YOUNG_MENTIONS, author_id, now_ms=now_ms, text=TOO_MANY_MENTIONS, uses=len(strangers)
    )


def is_counted_reply(visibility: Visibility) -> bool:
    """Return True if the post it replies to counts the reply: every visitor of that post may see the reply."""
    return visibility in (Visibility.PUBLIC, Visibility.UNLISTED)


def delete_post(
    connection: Connection, *, author_id: int, post_id: int, now_ms: int, delete_media: bool = False
) -> Post:
    """Delete the author's own post with its boosts; return the post as it was.

    Raise NotFound for posts of others.

    Its media are stored for another day, so that the post can be redrafted, or are
    deleted too (`delete_media`).
    """
    found = stored.posts(connection, post_ids=[post_id]).get(post_id)
    if found is None or found.author_id != author_id or not stored.lock_post(connection, post_id=post_id):
        raise NotFound
    if found.boost_of_id is not None:
        unboost(connection, account_id=author_id, post_id=found.boost_of_id, now_ms=now_ms)
        return found
    boosts = stored.boosts(connection, post_id=post_id)
    for _, booster_id in sorted(boosts, key=lambda boost: boost[1]):
        accounts.add_post_count(connection, account_id=booster_id, delta=-1)
        connection.tell(AccountChanged(booster_id))
    for reply_id, replier_id in stored.replies(connection, post_id=post_id):
        connection.tell(PostChanged(reply_id, replier_id))
    stored.orphan_replies(connection, post_id=post_id)
    if found.in_reply_to_id is not None:
        if is_counted_reply(found.visibility) and not is_hidden(
            accounts.state(connection, account_id=author_id)
        ):
            stored.add_replies(connection, post_id=found.in_reply_to_id, delta=-1)
        connection.tell(PostChanged(found.in_reply_to_id, found.in_reply_to_account_id or 0))
    media.let_go(connection, media=found.media, delete_media=delete_media, now_ms=now_ms)
    places = conversations.lock_of_post(connection, post_id=post_id)
    stored.delete_post(connection, post_id=post_id)
    conversations.settle(connection, post_id=post_id, places=places)
    if found.visibility is not Visibility.DIRECT:
        accounts.add_post_count(connection, account_id=author_id, delta=-1)
    connection.tell(
        PostDeleted(
            post_id=post_id,
            author_id=author_id,
            tags=found.tags,
            in_reply_to_id=found.in_reply_to_id or 0,
            boosts=tuple(boosts),
            visibility=int(found.visibility),
            mentioned_ids=tuple(mention.account_id for mention in found.mentions),
        )
    )
    connection.tell(AccountChanged(author_id))
    return found


def unboost(connection: Connection, *, account_id: int, post_id: int, now_ms: int) -> None:
    """Remove a boost, if there is one. Raise NotFound where the post does not exist."""
    original = original_of(connection, post_id)
    boost_id = stored.delete_boost(connection, post_id=original.id, account_id=account_id)
    if boost_id is None:
        return
    if not is_hidden(accounts.state(connection, account_id=account_id)):
        stored.add_boosts(connection, post_id=original.id, delta=-1)
    accounts.add_post_count(connection, account_id=account_id, delta=-1)
    notifications.withdraw(
        connection,
        account_id=original.author_id,
        kind=Kind.BOOST,
        from_account_id=account_id,
        post_id=original.id,
    )
    connection.tell(PostDeleted(post_id=boost_id, author_id=account_id, boost_of_id=original.id))
    connection.tell(PostChanged(original.id, original.author_id))
    connection.tell(AccountChanged(account_id))
    connection.tell(Reacted(account_id, original.id))


def original_of(connection: Connection, post_id: int) -> Post:
    """Return the post, or the original of a boost. Raise NotFound."""
    found = stored.posts(connection, post_ids=[post_id]).get(post_id)
    if found is not None and found.boost_of_id is not None:
        found = stored.posts(connection, post_ids=[found.boost_of_id]).get(found.boost_of_id)
    if found is None:
        raise NotFound
    return found
