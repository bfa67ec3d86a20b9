"""Caches the flags of active readers on the posts that they see.

A poll of a timeline requests the same twenty posts again and again, and the query for their flags was a quarter
of its cost (docs/decisions/0006-readers-in-memory.md). A new post has no flags until an event says so: a page of new
posts needs no query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stormpetrel import clock
from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.freshness import Freshness
from stormpetrel.model.event import AllChanged, Event, PostCreated, Reacted
from stormpetrel.model.ids import first_id_at
from stormpetrel.model.post import Flags
from stormpetrel.rules import posts
from stormpetrel.storage.engine.database import Database

MAX_FLAGS = 500
"""Posts whose flags are cached per reader; with more, that reader's cache is emptied."""
MAX_ALL_FLAGS = 500_000
"""Limit for all readers together, each counted as a flag too; about 60 MB."""
MAX_UNTOUCHED = 16_384
"""New posts that are known to have no reader's flags; about 3 MB."""
MAX_TOUCHED = 4_096
"""Posts that readers reacted to lately."""
LATE_MS = 1_000
"""Clocks of processes that share a store may differ by so much."""
EVERYTHING = 0
"""Stands for every post of a reader, as in the event Reacted: no id is 0."""

_Known = dict[int, Flags | None]


class ReaderFlags:
    """Readers' flags on posts. Bounded; the reader whose flags were read longest ago is dropped."""

    def __init__(
        self,
        database: Database,
        *,
        max_flags: int = MAX_ALL_FLAGS,
        clock_ms: Callable[[], int] = clock.now_ms,
    ) -> None:
        self._database = database
        self._clock_ms = clock_ms
        # By reader, then by post: the known flags; None if the reader has set none.
        self._known: BoundedTable[int, _Known] = BoundedTable(
            max_flags, evicts=Eviction.OLDEST, weigh=_weight
        )
        # Keys are (reader, post).
        self._freshness: Freshness[tuple[int, int]] = Freshness()
        # New posts that nothing has flagged yet. A reply may be in a thread that a reader has muted before.
        self._untouched: BoundedTable[int, bool] = BoundedTable(MAX_UNTOUCHED, evicts=Eviction.OLDEST)
        # Another process may tell of a reaction before the post's own process tells of the post.
        self._touched: BoundedTable[int, bool] = BoundedTable(MAX_TOUCHED, evicts=Eviction.OLDEST)
        # Posts up to this id may be in a thread that was muted before the event of the post came.
        self._muted_id = 0

    def __len__(self) -> int:
        """Return the number of cached flags, including those known to be unset."""
        return self._known.weight - len(self._known)

    async def of(self, reader_id: int, post_ids: Sequence[int]) -> dict[int, Flags]:
        """Return the reader's flags on those posts that have any, by post."""
        known = self._known.get(reader_id) or {}
        try:
            return {post_id: flags for post_id in post_ids if (flags := known[post_id]) is not None}
        except KeyError:
            untouched = self._untouched
            asked = [post_id for post_id in post_ids if post_id not in untouched]
        if known.keys() >= set(asked):
            return {post_id: flags for post_id in asked if (flags := known[post_id]) is not None}
        began = self._freshness.begin()
        found = await self._database.read(posts.flags, reader_id=reader_id, post_ids=asked)
        if self._freshness.is_current(began, (reader_id, EVERYTHING)):
            self._keep(
                reader_id,
                {
                    post_id: found.get(post_id)
                    for post_id in asked
                    if self._freshness.is_current(began, (reader_id, post_id))
                },
            )
        return found

    def _keep(self, reader_id: int, flags: _Known) -> None:
        known = self._known.get(reader_id)
        if known is None or len(known) > MAX_FLAGS:
            self._known.put(reader_id, flags)
        else:
            known.update(flags)
            self._known.touch(reader_id)
            self._known.reweigh(reader_id)

    def apply(self, event: Event) -> None:
        """Drop the entries that the event made stale."""
        match event:
            case PostCreated(post_id=post_id, in_reply_to_id=0, boost_of_id=0):
                if post_id > self._muted_id and post_id not in self._touched:
                    self._untouched.put(post_id, True)  # noqa: FBT003 - a set
            case Reacted(account_id=account_id, post_id=post_id):
                self._freshness.changed((account_id, post_id))
                if post_id == EVERYTHING:
                    self._known.pop(account_id)
                    self._untouched.clear()
                    self._muted_id = first_id_at(self._clock_ms() + LATE_MS)
                    return
                self._untouched.pop(post_id)
                self._touched.put(post_id, True)  # noqa: FBT003 - a set
                known = self._known.get(account_id)
                if known is not None and post_id in known:
                    del known[post_id]
                    self._known.reweigh(account_id)
            case AllChanged():
                self._freshness.all_changed()
                self._known.clear()
                self._untouched.clear()
            case _:
                pass


def _weight(known: _Known) -> int:
    return len(known) + 1
