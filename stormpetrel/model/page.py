"""Paging: which part of a long list is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model.ids import MAX_ID


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` items with `since_id` < id < `max_id`, newest first.

    With `min_id` the items that follow it directly, still newest first in the answer; it wins over `since_id`.
    """

    limit: int
    max_id: int = MAX_ID
    since_id: int = 0
    min_id: int | None = None

    @property
    def low(self) -> int:
        """Items have an id above this."""
        return self.since_id if self.min_id is None else self.min_id

    @property
    def upward(self) -> bool:
        """Whether the items nearest to `low` are wanted, rather than the newest."""
        return self.min_id is not None
