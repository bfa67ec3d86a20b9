"""Events that a process may have committed and not published: what it leaves behind if it is killed.

Each process has a region of shared memory. It writes its events there before their COMMIT, and takes them out after
it has published them. The supervisor reads the region of a process that died, and sends its events to the others.
So these keep all that they have in memory, unless the region does not tell.
"""

from __future__ import annotations

import itertools
import mmap
import struct
import threading
from collections.abc import Sequence

import msgspec

from stormpetrel.model.event import AllChanged, Event, if_committed

REGION_BYTES = 64 * 1024
"""Room for the events of some hundred writes; more become AllChanged."""
_LENGTH = struct.Struct("=I")
_UNKNOWN = 0xFFFFFFFF
_ROOM = REGION_BYTES - _LENGTH.size
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Event]).decode


class PendingEvents:
    """The region of this process, in `memory` at `offset`. Any of its threads may call it."""

    __slots__ = ("_lock", "_memory", "_noted", "_numbers", "_offset")

    def __init__(self, memory: mmap.mmap, offset: int) -> None:
        self._memory = memory
        self._offset = offset
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._noted: dict[int, Sequence[Event]] = {}
        self._write()

    def note(self, events: Sequence[Event]) -> int:
        """Keep these events until `published` gets the number that this returns. Call it before their COMMIT."""
        with self._lock:
            number = next(self._numbers)
            self._noted[number] = events
            self._write()
        return number

    def published(self, number: int) -> None:
        """Forget the events with this number: they were published, or their change was undone."""
        with self._lock:
            del self._noted[number]
            self._write()

    def _write(self) -> None:
        memory, offset = self._memory, self._offset
        if not self._noted:
            _LENGTH.pack_into(memory, offset, 0)
            return
        data = _encode([event for events in self._noted.values() for event in events])
        # A process that is killed while it writes leaves a region that does not tell.
        _LENGTH.pack_into(memory, offset, _UNKNOWN)
        if len(data) <= _ROOM:
            memory[offset + _LENGTH.size : offset + _LENGTH.size + len(data)] = data
            _LENGTH.pack_into(memory, offset, len(data))


def left_behind(memory: mmap.mmap, offset: int) -> list[Event]:
    """Return the events that a process which died may have committed and not published, and empty its region.

    [AllChanged()] if they are unknown, or if they would do harm should they not have been committed.
    """
    (length,) = _LENGTH.unpack_from(memory, offset)
    start = offset + _LENGTH.size
    events: list[Event] = [AllChanged()] if length == _UNKNOWN else []
    if length and not events:
        events = if_committed(_decode(memory[start : start + length]))
    _LENGTH.pack_into(memory, offset, 0)
    return events
