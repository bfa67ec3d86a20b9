"""Load the data of the API's responses in one read: posts with the posts they boost, and authors."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

from stormpetrel.model.account import Account
from stormpetrel.model.post import Post
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.hot import hot

HOT_POSTS = 40
"""Up to this many missing posts and accounts are read on the event loop (storage/engine/database.py: hot)."""


class LoadedPosts(NamedTuple):
    """The data read."""

    posts: list[Post]
    accounts: list[Account]


def load(
    connection: Connection,
    *,
    post_ids: Sequence[int],
    account_ids: Sequence[int],
    kept: Container[int] = (),
) -> LoadedPosts:
    """Load posts with the posts they boost, their authors and `account_ids`.

    `kept`: accounts in memory, which are not read as authors.
    """
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
    return LoadedPosts(posts, accounts)


@hot
def load_few(connection: Connection, **wanted: Any) -> LoadedPosts:
    """Run `load` on the event loop; for at most HOT_POSTS posts and accounts."""
    return load(connection, **wanted)
