"""The bus: what just changed, told to every other process before the writer's own answer leaves.

On one machine: a SEQPACKET socket pair between every two processes of which one wants the other's events, and
one page of shared memory with a mark per (receiver, sender). A mark is `restarts << 40 | number`; every message
carries its own, and the number rises by one with each message, sent or not. The sender stores the mark after
`send`, so a receiver that finds its marks unchanged knows, without a system call, that nothing waits.

A message that did not fit (full buffer, too large) leaves a hole in the numbers; the receiver sees it by the
next message, or by the shared mark when it has read all there is, and gets AllChanged: drop all you hold. The
same happens when a sender dies: the supervisor, which holds all ends, speaks for it (`announce_death`), since a
dead process may have committed what it no longer told.

Between machines the same events go over Valkey (valkey_bridge.py), later than the answer and at most once, with
the same rule for holes. Nothing that must not be lost travels here; that is what the outbox is for.
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

from stormpetrel.model.event import AllChanged, Event

if TYPE_CHECKING:
    from stormpetrel.valkey_bridge import ValkeyBridge

log = logging.getLogger(__name__)

EVERYTHING: frozenset[type[Event]] = frozenset(get_args(Event))
NOTHING: frozenset[type[Event]] = frozenset()

NUMBER_BITS = 40
"""Messages between two restarts: at 10,000 a second, 3.5 years."""
BUFFER_BYTES = 4 * 1024 * 1024
"""Asked for per direction; the kernel gives what net.core.wmem_max allows (root gets all). Used when filled."""
MESSAGE_BYTES = 96 * 1024
"""Largest message; more events are split. Below the smallest buffer that Linux gives by default (208 KiB)."""
READ_AT_ONCE = 64
"""Messages that one wake-up of the loop takes from one sender, so that other work gets its turn."""
_SO_SNDBUFFORCE = 32
_MARK = struct.Struct("=Q")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Event]).decode


class BusHub:
    """All ends of the bus, made before the fork and kept by the supervisor.

    `wants` maps each process's name to the kinds of event it wants to be told (EVERYTHING, NOTHING or some).
    """

    def __init__(
        self, wants: Mapping[str, frozenset[type[Event]]], *, valkey_url: str = "", channel: str = ""
    ) -> None:
        self.names = tuple(wants)
        self.wants = dict(wants)
        self.valkey_url = valkey_url
        self.channel = channel
        self.machine = secrets.token_hex(8)
        """Told in messages over Valkey, so that this machine's processes skip what they got directly."""
        size = max(len(self.names), 1)
        self.marks = mmap.mmap(-1, size * size * _MARK.size)
        self.ends: dict[tuple[str, str], socket.socket] = {}
        """(owner, peer) → the owner's end of the pair between the two."""
        for at, one in enumerate(self.names):
            for other in self.names[at + 1 :]:
                if self.wants[one] or self.wants[other]:
                    self.ends[one, other], self.ends[other, one] = _pair()

    def offset(self, receiver: str, sender: str) -> int:
        """Where in `marks` the mark of what `sender` sent to `receiver` is."""
        row = self.names.index(receiver) * len(self.names)
        return (row + self.names.index(sender)) * _MARK.size

    def bus(self, name: str) -> Bus:
        """The bus as process `name` uses it; call it after the fork."""
        return Bus(self, name)

    def close_all_but(self, name: str | None) -> None:
        """Closes the ends that are not `name`'s own; all of them for None."""
        for (owner, _), end in self.ends.items():
            if owner != name:
                end.close()

    def announce_death(self, name: str) -> None:
        """Tells everybody on behalf of `name`, which has died, that it may have left something untold."""
        for (owner, peer), end in self.ends.items():
            if owner == name and self.wants[peer]:
                at = self.offset(peer, name)
                restarts = _MARK.unpack_from(self.marks, at)[0] >> NUMBER_BITS
                mark = (restarts + 1) << NUMBER_BITS | 1
                # A full buffer is no loss: the mark alone tells the receiver, once it has read what is there.
                with contextlib.suppress(OSError):
                    end.send(_MARK.pack(mark) + _encode([AllChanged()]))
                _MARK.pack_into(self.marks, at, mark)


class _Sender:
    """The way to one receiver."""

    __slots__ = ("end", "mark", "offset", "wants")

    def __init__(self, hub: BusHub, me: str, peer: str) -> None:
        self.end = hub.ends[me, peer]
        self.wants = hub.wants[peer]
        self.offset = hub.offset(peer, me)
        self.mark: int = _MARK.unpack_from(hub.marks, self.offset)[0]


class _Receiver:
    """The way from one sender. `last`: the mark up to which everything was handed on or given up."""

    __slots__ = ("end", "last", "name", "offset")

    def __init__(self, hub: BusHub, me: str, peer: str) -> None:
        self.name = peer
        self.end = hub.ends[me, peer]
        self.offset = hub.offset(me, peer)
        # What waits from before this process existed concerns nothing that it holds.
        self.last: int = _MARK.unpack_from(hub.marks, self.offset)[0]


