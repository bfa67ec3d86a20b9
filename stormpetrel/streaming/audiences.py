"""Lists of accounts that have an open stream: the owner and members of each, and the lists that an author is
in.

Cached while a stream of the list is open, like home filters (readers.py). The size is that of these lists and their
members.
"""

from __future__ import annotations

from stormpetrel.errors import NotFound
from stormpetrel.model.lists import Audience
from stormpetrel.rules import lists
from stormpetrel.storage.engine.database import Database
from stormpetrel.streaming.current import CurrentValues


class Audiences:
    """The lists that have an open stream."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lists: CurrentValues[Audience] = CurrentValues(self._read, self._replaced)
        # The owner of each list with an open stream.
        self._owner_ids: dict[int, int] = {}
        self._with_member: dict[int, set[int]] = {}

    def __len__(self) -> int:
        return len(self._lists)

    async def enter(self, list_id: int, *, owner_id: int) -> None:
        """Begin a stream of the list; `leave` ends it. Raise NotFound, and begin none, for another owner."""
        # Check each time: the list may have been deleted though the cache still has it.
        await self._database.read(lists.one_list, account_id=owner_id, list_id=list_id)
        self._owner_ids[list_id] = owner_id
        try:
            await self._lists.enter(list_id)
        except BaseException:
            self.leave(list_id)
            raise

    def leave(self, list_id: int) -> None:
        """End a stream of the list."""
        self._lists.leave(list_id)
        if list_id not in self._lists:
            del self._owner_ids[list_id]

    def changed(self, list_id: int) -> None:
        """Note that the list's members or settings have changed, or that it was deleted."""
        self._lists.changed((list_id,))

    def all_changed(self) -> None:
        """Mark all lists as outdated."""
        self._lists.all_changed()

    @property
    def is_stale(self) -> bool:
        """Return True if `refresh` has lists to read."""
        return self._lists.is_stale

    async def refresh(self) -> None:
        """Read the lists that are not current. Raise Busy if the database fails."""
        await self._lists.refresh()

    def with_member(self, author_id: int) -> list[Audience]:
        """Return the lists that contain the author."""
        found = (self._lists.get(list_id) for list_id in self._with_member.get(author_id, ()))
        return [audience for audience in found if audience is not None]

    async def _read(self, list_id: int) -> Audience | None:
        try:
            return await self._database.read(
                lists.audience, account_id=self._owner_ids[list_id], list_id=list_id
            )
        except NotFound:
            return None  # deleted: its streams stay open without events

    def _replaced(self, list_id: int, before: Audience | None, after: Audience | None) -> None:
        for member_id in () if before is None else before.member_ids:
            list_ids = self._with_member[member_id]
            list_ids.discard(list_id)
            if not list_ids:
                del self._with_member[member_id]
        for member_id in () if after is None else after.member_ids:
            self._with_member.setdefault(member_id, set()).add(list_id)
