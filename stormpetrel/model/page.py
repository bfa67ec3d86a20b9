"""Paging: which part of a long list to return."""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.model.ids import MAX_ID


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` items with `since_id` < id < `max_id`, newest first.

    With `min_id`, the items that directly follow it, also newest first; it overrides `since_id`.
    """

    limit: int
    max_id: int = MAX_ID
    since_id: int = 0
    min_id: int | None = None

    @property
    def low(self) -> int:
        """Return the exclusive lower bound of the ids."""
        return self.since_id if self.min_id is None else self.min_id

    @property
    def upward(self) -> bool:
        """Return True for the items nearest to `low`, rather than the newest."""
        return self.min_id is not None
