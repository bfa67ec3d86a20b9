"""Listeners: open connections, their subscriptions, the index by which events find them, and the caps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from stormpetrel.config import StreamingConfig
from stormpetrel.edge.streams import OpenStream
from stormpetrel.errors import TooMany
from stormpetrel.model.access import Access
from stormpetrel.shield.identify import address_identity
from stormpetrel.streaming.streams import Key, Stream

RETRY_AFTER_S = 30
"""Returned over a cap: apps that reconnect at once would only be refused again."""


class Listener:
    """One connection. `wire` is None until it is open; `is_socket`: a WebSocket, else server-sent events."""

    __slots__ = ("access", "counted", "has_entered", "is_socket", "subscriptions", "token_hash", "wire")

    def __init__(
        self,
        *,
        access: Access | None,
        token_hash: bytes | None,
        counted: tuple[tuple[str, object], ...],
        is_socket: bool,
    ) -> None:
        self.access = access
        self.token_hash = token_hash if access is not None else None
        self.counted = counted
        self.is_socket = is_socket
        self.has_entered = False
        self.wire: OpenStream | None = None
        self.subscriptions: dict[tuple[str, ...], Subscription] = {}

    @property
    def reader_id(self) -> int | None:
        """Return the account that listens; None for a visitor."""
        return None if self.access is None else self.access.account_id

    def end(self, code: int) -> None:
        """End the connection if it is open."""
        if self.wire is not None:
            self.wire.end(code)


class Subscription:
    """One stream of one listener."""

    __slots__ = ("listener", "stream")

    def __init__(self, listener: Listener, stream: Stream) -> None:
        self.listener = listener
        self.stream = stream


class Listeners:
    """All listeners of a worker. The size is limited by the connections that the caps and the edge allow."""

    def __init__(self, caps: StreamingConfig) -> None:
        self._caps = caps
        self._all: set[Listener] = set()
        self._by_key: dict[Key, dict[Subscription, None]] = {}
        self._by_account: dict[int, set[Listener]] = {}
        self._counts: Counter[tuple[str, object]] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Listener]:
        return iter(tuple(self._all))

    def add(
        self, *, access: Access | None, token_hash: bytes | None, address: str, is_socket: bool
    ) -> Listener:
        """Return a new listener; `remove` it at its end. Raise TooMany at a cap."""
        limits: dict[tuple[str, object], int] = {}
        if access is not None:
            limits["token", token_hash] = self._caps.max_per_token
        if access is not None and access.account_id is not None:
            limits["account", access.account_id] = self._caps.max_per_account
        else:
            # Do not count members by address: a whole school may share one.
            limits["address", address_identity(address).value] = self._caps.max_per_address
        for what, most in limits.items():
            if self._counts[what] >= most:
                raise TooMany(f"Too many open streams of this {what[0]}", retry_after_s=RETRY_AFTER_S)
        listener = Listener(access=access, token_hash=token_hash, counted=tuple(limits), is_socket=is_socket)
        self._counts.update(listener.counted)
        self._all.add(listener)
        if listener.reader_id is not None:
            self._by_account.setdefault(listener.reader_id, set()).add(listener)
        return listener

    def remove(self, listener: Listener) -> None:
        """Remove a listener and its subscriptions."""
        for names in tuple(listener.subscriptions):
            self.unsubscribe(listener, names)
        self._all.discard(listener)
        for what in listener.counted:
            self._counts[what] -= 1
            if not self._counts[what]:
                del self._counts[what]
        if listener.reader_id is not None:
            listeners = self._by_account[listener.reader_id]
            listeners.discard(listener)
            if not listeners:
                del self._by_account[listener.reader_id]

    @property
    def members(self) -> int:
        """Return how many accounts have a stream here. One of them may have many streams."""
        return len(self._by_account)

    def subscribe(self, listener: Listener, stream: Stream) -> None:
        """Subscribe a listener to the stream. A repeated subscription has no effect. Raise TooMany."""
        if stream.names in listener.subscriptions:
            return
        if len(listener.subscriptions) >= self._caps.max_subscriptions:
            raise TooMany("Too many streams on one connection", retry_after_s=RETRY_AFTER_S)
        subscription = listener.subscriptions[stream.names] = Subscription(listener, stream)
        for key in stream.keys:
            self._by_key.setdefault(key, {})[subscription] = None

    def unsubscribe(self, listener: Listener, names: tuple[str, ...]) -> None:
        """End a subscription; do nothing if there is none."""
        subscription = listener.subscriptions.pop(names, None)
        if subscription is None:
            return
        for key in subscription.stream.keys:
            subscriptions = self._by_key[key]
            del subscriptions[subscription]
            if not subscriptions:
                del self._by_key[key]

    def of(self, key: Key) -> tuple[Subscription, ...]:
        """Return the subscriptions under a key."""
        return tuple(self._by_key.get(key, ()))

    def has(self, key: Key) -> bool:
        """Return True if there are subscriptions under the key."""
        return key in self._by_key

    def of_account(self, account_id: int) -> tuple[Listener, ...]:
        """Return the account's own listeners."""
        return tuple(self._by_account.get(account_id, ()))
