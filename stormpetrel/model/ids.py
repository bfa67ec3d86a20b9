"""Ids: decimal snowflakes, so that newer sorts after older on every process and every machine.

milliseconds since 1970 << 16 | slot (6 bits) << 10 | sequence (10 bits). A slot belongs to one process at a
time (storage/engine/slots.py), so two processes never create the same id.
"""

from __future__ import annotations

from threading import Lock

SHIFT_BITS = 16
SLOT_BITS = 6
SEQUENCE_BITS = 10
SLOTS = 1 << SLOT_BITS
MAX_ID = (1 << 63) - 1
"""Above every id: "no upper bound" in queries that page."""


class IdMaker:
    """Creates ids for one process. Thread-safe."""

    __slots__ = ("_last_ms", "_lock", "_sequence", "slot")

    def __init__(self, slot: int) -> None:
        if not 0 <= slot < SLOTS:
            raise ValueError(f"slot must be 0..{SLOTS - 1}, not {slot}")
        self.slot = slot
        self._lock = Lock()
        self._last_ms = 0
        self._sequence = 0

    def go_on_after(self, time_ms: int) -> None:
        """Make all further ids larger than those created until `time_ms`, whatever the clock says."""
        with self._lock:
            if time_ms > self._last_ms:
                self._last_ms = time_ms
                self._sequence = (1 << SEQUENCE_BITS) - 1

    def next(self, now_ms: int) -> int:
        """Return a new id, larger than all earlier ones of this object, even if the clock went back."""
        with self._lock:
            if now_ms > self._last_ms:
                self._last_ms = now_ms
                self._sequence = 0
            else:
                self._sequence += 1
                if self._sequence >> SEQUENCE_BITS:
                    # After 1,024 ids in one millisecond, borrow from the next one: this keeps the order.
                    self._last_ms += 1
                    self._sequence = 0
            return self._last_ms << SHIFT_BITS | self.slot << SEQUENCE_BITS | self._sequence


def time_ms(some_id: int) -> int:
    """Return the time at which the id was created, in milliseconds since 1970."""
    return some_id >> SHIFT_BITS


def first_id_at(time_ms: int) -> int:
    """Return the smallest id that can be created at that moment."""
    return time_ms << SHIFT_BITS


def parse_id(text: str) -> int | None:
    """Return the id in a client's text, or None if it cannot be an id, so that no look-up is needed."""
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        return None
    value = int(text)
    return value if 0 < value <= MAX_ID else None
