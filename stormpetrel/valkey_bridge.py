"""The bus between machines: events over Valkey or Redis, publish and subscribe.

Every process has a connection for each direction, rather than one process of a machine that passes them on:
that one would be a role more, whose death silences the machine. Messages carry the machine's name, and a process
skips those of its own machine, which it got directly (bus.py).

Valkey keeps nothing for who is away, so each sender numbers its messages and a receiver that misses a number
gets AllChanged; so does everybody when its subscription begins, ends, or could not be had for another
RETRY_MAX_S. Valkey being dead therefore costs freshness, at most that long, and never holds up a write.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

import msgspec
import redis.asyncio
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from stormpetrel.errors import SetupError
from stormpetrel.model.event import AllChanged, Event

log = logging.getLogger(__name__)

RETRY_MIN_S = 0.1
RETRY_MAX_S = 5.0
QUIET_S = 5.0
"""A subscription that heard nothing for this long is asked whether it lives, and has as long to answer."""
TIMEOUT_S = 5.0
MAX_QUEUED = 4096
"""Messages that wait for Valkey; the oldest goes first, which the numbers tell the receivers."""
MAX_SENDERS = 4096
CLOSE_S = 1.0
"""What waits when the process ends may take this long to leave."""


class _Message(msgspec.Struct, array_like=True, frozen=True):
    machine: str
    sender: bytes
    number: int
    events: list[Event]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Message).decode


def require_url(url: str) -> None:
    """Raises SetupError when `url` cannot be one of a Valkey or Redis."""
    try:
        redis.asyncio.Redis.from_url(url)
    except ValueError as error:
        # Its text may repeat a part of the address, which may be the password.
        raise SetupError("valkey.url is not valid; it must be like redis://HOST:6379/0") from error


class ValkeyBridge:
    """One process's way to the other machines. `hands_on` gets their events; None: it wants none."""

    def __init__(
        self, *, url: str, channel: str, machine: str, hands_on: Callable[[list[Event]], None] | None
    ) -> None:
        self.subscribed = False
        """Whether the others' events arrive at this moment."""
        self._url = url
        self._channel = channel
        self._machine = machine
        self._hands_on = hands_on
        self._sender = secrets.token_bytes(8)
        self._number = 0
        self._queue: deque[bytes] = deque(maxlen=MAX_QUEUED)
        self._queued = asyncio.Event()
        self._left = asyncio.Event()
        self._heard: OrderedDict[bytes, int] = OrderedDict()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connects in the background."""
        self._tasks.append(loop.create_task(self._send_for_ever()))
        if self._hands_on is not None:
            self._tasks.append(loop.create_task(self._hear_for_ever(self._hands_on)))

    def publish(self, events: Sequence[Event]) -> None:
        """Queues the events to leave soon."""
        self._number += 1
        self._queue.append(_encode(_Message(self._machine, self._sender, self._number, list(events))))
        self._left.clear()
        self._queued.set()

    async def close(self) -> None:
        """Ends; what waits may still leave if that takes no longer than CLOSE_S."""
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
            # Waiting is done here, where it is known what a lost connection means.
            retry=Retry(NoBackoff(), 0),
        )

    async def _send_for_ever(self) -> None:
        wait_s = 0.0
        while True:
            client = self._client()
            try:
                while True:
                    while self._queue:
                        # Taken only once it has arrived: a repeated message is known by its number.
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
        """Hands on what arrives; ends only by an error."""
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
            # Another release, or somebody else on our channel: whatever it said, we did not understand it.
            log.warning("unreadable message from Valkey: cleared all caches")
            return [AllChanged()]
        if message.machine == self._machine:
            return []
        last = self._heard.pop(message.sender, None)
        if last is not None and message.number <= last:
            self._heard[message.sender] = last
            return []
        self._heard[message.sender] = message.number
        if len(self._heard) > MAX_SENDERS:
            self._heard.popitem(last=False)
        # The first message of a sender may have any number: what was before our subscription is not ours.
        if last is not None and message.number != last + 1:
            return [AllChanged(), *message.events]
        return message.events


def _longer(wait_s: float) -> float:
    return min(max(wait_s * 2, RETRY_MIN_S), RETRY_MAX_S)
