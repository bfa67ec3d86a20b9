"""Threads: the posts above and below a post that a reader may see."""

from __future__ import annotations

from stormpetrel.model.post import Thread
from stormpetrel.rules import posts
from stormpetrel.storage import posts as stored
from stormpetrel.storage.engine.connection import Connection

MAX_ANCESTORS = 200
MAX_DESCENDANTS = 500
"""The replies nearest to the post. Each reply shown has its own thread, where a longer thread continues."""
MAX_VISITOR_ANCESTORS = 40
MAX_VISITOR_DESCENDANTS = 60
MAX_DEPTH = 20


def thread(connection: Connection, *, reader_id: int | None, post_id: int, now_ms: int) -> Thread:
    """Return the part of the post's thread that the reader may see.

    Of a long thread, return the posts nearest to the post; fewer for a visitor.
    """
    posts.require_visible(connection, reader_id=reader_id, post_id=post_id, now_ms=now_ms)
    visitor = reader_id is None
    above = stored.ancestors(
        connection, post_id=post_id, count=MAX_VISITOR_ANCESTORS if visitor else MAX_ANCESTORS
    )
    below = stored.descendants(
        connection,
        post_id=post_id,
        count=MAX_VISITOR_DESCENDANTS if visitor else MAX_DESCENDANTS,
        depth=MAX_DEPTH if visitor else MAX_DESCENDANTS,
    )
    allowed = set(
        posts.visible_ids(
            connection,
            reader_id=reader_id,
            post_ids=[*above, *(reply_id for reply_id, _ in below)],
            now_ms=now_ms,
            without_hidden=True,
        )
    )
    children: dict[int, list[int]] = {}
    for reply_id, parent_id in below:
        if reply_id in allowed:
            children.setdefault(parent_id, []).append(reply_id)
    return Thread(
        ancestor_ids=tuple(ancestor_id for ancestor_id in above if ancestor_id in allowed),
        descendant_ids=tuple(_in_reading_order(post_id, children)),
    )


def _in_reading_order(root_id: int, children: dict[int, list[int]]) -> list[int]:
    """Return each reply after the post it replies to, oldest first.

    Replies to an invisible reply are left out.
    """
    ordered: list[int] = []
    stack = sorted(children.get(root_id, ()), reverse=True)
    while stack:
        reply_id = stack.pop()
        ordered.append(reply_id)
        stack += sorted(children.get(reply_id, ()), reverse=True)
    return ordered
