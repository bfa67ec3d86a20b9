"""The edge's counters, and the caps on connections."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

_SHARE_OF_FILES = 0.9


@dataclass(slots=True)
class Counts:
    """Counters of one worker since it started; `connections` is how many are open now.

    `admitted`: requests that got a slot. `finished`: those among them that got a member's finished answer.
    `refused`: by reason (the policy line's name). `repeated`: of these, refusals for a spent ceiling that were sent
    again to a visitor from memory, without the shield. `closed`: connections ended by the edge, by
    kind: header, body, idle, write, closing, linger, memory, proxy-header, frames. `dropped`:
    connections refused at once, by cap. `reset`, `unused`: connections that clients reset, or closed without a byte.
    """

    requests: int = 0
    served_from_cache: int = 0
    repeated: int = 0
    not_modified: int = 0
    admitted: int = 0
    finished: int = 0
    rendered: int = 0
    gone_while_waiting: int = 0
    upgrades: int = 0
    failed: int = 0
    connections: int = 0
    accepted: int = 0
    reset: int = 0
    unused: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


class ConnectionCaps:
    """Count open connections, in all and by address. Memory grows with the number of connections.

    `is_exempt(address)`: True for an address without a cap of its own, for example a
    proxy; None if there are none.
    """

    def __init__(self, *, total: int, per_address: int) -> None:
        """Set the caps. `total` 0: 90 % of the open-file limit."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        ceiling = 1_000_000 if files == resource.RLIM_INFINITY else int(files * _SHARE_OF_FILES)
        self.total = total or ceiling
        self.per_address = per_address
        self.is_exempt: Callable[[str], bool] | None = None
        self._open = 0
        self._by_address: dict[str, int] = {}

    def __len__(self) -> int:
        return self._open

    def enter(self, address: str) -> str:
        """Count a connection; return "", or the name of the exceeded cap without counting it."""
        if self._open >= self.total:
            return "connections/total"
        held = self._by_address.get(address, 0)
        if held >= self.per_address and (self.is_exempt is None or not self.is_exempt(address)):
            return "connections/address"
        self._open += 1
        self._by_address[address] = held + 1
        return ""

    def leave(self, address: str) -> None:
        """Stop counting a connection that was counted."""
        self._open -= 1
        held = self._by_address[address] - 1
        if held:
            self._by_address[address] = held
        else:
            del self._by_address[address]

    def move(self, address: str, to: str) -> str:
        """Count a connection for another address; return "", or the exceeded cap's name and move nothing."""
        self.leave(address)
        over = self.enter(to)
        if over:
            self._open += 1
            self._by_address[address] = self._by_address.get(address, 0) + 1
        return over
