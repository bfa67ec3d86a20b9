"""Feeds: the newest public posts of an account or with a hashtag, for readers without an account."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model.account import Account
from stormpetrel.model.page import Page
from stormpetrel.model.post import Post, Visibility
from stormpetrel.model.text import tag_key
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.storage import posts as stored_posts
from stormpetrel.storage import timelines as stored
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

FEED_POSTS = 20
"""Posts in a feed: as many as a page shows."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Posts, newest first, and their authors. `account`: the owner of the feed; None for a hashtag's."""

    posts: tuple[Post, ...]
    authors: dict[int, Account]
    account: Account | None = None


@hot
def feed_of_account(connection: Connection, *, username: str, now_ms: int) -> Feed:
    """Return the account's public posts, without boosts and without replies to others. Raise NotFound.

    Unlisted posts are left out: they are for visitors of the profile, and a feed is delivered to its readers.
    """
    account = account_rules.account_named(connection, username=username)
    ids = stored.of_account(
        connection,
        stored.AccountView(None, account.id, Visibility.PUBLIC),
        page=Page(FEED_POSTS),
        with_replies=False,
        with_boosts=False,
        now_ms=now_ms,
    )
    posts = post_rules.posts(connection, post_ids=ids)
    return Feed(tuple(posts), {account.id: account}, account)


@hot
def feed_of_tag(connection: Connection, *, name: str, now_ms: int) -> Feed:
    """Return public posts with the hashtag, by any author. Empty where no post has used it."""
    key = tag_key(name)
    tag_id = stored_posts.tag_ids(connection, names=[key]).get(key)
    if tag_id is None:
        return Feed((), {})
    ids = stored.tagged(connection, reader_id=None, page=Page(FEED_POSTS), tag_id=tag_id, now_ms=now_ms)
    posts = post_rules.posts(connection, post_ids=ids)
    authors = account_rules.accounts(connection, account_ids=[post.author_id for post in posts])
    by_id = {author.id: author for author in authors}
    return Feed(tuple(post for post in posts if post.author_id in by_id), by_id)
