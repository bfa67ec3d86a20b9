"""Access to the store for one command: opened for a moment, while a server may be running."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import StoreConnection


def now_ms() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@contextmanager
def open_store(url: str) -> Iterator[StoreConnection]:
    """Yield a connection that may write. Raise SetupError if there is no instance or it is not up to date,
    and EnvironmentFailure if the store cannot be reached."""
    from stormpetrel.storage.engine.migrate import require_current
    from stormpetrel.storage.engine.slots import connected

    require_current(url)
    with connected(url) as connection:
        yield connection


@contextmanager
def change(connection: StoreConnection) -> Iterator[int]:
    """Run one transaction and yield the time (ms) for its rules.

    Its events go into the outbox with it: the courier of a running server publishes them to every process.
    """
    from stormpetrel.storage.engine.connection import transaction
    from stormpetrel.storage.outbox import put_events

    at_ms = now_ms()
    with transaction(connection):
        yield at_ms
        if connection.events:
            put_events(connection, list(connection.events), at_ms)


class _Rehearsed(Exception):
    """Rolls the transaction of a rehearsal back."""


def rehearse(connection: StoreConnection, act: Callable[[StoreConnection, int], object]) -> None:
    """Run `act(connection, now_ms)` and roll it back: what it raises is raised, and nothing is changed.

    A check of its own before each change could differ from the change.
    """
    from stormpetrel.storage.engine.connection import transaction

    with suppress(_Rehearsed), transaction(connection):
        act(connection, now_ms())
        raise _Rehearsed
    connection.events.clear()