class Bus:
    """One process's place on the bus. Not safe between threads: it belongs to the loop.

    `on_events` gets the others' events, in each sender's order; a process does not get its own back.
    """

    def __init__(self, hub: BusHub, name: str) -> None:
        self.name = name
        self.on_events: Callable[[list[Event]], None] = _ignore
        self.lost = 0
        """Messages that found a full buffer: each makes its receiver drop all it holds."""
        self.gaps = 0
        """How often this process was told AllChanged for what it missed."""
        self._hub = hub
        self._marks = hub.marks
        self._wants = hub.wants[name]
        peers = [peer for owner, peer in hub.ends if owner == name]
        self._senders = [_Sender(hub, name, peer) for peer in peers if hub.wants[peer]]
        self._receivers = [_Receiver(hub, name, peer) for peer in peers] if self._wants else []
        self._row = slice(
            hub.offset(name, hub.names[0]), hub.offset(name, hub.names[0]) + len(hub.names) * _MARK.size
        )
        self._seen = bytes(self._marks[self._row])
        self._buffer = bytearray(MESSAGE_BYTES + _MARK.size)
        self._view = memoryview(self._buffer)
        self._failed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bridge: ValkeyBridge | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts to hear of events in `loop`; a second call does nothing."""
        if self._loop is not None:
            return
        self._loop = loop
        for receiver in self._receivers:
            loop.add_reader(receiver.end.fileno(), self._readable, receiver)
        if self._hub.valkey_url:
            # Imported only where it is used: 5 MB and 0.15 s that most instances do not need.
            from stormpetrel.valkey_bridge import ValkeyBridge

            self._bridge = ValkeyBridge(
                url=self._hub.valkey_url,
                channel=self._hub.channel,
                machine=self._hub.machine,
                hands_on=self._hand_on_from_afar if self._wants else None,
            )
            self._bridge.start(loop)

    async def close(self) -> None:
        """Stops hearing; what was published over Valkey is given a moment to leave."""
        if self._loop is not None:
            for receiver in self._receivers:
                self._loop.remove_reader(receiver.end.fileno())
        if self._bridge is not None:
            await self._bridge.close()

    def publish(self, events: Sequence[Event]) -> None:
        """Tells the other processes. When it returns, the messages are with them: answer after it.

        Never blocks and never raises for a peer that does not keep up; that one is told AllChanged instead.
        """
        if not events:
            return
        whole: list[bytes] | None = None
        for sender in self._senders:
            if sender.wants is EVERYTHING:
                if whole is None:
                    whole = _messages(events)
                messages = whole
            else:
                wanted = [event for event in events if type(event) in sender.wants or event == AllChanged()]
                messages = _messages(wanted) if wanted else []
            for message in messages:
                sender.mark += 1
                try:
                    sender.end.send(_MARK.pack(sender.mark) + message)
                except OSError:
                    self.lost += 1
                _MARK.pack_into(self._marks, sender.offset, sender.mark)
        if self._bridge is not None:
            self._bridge.publish(events)

    def drain(self) -> None:
        """Hands on everything that others told before this moment; call it before answering from memory."""
        row = self._marks[self._row]
        if row != self._seen:
            self._catch_up(row)

    def _catch_up(self, row: bytes) -> None:
        events: list[Event] = []
        for receiver in self._receivers:
            mark: int = _MARK.unpack_from(row, receiver.offset - self._row.start)[0]
            while receiver.last < mark:
                if not self._receive(receiver, events):
                    self._missed(receiver, events)
                    receiver.last = mark
        self._seen = row
        self._hand_on(events)

    def _readable(self, receiver: _Receiver) -> None:
        """The loop found something to read. It may not be marked yet, so the marks are not asked."""
        events: list[Event] = []
        for _ in range(READ_AT_ONCE):
            if not self._receive(receiver, events):
                break
        self._hand_on(events)

    def _receive(self, receiver: _Receiver, events: list[Event]) -> bool:
        """Takes one message; whether there was one."""
        try:
            size = receiver.end.recv_into(self._buffer)
        except BlockingIOError:
            return False
        mark: int = _MARK.unpack_from(self._buffer)[0]
        if mark <= receiver.last:
            return True  # given up already, or from before this process
        if mark != receiver.last + 1:
            self._missed(receiver, events)
        receiver.last = mark
        events.extend(_decode(self._view[_MARK.size : size]))
        return True

    def _missed(self, receiver: _Receiver, events: list[Event]) -> None:
        self.gaps += 1
        log.info("missed events from %s: cleared all caches", receiver.name)
        events.append(AllChanged())

    def _hand_on_from_afar(self, events: list[Event]) -> None:
        try:
            self._hand_on(events)
        except Exception:  # a task's edge: the subscription must not end by what somebody makes of an event
            log.exception("cannot apply an event from another machine")

    def _hand_on(self, events: list[Event]) -> None:
        if not events:
            return
        if self._failed:
            events.insert(0, AllChanged())
        self._failed = True
        self.on_events(events)
        # When that raised, it may have applied half of them: the next time begins with AllChanged.
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


def _messages(events: Sequence[Event]) -> list[bytes]:
    """The events as messages that each fit; a single event that is too large becomes AllChanged."""
    message = _encode(events)
    if len(message) <= MESSAGE_BYTES:
        return [message]
    if len(events) == 1:
        return [_encode([AllChanged()])]
    half = len(events) // 2
    return _messages(events[:half]) + _messages(events[half:])


def _ignore(events: list[Event]) -> None:
    """For processes that hold nothing in memory."""
