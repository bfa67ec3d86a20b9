"""Lists of accounts that have an open stream: the owner and members of each, and the lists that an author is
in.

Cached while a stream of the list is open, and current with every event applied, like tastes (readers.py). The
size is that of these lists and their members.
"""

from __future__ import annotations

import asyncio

from stormpetrel.errors import NotFound
from stormpetrel.model.lists import Audience
from stormpetrel.rules import lists
from stormpetrel.storage.engine.database import Database

READ_AT_ONCE = 20
"""Lists read in one turn of the loop, as for tastes."""


class _Kept:
    __slots__ = ("audience", "changes", "owner_id", "streams")

    def __init__(self, owner_id: int) -> None:
        self.owner_id = owner_id
        self.streams = 0
        self.changes = 0
        self.audience: Audience | None = None


class Audiences:
    """The lists that have an open stream."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lists: dict[int, _Kept] = {}
        self._with_member: dict[int, set[int]] = {}
        self._stale: set[int] = set()

    def __len__(self) -> int:
        return len(self._lists)

    async def enter(self, list_id: int, *, owner_id: int) -> None:
        """Begin a stream of the list; `leave` ends it. Raise NotFound, and begin none, for another owner."""
        # Check each time: the list may have been deleted though the cache still has it.
        await self._database.read(lists.one_list, account_id=owner_id, list_id=list_id)
        kept = self._lists.get(list_id)
        if kept is None:
            kept = self._lists[list_id] = _Kept(owner_id)
        kept.streams += 1
        if kept.audience is None:
            try:
                await self._load(list_id)
            except BaseException:
                self.leave(list_id)
                raise

    def leave(self, list_id: int) -> None:
        """End a stream of the list."""
        kept = self._lists[list_id]
        kept.streams -= 1
        if not kept.streams:
            self._install(list_id, kept, None)
            del self._lists[list_id]
            self._stale.discard(list_id)

    def changed(self, list_id: int) -> None:
        """Note that the list's members or settings have changed, or that it was deleted."""
        kept = self._lists.get(list_id)
        if kept is not None:
            kept.changes += 1
            self._stale.add(list_id)

    def all_changed(self) -> None:
        """Mark all lists as outdated."""
        for list_id in self._lists:
            self.changed(list_id)

    @property
    def is_stale(self) -> bool:
        """True if `refresh` has lists to read."""
        return bool(self._stale)

    async def refresh(self) -> None:
        """Return when every list is current. Raise Busy if the database fails."""
        while self._stale:
            for list_id in list(self._stale)[:READ_AT_ONCE]:
                await self._load(list_id)
            if self._stale:
                await asyncio.sleep(0)

    def with_member(self, author_id: int) -> list[Audience]:
        """Return the lists that contain the author."""
        found = (self._lists[list_id].audience for list_id in self._with_member.get(author_id, ()))
        return [audience for audience in found if audience is not None]

    async def _load(self, list_id: int) -> None:
        while (kept := self._lists.get(list_id)) is not None:
            changes = kept.changes
            audience: Audience | None
            try:
                audience = await self._database.read(
                    lists.audience, account_id=kept.owner_id, list_id=list_id
                )
            except NotFound:
                audience = None  # deleted: its streams stay open without events
            if self._lists.get(list_id) is not kept:
                continue
            # A change during the read may or may not be included, so read again.
            if kept.changes == changes:
                self._install(list_id, kept, audience)
                self._stale.discard(list_id)
                return
        self._stale.discard(list_id)

    def _install(self, list_id: int, kept: _Kept, audience: Audience | None) -> None:
        for member_id in () if kept.audience is None else kept.audience.member_ids:
            list_ids = self._with_member[member_id]
            list_ids.discard(list_id)
            if not list_ids:
                del self._with_member[member_id]
        kept.audience = audience
        for member_id in () if audience is None else audience.member_ids:
            self._with_member.setdefault(member_id, set()).add(list_id)
