"""Input that waits: bytes held back, and the body of a message that is not at the application yet.

Each byte is counted against the worker's budget, so that all connections together stay within it.
"""

from __future__ import annotations

import asyncio

INPUT_MEMORY_BYTES = 64 * 1024 * 1024
"""Input that all connections of a worker may hold unprocessed. Strangers may fill half of it."""
LINGER_BYTES = 262_144
"""After a refusal with input left unread, this much is read and discarded; a reset would lose the refusal."""
STREAM_FROM_BYTES = 65_536
"""An upload starts to run once this much has arrived; smaller bodies are complete before they run."""


class InputBudget:
    """The input that all connections of a worker hold."""

    __slots__ = ("used_bytes",)

    def __init__(self) -> None:
        self.used_bytes = 0

    def is_exceeded(self, *, known: bool) -> bool:
        """Return True if too much is held. `known`: the client has an identity beyond its address."""
        return self.used_bytes > (INPUT_MEMORY_BYTES if known else INPUT_MEMORY_BYTES // 2)


class ConnectionInput:
    """One connection's input. `held`: bytes that came before their turn. `is_paused`: nothing is read."""

    __slots__ = ("_body", "_budget", "_counted_bytes", "_discarded_bytes", "held", "is_paused")

    def __init__(self, budget: InputBudget) -> None:
        self._budget = budget
        self._counted_bytes = 0
        self._discarded_bytes = 0
        self._body = bytearray()
        self.is_paused = False
        self.held = b""

    @property
    def body_bytes(self) -> int:
        """Return the size of the body that was buffered and not taken."""
        return len(self._body)

    def hold(self, data: bytes) -> None:
        """Hold back bytes behind those that are held already."""
        self.held = self.held + data if self.held else data
        self.count(len(data))

    def take_held(self) -> bytes:
        """Return the bytes held back, and hold none."""
        data, self.held = self.held, b""
        self.release(len(data))
        return data

    def add_body(self, data: bytearray) -> None:
        """Buffer a part of the body. The first one is kept as it is, not copied."""
        if self._body:
            self._body += data
        else:
            self._body = data
        self.count(len(data))

    def take_body(self) -> bytearray:
        """Return the buffered body; it stays counted until it is released."""
        body, self._body = self._body, bytearray()
        return body

    def count(self, size_bytes: int) -> None:
        """Count input that is held for this connection."""
        self._counted_bytes += size_bytes
        self._budget.used_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Stop counting this much, or all if less is counted."""
        size_bytes = min(size_bytes, self._counted_bytes)
        self._counted_bytes -= size_bytes
        self._budget.used_bytes -= size_bytes

    def discard(self, size_bytes: int) -> bool:
        """Count input that is read and not used; return False once that is more than LINGER_BYTES."""
        self._discarded_bytes += size_bytes
        return self._discarded_bytes <= LINGER_BYTES

    def drop_message(self) -> None:
        """Drop the buffered body and stop counting the message; bytes held back stay."""
        if self._counted_bytes:
            self.release(self._counted_bytes - len(self.held))
        if self._body:
            self._body = bytearray()

    def drop(self) -> None:
        """Drop everything."""
        self.held = b""
        self.drop_message()

    def pause(self, transport: asyncio.Transport) -> None:
        """Stop reading from the client."""
        if not self.is_paused:
            self.is_paused = True
            transport.pause_reading()

    def resume(self, transport: asyncio.Transport) -> None:
        """Read again."""
        if self.is_paused and not transport.is_closing():
            self.is_paused = False
            transport.resume_reading()
