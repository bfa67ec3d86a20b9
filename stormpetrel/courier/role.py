"""The courier's process: drains the outbox when notified and twice a second anyway, removes old rows.

Its port answers from memory, also while the database is down: the courier waits for it to come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
from collections.abc import Callable
from functools import partial

from stormpetrel.bus.local import Bus
from stormpetrel.clock import CLOCK, now_ms
from stormpetrel.config import Config
from stormpetrel.courier import files
from stormpetrel.courier.deliveries import DELIVERIES
from stormpetrel.courier.dispatch import Dispatch
from stormpetrel.courier.drain import URGENCY, Drain, Drained
from stormpetrel.courier.hold import Hold
from stormpetrel.courier.housekeeping import EVERY_S, Housekeeping, in_words
from stormpetrel.courier.post_office import mail_lane
from stormpetrel.courier.status_mails import status_mail_lane
from stormpetrel.courier.status_webhooks import webhook_lane
from stormpetrel.courier.trends import EVERY_S as COUNT_EVERY_S
from stormpetrel.courier.trends import count_trends
from stormpetrel.courier.uploads import upload_lane
from stormpetrel.errors import Busy, EnvironmentFailure
from stormpetrel.media.open_store import open_store
from stormpetrel.media.spool import Spool
from stormpetrel.media.store import MediaStore
from stormpetrel.model.event import AllChanged, Event, OutboxFilled
from stormpetrel.process import secret as secrets_of_instance
from stormpetrel.process.health import serve_health
from stormpetrel.storage import outbox
from stormpetrel.storage.engine.calls import Pending
from stormpetrel.storage.engine.database import Database

log = logging.getLogger(__name__)

_DONE = {
    "outbox": "done",
    "mails": "sent",
    "files": "removed",
    "uploads": "finished",
    "status_sendings": "done",
    "webhooks": "called",
}
"""The metrics' word for a finished job: of the database's lane, and of each other lane."""
LOOK_EVERY_S = 0.5
"""Longest delay for a job without a notification: one of a command, or a retry that is due."""
RETRY_MIN_S = 0.1
RETRY_MAX_S = 5.0
"""A store that fails is retried after RETRY_MIN_S, doubling up to RETRY_MAX_S."""


async def run(*, config: Config, sock: socket.socket, bus: Bus, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then finish the work in progress."""
    wake = asyncio.Event()

    def on_events(events: list[Event]) -> None:
        if any(isinstance(event, OutboxFilled | AllChanged) for event in events):
            wake.set()

    def publish(events: list[Event]) -> None:
        bus.publish(events)
        on_events(events)

    bus.on_events = on_events
    drained: dict[str, Drained] = {}
    houses: list[Housekeeping] = []
    health = asyncio.create_task(
        serve_health(sock, stop=stop, role="courier", metrics=lambda: _metrics(drained) | _cleared(houses))
    )
    try:
        db = await _open(config.database_url, bus.pending, publish, stop)
        if db is not None:
            store, spool = open_store(config), Spool(config)
            hold = Hold(db)
            drain = Drain(db, DELIVERIES, clock_ms=hold.trusted_ms)
            secret = secrets_of_instance.load(config)
            lanes = {
                "mails": mail_lane(db, config, secret),
                "files": files.files_lane(db, store),
                "status_sendings": status_mail_lane(db, config, secret),
                "webhooks": webhook_lane(db, config, secret),
            }
            drained |= {"outbox": drain.drained} | {name: one.drained for name, one in lanes.items()}
            with contextlib.suppress(Busy):
                await hold.is_on()
            house = Housekeeping(db, config.retention)
            houses.append(house)
            try:
                await asyncio.gather(
                    _drain(drain, wake, stop),
                    *(lane.run(stop) for lane in lanes.values()),
                    _finish_uploads(db, spool, partial(upload_lane, db, config, store, spool), drained, stop),
                    _keep_house(house, hold, store, spool, stop),
                    _count_trends(db, stop),
                )
            finally:
                await db.close()
    finally:
        stop_health = stop.is_set()
        if not stop_health:
            health.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await health


def _cleared(houses: list[Housekeeping]) -> dict[str, float]:
    return houses[0].metrics() if houses else {}


def _metrics(drained: dict[str, Drained]) -> dict[str, float]:
    figures: dict[str, float] = {
        "stormpetrel_courier_drains": min(1, len(drained)),
        "stormpetrel_clock_step_seconds": CLOCK.step_ms / 1000,
    }
    for name, counts in drained.items():
        figures |= {
            f"stormpetrel_{name}_{_DONE[name]}_total": counts.done,
            f"stormpetrel_{name}_retried_total": counts.retried,
            f"stormpetrel_{name}_dead_total": counts.buried,
            f"stormpetrel_{name}_lease_lost_total": counts.lost,
        }
    return figures


async def _open(
    url: str, pending: Pending, publish: Callable[[list[Event]], None], stop: asyncio.Event
) -> Database | None:
    """Return the store once it can be reached; None if `stop` was set first."""
    wait_s = RETRY_MIN_S
    while not stop.is_set():
        db = Database(url, publish=publish, pending=pending)
        try:
            await db.open()
        except EnvironmentFailure as error:
            log.error("%s; the courier is waiting for it", error.safe_text)
            await _pause(stop, wait_s)
            wait_s = min(wait_s * 2, RETRY_MAX_S)
        else:
            return db
    return None


async def _drain(drain: Drain, wake: asyncio.Event, stop: asyncio.Event) -> None:
    wait_s = RETRY_MIN_S
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            wake.clear()
            try:
                taken = await drain.once()
            except Busy:
                await _pause(stop, wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
                continue
            wait_s = RETRY_MIN_S
            if taken:
                continue
            waking = asyncio.create_task(wake.wait())
            await asyncio.wait({waking, stopping}, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            waking.cancel()
    finally:
        stopping.cancel()


async def _finish_uploads(
    db: Database,
    spool: Spool,
    works: Callable[[int], Dispatch],
    drained: dict[str, Drained],
    stop: asyncio.Event,
) -> None:
    """Finish this machine's uploads. On a full disk its spool may have no lane yet: wait until it has one."""
    while not stop.is_set():
        try:
            lane = await asyncio.to_thread(spool.lane)
            # No other courier works in this lane, so jobs of a killed courier need not wait for their lease.
            await db.write_as(URGENCY, 10.0, outbox.free, lane=lane)
        except Busy:
            await _pause(stop, RETRY_MAX_S)
            continue
        uploads = works(lane)
        drained["uploads"] = uploads.drained
        await uploads.run(stop)


async def _keep_house(
    house: Housekeeping, hold: Hold, store: MediaStore, spool: Spool, stop: asyncio.Event
) -> None:
    for round_number in itertools.count():
        if await _pause(stop, EVERY_S):
            return
        try:
            if await hold.is_on():
                continue
            removed = await house.round(now_ms=now_ms())
            removed["files"] += await files.sweep(house.db, store, spool, round_number=round_number)
        except Busy:
            # No client waits for this; the next round does it.
            continue
        if text := in_words(removed):
            log.info("deleted what is no longer needed: %s", text)


async def _count_trends(db: Database, stop: asyncio.Event) -> None:
    while not await _pause(stop, COUNT_EVERY_S):
        # No client waits for this; the next round tries a failed store again.
        with contextlib.suppress(Busy):
            await count_trends(db, now_ms=now_ms())


async def _pause(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; return True as soon as `stop` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
