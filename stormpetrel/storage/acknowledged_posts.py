"""Whether posts that the server has acknowledged are in the store."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from stormpetrel.storage.engine.connection import connect
from stormpetrel.storage.engine.statement import sql

AT_ONCE = 1_000
"""Ids in one query."""
_POSTS = sql("SELECT id FROM posts WHERE id IN :ids[]")
_AUTHORS = sql("SELECT id FROM accounts WHERE id IN :ids[]")


def missing_posts(url: str, *, authors: Mapping[int, int]) -> list[int]:
    """Return the ids of posts that are not in the store, though their author is: a deleted account takes its posts.

    `authors`: account by post.
    """
    connection = connect(url, writes=False)
    try:
        missing = []
        ids = iter(authors)
        while some := list(islice(ids, AT_ONCE)):
            stored = {row[0] for row in connection.all(_POSTS, ids=some)}
            gone = [post_id for post_id in some if post_id not in stored]
            if gone:
                present = {row[0] for row in connection.all(_AUTHORS, ids=[authors[one] for one in gone])}
                missing += [post_id for post_id in gone if authors[post_id] in present]
        return missing
    finally:
        connection.close()
