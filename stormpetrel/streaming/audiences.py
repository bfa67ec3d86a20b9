"""Lists of accounts that somebody listens to: whose each is, who is in it, and which lists an author is in.

Kept while a stream of the list is open, and right as of every event that has been applied, as tastes are
(readers.py). As large as the lists that are listened to and their members.
"""

from __future__ import annotations

import asyncio

from stormpetrel.errors import NotFound
from stormpetrel.model.lists import Audience
from stormpetrel.rules import lists
from stormpetrel.storage.database import Database

READ_AT_ONCE = 20
"""Lists read in one turn of the loop, as tastes are."""


class _Kept:
    __slots__ = ("audience", "changes", "owner_id", "streams")

    def __init__(self, owner_id: int) -> None:
        self.owner_id = owner_id
        self.streams = 0
        self.changes = 0
        self.audience: Audience | None = None


class Audiences:
    """The lists that are listened to."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lists: dict[int, _Kept] = {}
        self._with_member: dict[int, set[int]] = {}
        self._stale: set[int] = set()

    def __len__(self) -> int:
        return len(self._lists)

    async def enter(self, list_id: int, *, owner_id: int) -> None:
        """A stream of the list begins; `leave` ends it. Raises NotFound, and begins none, for anybody else's."""
        # Asked each time: what is kept may be about to be found gone.
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
        """A stream of the list has ended."""
        kept = self._lists[list_id]
        kept.streams -= 1
        if not kept.streams:
            self._install(list_id, kept, None)
            del self._lists[list_id]
            self._stale.discard(list_id)

    def changed(self, list_id: int) -> None:
        """Its members or settings have changed, or it is gone."""
        kept = self._lists.get(list_id)
        if kept is not None:
            kept.changes += 1
            self._stale.add(list_id)

    def all_changed(self) -> None:
        """Nothing is known to be right any more."""
        for list_id in self._lists:
            self.changed(list_id)

    @property
    def is_stale(self) -> bool:
        """Whether `refresh` has something to do."""
        return bool(self._stale)

    async def refresh(self) -> None:
        """Return when every list is right. Raises Busy when the store fails."""
        while self._stale:
            for list_id in list(self._stale)[:READ_AT_ONCE]:
                await self._load(list_id)
            if self._stale:
                await asyncio.sleep(0)

    def with_member(self, author_id: int) -> list[Audience]:
        """Those of the lists that the author is in."""
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
                audience = None  # deleted: its streams stay open, and silent
            if self._lists.get(list_id) is not kept:
                continue
            # What changed while it was read may or may not be in it.
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
