"""The guard's list: what the watch sends, within the guard's limits, and the same in the kernel."""

from __future__ import annotations

import math
from collections.abc import Callable

from stormpetrel.config import Network
from stormpetrel.control.guard_messages import GuardList, GuardReport
from stormpetrel.guard.drop_table import DropTable, NftFailed
from stormpetrel.guard.limits import LONGEST_S, MAX_ENTRIES, ListLimits


class KernelList:
    """The entries in force. `clock_s`: a monotonic clock. The kernel also ends each entry by itself."""

    def __init__(self, table: DropTable, limits: ListLimits, *, clock_s: Callable[[], float]) -> None:
        self.limits = limits
        self._table = table
        self._clock_s = clock_s
        self._until_s: dict[Network, float] = {}
        self._refused = 0
        self._problem = ""
        self._has_table = False

    def __len__(self) -> int:
        return len(self._until_s)

    def start(self) -> None:
        """Replace the table that an earlier guard may have left by an empty one. Raise NftFailed."""
        self._has_table = True
        self._table.create({})

    def take(self, changes: GuardList) -> GuardReport:
        """Apply changes, and return the state after them."""
        now_s = self._clock_s()
        had_entries = bool(self._until_s)
        ended = [network for network, until_s in self._until_s.items() if until_s <= now_s]
        for network in ended:
            del self._until_s[network]
        is_new = changes.is_all or bool(self._problem)
        if changes.is_all:
            self._until_s.clear()
        gone = [removed for text in changes.dropped if (removed := self._remove(text)) is not None]
        add = {}
        for text, lasts_s in changes.listed:
            checked = self.limits.checked(text, lasts_s)
            if checked is None or len(self._until_s) >= MAX_ENTRIES:
                self._refused += 1
            elif checked not in self._until_s:
                self._until_s[checked] = now_s + lasts_s
                add[checked] = lasts_s
        self._put(add, gone, now_s=now_s, is_new=is_new, had_entries=had_entries)
        return GuardReport(
            len(self._until_s), self._table.packets, self._refused, self._problem, self._table.is_dry_run
        )

    def clear(self) -> None:
        """End all entries. Raise NftFailed."""
        if self._until_s:
            self._until_s.clear()
            self._table.create({})

    def end(self) -> None:
        """Remove the table if `start` made one. Raise NftFailed."""
        self._until_s.clear()
        if self._has_table:
            self._table.delete()

    def _remove(self, text: str) -> Network | None:
        network = self.limits.checked(text, LONGEST_S)
        return network if network is not None and self._until_s.pop(network, None) is not None else None

    def _put(
        self, add: dict[Network, int], gone: list[Network], *, now_s: float, is_new: bool, had_entries: bool
    ) -> None:
        try:
            # Before the table is replaced, which ends the count.
            if had_entries:
                self._table.count()
            if not is_new:
                self._table.change(add=add, drop=gone)
        except NftFailed:
            # For example when another program flushed the whole ruleset: make the table again.
            is_new = True
        self._problem = ""
        if is_new:
            try:
                self._table.create(
                    {network: math.ceil(until_s - now_s) for network, until_s in self._until_s.items()}
                )
            except NftFailed as error:
                self._problem = str(error)
