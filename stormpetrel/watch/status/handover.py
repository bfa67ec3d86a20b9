"""Hands updates of incidents over to the store, from where the courier sends them to subscribers.

An update waits in the history's file until the store has it, so the watch publishes without a store, and a watch that
is killed between the two hands it over again. The store takes each update once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from stormpetrel import clock
from stormpetrel.errors import StormpetrelError
from stormpetrel.model.status_subscription import StatusNotice
from stormpetrel.own_thread import in_own_thread
from stormpetrel.rules.status_updates import take
from stormpetrel.storage.engine.connection import transaction
from stormpetrel.storage.engine.failures import store_failed
from stormpetrel.storage.engine.slots import connected
from stormpetrel.watch.status.book import StatusBook

log = logging.getLogger(__name__)

EVERY_S = 0.5
RETRY_MAX_S = 15.0
BATCH = 100


async def hand_over(book: StatusBook, stop: asyncio.Event, *, database_url: str, is_enabled: bool) -> None:
    """Hand the notices of `book` over until `stop` is set. Without subscriptions (`is_enabled`) drop them."""
    wait_s = EVERY_S
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait_s)
        notices = await book.notices(count=BATCH) if book.has_notices else []
        if not notices:
            continue
        try:
            if is_enabled and not await _done(partial(_take, database_url, notices), stop):
                return
        except Exception as error:
            if not (isinstance(error, StormpetrelError) or store_failed(error)):
                raise
            if wait_s == EVERY_S:
                log.warning("updates of the status page wait for the store: %s", error)
            wait_s = min(wait_s * 2, RETRY_MAX_S)
            continue
        wait_s = EVERY_S
        await book.drop_notices(notices)


async def _done(work: Callable[[], None], stop: asyncio.Event) -> bool:
    """Run `work` in a thread; return False if the watch ended first: a store that hangs must not delay that."""
    running = in_own_thread(work)
    stopping = asyncio.create_task(stop.wait())
    both: set[asyncio.Future[Any]] = {running, stopping}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    if not running.done():
        return False
    running.result()
    return True


def _take(url: str, notices: Sequence[StatusNotice]) -> None:
    with connected(url) as connection, transaction(connection):
        take(connection, notices=notices, now_ms=clock.now_ms())
