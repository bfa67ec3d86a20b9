"""The bus: tells every other process what has changed, before the writer's own answer is sent.

On one machine: a SEQPACKET socket pair between every two processes of which one wants the other's events, and
one page of shared memory with a mark per (receiver, sender). A mark is `restarts << 40 | number`; every
message carries its own, and the number rises by one with each message, sent or not. The sender stores the
mark after `send`, so a receiver that finds its marks unchanged knows, without a system call, that no message
waits.

A message that did not fit (full buffer, too large) leaves a gap in the numbers. The receiver notices it by
the next message, or by the shared mark once it has read all messages, and gets AllChanged: drop all cached
data. When a sender dies, the supervisor, which holds all ends, sends for it (`announce_death`) the events that it
may have committed and not published (pending.py), mostly none.

Between machines the same events go over Valkey (bus/valkey.py), later than the answer and at most once,
with the same rule for gaps. Anything that must not be lost uses the outbox instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import secrets
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, get_args

import msgspec

from stormpetrel.bus.pending import REGION_BYTES, PendingEvents, left_behind
from stormpetrel.model.event import AllChanged, Event

if TYPE_CHECKING:
    from stormpetrel.bus.valkey import ValkeyBridge

log = logging.getLogger(__name__)

EVERYTHING: frozenset[type[Event]] = frozenset(get_args(Event))
NOTHING: frozenset[type[Event]] = frozenset()

NUMBER_BITS = 40
"""Bits for messages between two restarts: at 10,000 a second, 3.5 years."""
BUFFER_BYTES = 4 * 1024 * 1024
"""Requested per direction; the kernel grants up to net.core.wmem_max (root gets all)."""
MESSAGE_BYTES = 96 * 1024
"""Largest message; more events are split. Below Linux's smallest default buffer (208 KiB)."""
READ_AT_ONCE = 64
"""Messages that one wake-up of the loop reads from one sender, so that other work gets its turn."""
_SO_SNDBUFFORCE = 32
_MARK = struct.Struct("=Q")
_NUMBERS = (1 << NUMBER_BITS) - 1
_DEATH = 1
"""The number of the message about a death, after which `restarts` is at least 1. The successor goes on from it."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Event]).decode


class BusHub:
    """All ends of the bus, made before the fork and held by the supervisor.

    `wants` maps each process's name to the kinds of event that it wants (EVERYTHING, NOTHING or some).
    """

    def __init__(
        self, wants: Mapping[str, frozenset[type[Event]]], *, valkey_url: str = "", channel: str = ""
    ) -> None:
        self.names = tuple(wants)
        self.wants = dict(wants)
        self.valkey_url = valkey_url
        self.channel = channel
        self.machine = secrets.token_hex(8)
        """Sent in messages over Valkey, so that this machine's processes skip events they got directly."""
        size = max(len(self.names), 1)
        self.marks = mmap.mmap(-1, size * size * _MARK.size)
        self.pending = mmap.mmap(-1, size * REGION_BYTES)
        self.ends: dict[tuple[str, str], socket.socket] = {}
        """(owner, peer) → the owner's end of the pair between the two."""
        for at, one in enumerate(self.names):
            for other in self.names[at + 1 :]:
                if self.wants[one] or self.wants[other]:
                    self.ends[one, other], self.ends[other, one] = _pair()

    def offset(self, receiver: str, sender: str) -> int:
        """Return the offset in `marks` of the mark for messages from `sender` to `receiver`."""
        row = self.names.index(receiver) * len(self.names)
        return (row + self.names.index(sender)) * _MARK.size

    def region(self, name: str) -> int:
        """Return the offset in `pending` of a process's region."""
        return self.names.index(name) * REGION_BYTES

    def bus(self, name: str) -> Bus:
        """Return the bus for process `name`; call it after the fork."""
        return Bus(self, name)

    def close_all_but(self, name: str | None) -> None:
        """Close all ends except `name`'s own; all of them for None."""
        for (owner, _), end in self.ends.items():
            if owner != name:
                end.close()

    def announce_death(self, name: str) -> None:
        """Send what `name`, which has died, may have committed and not published.

        The message also has the mark before it, so that a receiver knows whether it got all that `name` sent.
        """
        left = left_behind(self.pending, self.region(name))
        for (owner, peer), end in self.ends.items():
            if owner == name and self.wants[peer]:
                at = self.offset(peer, name)
                before = _MARK.unpack_from(self.marks, at)[0]
                mark = ((before >> NUMBER_BITS) + 1) << NUMBER_BITS | _DEATH
                # A full buffer is no loss: the mark alone informs the receiver, once it has read its
                # messages.
                with contextlib.suppress(OSError):
                    end.send(_MARK.pack(mark) + _MARK.pack(before) + _encode(_wanted(left, self.wants[peer])))
                _MARK.pack_into(self.marks, at, mark)


