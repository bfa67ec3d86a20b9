"""The bus between machines: events over Valkey or Redis, by publish and subscribe.

Every process has its own connection for each direction. A single forwarding process per machine would be
another role, whose death silences the machine. Messages carry the machine's name, and a process skips those
of its own machine, which it got directly (bus/local.py).

Valkey stores nothing for absent subscribers, so each sender numbers its messages, and a receiver that misses
a number gets AllChanged. It also gets AllChanged when its subscription begins or ends, and after each failed
attempt to subscribe, at most RETRY_MAX_S apart. So a dead Valkey costs freshness, at most for that time, and
never blocks a write.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import redis.asyncio
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.errors import SetupError
from stormpetrel.model.event import AllChanged, Event

log = logging.getLogger(__name__)

RETRY_MIN_S = 0.1
RETRY_MAX_S = 5.0
QUIET_S = 5.0
"""A subscription silent for this long gets a ping, and has as long to answer."""
TIMEOUT_S = 5.0
MAX_QUEUED = 4096
"""Limit of messages that wait for Valkey; the oldest is dropped, and the numbers show the gap."""
MAX_SENDERS = 4096
CLOSE_S = 1.0
"""How long messages may take to leave when the process ends."""


class _Message(msgspec.Struct, array_like=True, frozen=True):
    machine: str
    sender: bytes
    number: int
    events: list[Event]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Message).decode


def require_url(url: str) -> None:
    """Raise SetupError if `url` is not a valid URL of Valkey or Redis."""
    try:
        redis.asyncio.Redis.from_url(url)
    except ValueError as error:
        # Its text may repeat a part of the URL, perhaps the password.
        raise SetupError("valkey.url is not valid; it must be like redis://HOST:6379/0") from error


class ValkeyBridge:
    """One process's connection to the other machines. `hands_on` receives their events, if wanted."""

    def __init__(
        self, *, url: str, channel: str, machine: str, hands_on: Callable[[list[Event]], None] | None
    ) -> None:
        self.subscribed = False
        """True while the other machines' events arrive."""
        self._url = url
        self._channel = channel
        self._machine = machine
        self._hands_on = hands_on
        self._sender = secrets.token_bytes(8)
        self._number = 0
        self._queue: deque[bytes] = deque(maxlen=MAX_QUEUED)
        self._queued = asyncio.Event()
        self._left = asyncio.Event()
        # The number of the last message of each sender.
        self._heard: BoundedTable[bytes, int] = BoundedTable(MAX_SENDERS, evicts=Eviction.LRU)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connect in the background."""
        self._tasks.append(loop.create_task(self._send_for_ever()))
        if self._hands_on is not None:
            self._tasks.append(loop.create_task(self._hear_for_ever(self._hands_on)))

    def publish(self, events: Sequence[Event]) -> None:
        """Queue the events for sending."""
        self._number += 1
        self._queue.append(_encode(_Message(self._machine, self._sender, self._number, list(events))))
        self._left.clear()
        self._queued.set()

    async def close(self) -> None:
        """Close the connections; wait at most CLOSE_S for queued messages to leave."""
        if self._queue:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), CLOSE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _client(self) -> redis.asyncio.Redis:
        return redis.asyncio.Redis.from_url(
            self._url,
            socket_connect_timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            # Retries are made here, where the meaning of a lost connection is known.
            retry=Retry(NoBackoff(), 0),
        )

    async def _send_for_ever(self) -> None:
        wait_s = 0.0
        while True:
            client = self._client()
            try:
                while True:
                    while self._queue:
                        # Removed only once it has arrived: the number identifies a repeated message.
                        message = self._queue[0]
                        await client.publish(self._channel, message)
                        if self._queue and self._queue[0] is message:
                            self._queue.popleft()
                        wait_s = 0.0
                    self._left.set()
                    self._queued.clear()
                    await self._queued.wait()
            except (RedisError, OSError) as error:
                wait_s = _longer(wait_s)
                log.debug("cannot publish events to Valkey: %s", error)
            finally:
                await client.aclose()
            await asyncio.sleep(wait_s)

    async def _hear_for_ever(self, hands_on: Callable[[list[Event]], None]) -> None:
        wait_s = 0.0
        while True:
            client = self._client()
            pubsub = client.pubsub()
            try:
                await pubsub.subscribe(self._channel)
                await self._hear(pubsub, hands_on)
            except (RedisError, OSError) as error:
                if self.subscribed or not wait_s:
                    log.warning("Valkey is unreachable; events from other machines are delayed: %s", error)
                if self.subscribed:
                    wait_s = 0.0
                self.subscribed = False
            finally:
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # so in redis-py
                await client.aclose()
            hands_on([AllChanged()])
            wait_s = _longer(wait_s)
            await asyncio.sleep(wait_s)

    async def _hear(self, pubsub: PubSub, hands_on: Callable[[list[Event]], None]) -> None:
        """Deliver messages as they arrive; end only by an error."""
        asked = False
        while True:
            message = await pubsub.get_message(timeout=QUIET_S)
            if message is None:
                if asked:
                    raise ConnectionError("no reply")
                await pubsub.ping()
                asked = True
                continue
            asked = False
            if message["type"] == "subscribe":
                log.info("connected to Valkey; receiving events from other machines")
                self.subscribed = True
                self._heard.clear()
                hands_on([AllChanged()])
            elif message["type"] == "message":
                events = self._read(message["data"])
                if events:
                    hands_on(events)

    def _read(self, data: bytes) -> list[Event]:
        try:
            message = _decode(data)
        except msgspec.MsgspecError:
            # From another release, or another program on our channel: its meaning is unknown.
            log.warning("unreadable message from Valkey: cleared all caches")
            return [AllChanged()]
        if message.machine == self._machine:
            return []
        last = self._heard.get(message.sender)
        if last is not None and message.number <= last:
            return []
        self._heard.put(message.sender, message.number)
        # The first message of a sender may have any number: earlier ones were before our subscription.
        if last is not None and message.number != last + 1:
            return [AllChanged(), *message.events]
        return message.events


def _longer(wait_s: float) -> float:
    return min(max(wait_s * 2, RETRY_MIN_S), RETRY_MAX_S)
