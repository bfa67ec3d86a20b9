"""Load the data of the API's responses in one read: posts with the posts they boost, authors, the reader's
flags."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

from stormpetrel.model.account import Account
from stormpetrel.model.post import Flags, Post
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

HOT_POSTS = 40
"""Up to this many missing posts and accounts are read on the event loop (storage/engine/database.py: hot)."""


class LoadedPosts(NamedTuple):
    """The data read. `flags`: the reader's actions on a post, only for posts that have any."""

    posts: list[Post]
    accounts: list[Account]
    flags: dict[int, Flags]


def load(
    connection: Connection,
    *,
    post_ids: Sequence[int],
    account_ids: Sequence[int],
    flag_ids: Sequence[int],
    reader_id: int | None,
    kept: Container[int] = (),
) -> LoadedPosts:
    """Load posts with the posts they boost, their authors and `account_ids`, and the reader's flags on all of
    them. `kept`: accounts in memory, which are not read as authors."""
    posts = post_rules.posts(connection, post_ids=post_ids) if post_ids else []
    given = {post.id for post in posts}
    originals = [
        post.boost_of_id for post in posts if post.boost_of_id is not None and post.boost_of_id not in given
    ]
    if originals:
        posts += post_rules.posts(connection, post_ids=list(dict.fromkeys(originals)))
    authors = (post.author_id for post in posts if post.author_id not in kept)
    wanted = dict.fromkeys([*account_ids, *authors])
    accounts = account_rules.accounts(connection, account_ids=list(wanted)) if wanted else []
    flags: dict[int, Flags] = {}
    if reader_id is not None:
        asked = dict.fromkeys([*flag_ids, *(post.id for post in posts if post.boost_of_id is None)])
        flags = post_rules.flags(connection, reader_id=reader_id, post_ids=list(asked))
    return LoadedPosts(posts, accounts, flags)


@hot
def load_few(connection: Connection, **wanted: Any) -> LoadedPosts:
    """Run `load` on the event loop; for at most HOT_POSTS posts and accounts."""
    return load(connection, **wanted)