class _Sender:
    """The connection to one receiver."""

    __slots__ = ("end", "mark", "offset", "wants")

    def __init__(self, hub: BusHub, me: str, peer: str) -> None:
        self.end = hub.ends[me, peer]
        self.wants = hub.wants[peer]
        self.offset = hub.offset(peer, me)
        self.mark: int = _MARK.unpack_from(hub.marks, self.offset)[0]


class _Receiver:
    """The connection from one sender. `last`: the mark up to which messages were delivered or given up."""

    __slots__ = ("end", "last", "name", "offset")

    def __init__(self, hub: BusHub, me: str, peer: str) -> None:
        self.name = peer
        self.end = hub.ends[me, peer]
        self.offset = hub.offset(me, peer)
        # Messages from before this process existed do not affect anything that it caches.
        self.last: int = _MARK.unpack_from(hub.marks, self.offset)[0]


class Bus:
    """The bus of one process. Not thread-safe: it belongs to the loop.

    `on_events` gets the others' events, in each sender's order; a process does not get its own back. `sender`: the
    process that sent the present ones; "" for other machines.
    """

    def __init__(self, hub: BusHub, name: str) -> None:
        self.name = name
        self.on_events: Callable[[list[Event]], None] = _ignore
        self.sender = ""
        self.lost = 0
        """Messages that found a full buffer: each makes its receiver drop its caches."""
        self.gaps = 0
        """How often this process got AllChanged because it missed messages."""
        self._hub = hub
        self.pending = PendingEvents(hub.pending, hub.region(name))
        self._marks = hub.marks
        self._wants = hub.wants[name]
        peers = [peer for owner, peer in hub.ends if owner == name]
        self._senders = [_Sender(hub, name, peer) for peer in peers if hub.wants[peer]]
        self._receivers = [_Receiver(hub, name, peer) for peer in peers] if self._wants else []
        self._row = slice(
            hub.offset(name, hub.names[0]), hub.offset(name, hub.names[0]) + len(hub.names) * _MARK.size
        )
        self._seen = bytes(self._marks[self._row])
        self._buffer = bytearray(MESSAGE_BYTES + 2 * _MARK.size)
        self._view = memoryview(self._buffer)
        self._failed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bridge: ValkeyBridge | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to receive events in `loop`; a second call does nothing."""
        if self._loop is not None:
            return
        self._loop = loop
        for receiver in self._receivers:
            loop.add_reader(receiver.end.fileno(), self._readable, receiver)
        if self._hub.valkey_url:
            # Imported only if it is used: 5 MB and 0.15 s that most instances do not need.
            from stormpetrel.bus.valkey import ValkeyBridge

            self._bridge = ValkeyBridge(
                url=self._hub.valkey_url,
                channel=self._hub.channel,
                machine=self._hub.machine,
                hands_on=self._hand_on_from_afar if self._wants else None,
            )
            self._bridge.start(loop)

    async def close(self) -> None:
        """Stop receiving; wait a moment for messages to leave over Valkey."""
        if self._loop is not None:
            for receiver in self._receivers:
                self._loop.remove_reader(receiver.end.fileno())
        if self._bridge is not None:
            await self._bridge.close()

    def publish(self, events: Sequence[Event]) -> None:
        """Send the events to the other processes. They are delivered when it returns, so answer after it.

        It never blocks and never raises for a slow peer; that peer gets AllChanged instead.
        """
        if not events:
            return
        # Until the last process has them: this one may be killed in the middle.
        number = self.pending.note(events)
        whole: list[bytes] | None = None
        for sender in self._senders:
            if sender.wants is EVERYTHING:
                if whole is None:
                    whole = _messages(events)
                messages = whole
            else:
                wanted = _wanted(events, sender.wants)
                messages = _messages(wanted) if wanted else []
            for message in messages:
                sender.mark += 1
                try:
                    sender.end.send(_MARK.pack(sender.mark) + message)
                except OSError:
                    self.lost += 1
                _MARK.pack_into(self._marks, sender.offset, sender.mark)
        self.pending.published(number)
        if self._bridge is not None:
            self._bridge.publish(events)

    def drain(self) -> None:
        """Deliver all events that others published before now; call it before answering from memory."""
        row = self._marks[self._row]
        if row != self._seen:
            self._catch_up(row)

    def _catch_up(self, row: bytes) -> None:
        found: list[tuple[str, list[Event]]] = []
        for receiver in self._receivers:
            mark: int = _MARK.unpack_from(row, receiver.offset - self._row.start)[0]
            events: list[Event] = []
            while receiver.last < mark:
                if not self._receive(receiver, events):
                    self._missed(receiver, events)
                    receiver.last = mark
            if events:
                found.append((receiver.name, events))
        self._seen = row
        for sender, events in found:
            self._hand_on(events, sender)

    def _readable(self, receiver: _Receiver) -> None:
        """Read what the loop found. It may not be marked yet, so ignore the marks."""
        events: list[Event] = []
        for _ in range(READ_AT_ONCE):
            if not self._receive(receiver, events):
                break
        self._hand_on(events, receiver.name)

    def _receive(self, receiver: _Receiver, events: list[Event]) -> bool:
        """Read one message; return True if there was one."""
        try:
            size = receiver.end.recv_into(self._buffer)
        except BlockingIOError:
            return False
        mark: int = _MARK.unpack_from(self._buffer)[0]
        if mark <= receiver.last:
            return True  # given up already, or from before this process
        start = _MARK.size
        if mark > _NUMBERS and mark & _NUMBERS == _DEATH:
            # Of a process that died. It may have been killed between a message and its mark.
            is_complete = receiver.last >= _MARK.unpack_from(self._buffer, start)[0]
            start += _MARK.size
        else:
            is_complete = mark == receiver.last + 1
        if not is_complete:
            self._missed(receiver, events)
        receiver.last = mark
        events.extend(_decode(self._view[start:size]))
        return True

    def _missed(self, receiver: _Receiver, events: list[Event]) -> None:
        self.gaps += 1
        log.info("missed events from %s: cleared all caches", receiver.name)
        events.append(AllChanged())

    def _hand_on_from_afar(self, events: list[Event]) -> None:
        try:
            self._hand_on(events, "")
        except Exception:  # a task's edge: an error in a handler must not end the subscription
            log.exception("cannot apply an event from another machine")

    def _hand_on(self, events: list[Event], sender: str) -> None:
        if not events:
            return
        self.sender = sender
        if self._failed:
            events.insert(0, AllChanged())
        self._failed = True
        self.on_events(events)
        # If that raised, the events may be half applied: the next call begins with AllChanged.
        self._failed = False


def _pair() -> tuple[socket.socket, socket.socket]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (one, other):
        end.settimeout(0)
        try:
            end.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, BUFFER_BYTES)
        except PermissionError:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    return one, other


def _wanted(events: Sequence[Event], wants: frozenset[type[Event]]) -> list[Event]:
    """Return the events that a process with these wants gets."""
    return [event for event in events if type(event) in wants or event == AllChanged()]


def _messages(events: Sequence[Event]) -> list[bytes]:
    """Return the events as messages that each fit; a single event that is too large becomes AllChanged."""
    message = _encode(events)
    if len(message) <= MESSAGE_BYTES:
        return [message]
    if len(events) == 1:
        return [_encode([AllChanged()])]
    half = len(events) // 2
    return _messages(events[:half]) + _messages(events[half:])


def _ignore(events: list[Event]) -> None:
    """Do nothing: for processes that cache nothing."""
