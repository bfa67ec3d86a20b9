"""What the API's answers show, read in one go: posts with what they boost, who wrote them, the reader's flags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from stormpetrel.model.account import Account
from stormpetrel.model.post import Flags, Post
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.storage.connection import Connection
from stormpetrel.storage.hot import hot

HOT_POSTS = 40
"""Up to so many posts that are missing are read in the loop (storage/database.py: hot)."""


class Loaded(NamedTuple):
    """What was read. `flags`: what the reader did with a post, where they did anything."""

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
) -> Loaded:
    """Posts with what they boost, their authors and `account_ids`, and the reader's flags on all of them."""
    posts = post_rules.posts(connection, post_ids=post_ids) if post_ids else []
    given = {post.id for post in posts}
    originals = [
        post.boost_of_id for post in posts if post.boost_of_id is not None and post.boost_of_id not in given
    ]
    if originals:
        posts += post_rules.posts(connection, post_ids=list(dict.fromkeys(originals)))
    wanted = dict.fromkeys([*account_ids, *(post.author_id for post in posts)])
    accounts = account_rules.accounts(connection, account_ids=list(wanted)) if wanted else []
    flags: dict[int, Flags] = {}
    if reader_id is not None:
        asked = dict.fromkeys([*flag_ids, *(post.id for post in posts if post.boost_of_id is None)])
        flags = post_rules.flags(connection, reader_id=reader_id, post_ids=list(asked))
    return Loaded(posts, accounts, flags)


@hot
def load_few(connection: Connection, **wanted: Any) -> Loaded:
    """`load`, in the loop; for at most HOT_POSTS."""
    return load(connection, **wanted)
