"""The posts that workers acknowledged lately, and whether the store still has them after an attack.

A worker publishes a post after its commit and before the answer. So a post that was heard of was acknowledged, or
was about to be, and must be in the store.
"""

from __future__ import annotations

import asyncio
import logging

from stormpetrel import clock
from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.errors import StormpetrelError
from stormpetrel.model.attack import AttackSpan
from stormpetrel.model.event import Event, PostCreated, PostDeleted
from stormpetrel.model.ids import first_id_at
from stormpetrel.storage.acknowledged_posts import missing_posts
from stormpetrel.storage.engine.failures import store_failed
from stormpetrel.storage.journal import Note, attack_name

MAX_POSTS = 50_000
"""The newest posts that are remembered: 6 MB."""
ANSWER_S = 4.0

log = logging.getLogger(__name__)


class AcknowledgedPosts:
    """The newest posts, with their authors; those that were deleted are left out."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._authors: BoundedTable[int, int] = BoundedTable(MAX_POSTS, evicts=Eviction.OLDEST)

    def hear(self, events: list[Event]) -> None:
        """Take events of the bus."""
        for event in events:
            match event:
                case PostCreated():
                    self._authors.put(event.post_id, event.author_id)
                case PostDeleted():
                    for post_id in (event.post_id, *(boost_id for boost_id, _ in event.boosts)):
                        self._authors.pop(post_id)

    async def check(self, span: AttackSpan) -> list[Note]:
        """Look in the store for the posts that were acknowledged since an attack began; return notes on the result.

        If the store does not answer within ANSWER_S, the note says that nothing was checked.
        """
        first_id = first_id_at(span.onset_ms)
        authors = {post_id: author for post_id, author in self._authors.items() if post_id >= first_id}
        at_ms, who = clock.now_ms(), attack_name(span.number)
        try:
            async with asyncio.timeout(ANSWER_S):
                missing = await asyncio.to_thread(missing_posts, self._url, authors=authors)
        except Exception as error:
            if not (isinstance(error, StormpetrelError | TimeoutError) or store_failed(error)):
                raise
            log.warning("acknowledged posts could not be checked: %s", error or "no answer")
            return [
                Note(at_ms=at_ms, kind="check", text="the store did not answer", because="unchecked", who=who)
            ]
        if missing:
            log.error("acknowledged posts are not in the store: %s", missing[:20])
        return [
            Note(
                at_ms=at_ms,
                kind="check",
                text="acknowledged posts that were looked for",
                because="posts",
                who=who,
                count=len(authors),
            ),
            Note(
                at_ms=at_ms,
                kind="check",
                text="acknowledged posts that are not in the store",
                because="posts_missing",
                who=who,
                count=len(missing),
            ),
        ]
