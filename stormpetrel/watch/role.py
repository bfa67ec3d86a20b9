"""The watch's process: the control plane, on a port of its own, so that it answers when the web does not.

Nobody needs it to serve: without a watch the workers go on by themselves, and what it directed runs out. It
needs nobody to answer: /health, /metrics and its page come from memory, whatever the store, the disk or the
workers do.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from stormpetrel import clock
from stormpetrel import secret as secrets_of_instance
from stormpetrel.bus import Bus
from stormpetrel.config import Config
from stormpetrel.control import wire
from stormpetrel.errors import EnvironmentFailure, StormpetrelError
from stormpetrel.health import Page, serve_health
from stormpetrel.model.ids import IdMaker
from stormpetrel.rules.canaries import CanaryCredentials, credentials, register
from stormpetrel.shield.canary import HEADER, mark
from stormpetrel.shield.reports import Entry
from stormpetrel.storage.connection import connect, transaction
from stormpetrel.storage.failures import store_failed
from stormpetrel.storage.journal import Note
from stormpetrel.storage.slots import take_slot
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.bookkeeper import Bookkeeper, Remembered
from stormpetrel.watch.canaries import Canaries
from stormpetrel.watch.desk import Desk, remember
from stormpetrel.watch.errands import Canary, NotWell
from stormpetrel.watch.fleet import Fleet
from stormpetrel.watch.front_door import FrontDoor
from stormpetrel.watch.metrics import Figures, exposition
from stormpetrel.watch.page import POLICY, status_page
from stormpetrel.watch.sight import Sight

SECOND_S = 1.0
FLUSH_EVERY_S = 1.0
SUM_EVERY_S = 5.0
"""What people were refused is written down in sums of so long."""
PROXY_LINE = b"PROXY UNKNOWN\r\n"
REMEMBER_S = 3.0
"""How long the journal may keep the start waiting: a disk that hangs must not."""


async def run(*, config: Config, sock: socket.socket, bus: Bus, stop: asyncio.Event) -> None:
    """Serves until `stop` is set. Raises EnvironmentFailure when the control socket cannot be made."""
    secret = secrets_of_instance.load(config)
    books = Bookkeeper(config.data_dir)
    began_s = clock.now_s()
    found = Remembered()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REMEMBER_S):
            found = await books.remembered(now_ms=int(began_s * 1000))
    sight = _sight(found, now_epoch_s=began_s)
    known = credentials(secret)
    canaries = Canaries(
        Canary(
            door=_front_door(config),
            known=known,
            mark=lambda: {HEADER.decode(): mark(secret, at_epoch_s=int(clock.now_s()))},
        ),
        register=lambda: _register(config.database_url, known),
        note=lambda note: books.note([note]),
        now_epoch_s=clock.now_s,
    )
    prefixes: dict[str, int] = {}
    for prefix, day in reversed(found.prefixes):
        remember(prefixes, prefix, day)
    desk = Desk(sight=sight, books=books, canaries=canaries, known_prefixes=prefixes)
    fleet = Fleet(bus, sight.orders, desk.heard)
    desk.say = fleet.say
    control = _listen(config.data_dir)
    books.note([Note(at_ms=int(began_s * 1000), kind="watch", text="the watch started")])

    def figures() -> str:
        at_s = asyncio.get_running_loop().time()
        return exposition(
            Figures(
                totals=sight.totals,
                attack=sight.attack,
                workers=len(sight.workers(at_s=at_s)),
                newest=sight.newest(at_s=at_s),
                restarts=sight.restarts,
                canaries={channel: seen.figures() for channel, seen in canaries.seen.items()},
                journal_lost=books.lost,
                is_journal_well=not books.problem,
            )
        )

    def page() -> bytes:
        return status_page(
            title=config.title,
            web_url=config.base_url,
            channels=[seen.state for seen in canaries.seen.values()],
            attack=sight.attack,
            now_epoch_s=clock.now_s(),
        )

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                serve_health(sock, stop=stop, role="watch", metrics=figures, page=Page(page, POLICY))
            )
            tasks.create_task(desk.serve(control, stop))
            tasks.create_task(_seconds(sight, desk, books, stop))
            tasks.create_task(_write_down(sight, books, stop))
            tasks.create_task(canaries.run(stop))
            tasks.create_task(fleet.repeat(stop, now_epoch_s=clock.now_s))
    finally:
        control.close()
        await books.close()


async def _seconds(sight: Sight, desk: Desk, books: Bookkeeper, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    while not await _paused(stop, SECOND_S):
        books.note(sight.second(at_s=loop.time(), now_epoch_s=clock.now_s()))
        desk.direct()


async def _write_down(sight: Sight, books: Bookkeeper, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    onset_s = sight.attack.onset_epoch_s
    summed_s = loop.time()
    is_last = False
    while not is_last:
        # Once more at the end: what was seen until then is written down, too.
        is_last = await _paused(stop, FLUSH_EVERY_S)
        if is_last or loop.time() - summed_s >= SUM_EVERY_S:
            summed_s = loop.time()
            books.note(sight.collateral.notes())
        if onset_s != sight.attack.onset_epoch_s and await books.set_fact(
            "onset_ms", int(sight.attack.onset_epoch_s * 1000)
        ):
            onset_s = sight.attack.onset_epoch_s
        await books.flush(now_ms=clock.now_ms(), at_s=loop.time())


def _sight(found: Remembered, *, now_epoch_s: float) -> Sight:
    """As the watch before left it: what it had ordered holds, and an attack goes on until it is seen to be over."""
    facts = dict(found.facts)
    onset_s = facts.get("onset_ms", 0) / 1000
    sight = Sight(attack=Attack(onset_s, 0.0, now_epoch_s) if onset_s else None)
    sight.orders.paused_until_epoch_s = facts.get("paused_until_ms", 0) / 1000
    for one in found.directions:
        sight.orders.put(one.verdict, Entry(one.kind, one.value, one.expires_ms / 1000, one.reason))
    return sight


def _front_door(config: Config) -> FrontDoor:
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.web.host, config.web.host)  # noqa: S104
    # Whoever asks from a trusted proxy's address must begin as one; so it says that it speaks for itself.
    asks_as_proxy = config.edge.proxy_protocol and config.edge.trusts(host)
    return FrontDoor(host, config.web.port, config.domain, PROXY_LINE if asks_as_proxy else b"")


def _listen(data_dir: Path) -> socket.socket:
    try:
        return wire.listen(data_dir)
    except OSError as error:
        raise EnvironmentFailure(
            f"{data_dir / wire.FILE_NAME} cannot be created: {error.strerror}"
        ) from error


async def _register(url: str, known: CanaryCredentials) -> None:
    """Makes the canaries' application and token. Raises NotWell when the store does not take them."""
    try:
        await asyncio.to_thread(_register_now, url, known)
    except Exception as error:
        if isinstance(error, StormpetrelError) or store_failed(error):
            raise NotWell(f"the canaries could not be registered: {error}") from error
        raise


def _register_now(url: str, known: CanaryCredentials) -> None:
    slot = take_slot(url)
    try:
        connection = connect(url, ids=IdMaker(slot.number))
        try:
            with transaction(connection):
                register(connection, known=known, now_ms=clock.now_ms())
        finally:
            connection.close()
    finally:
        slot.release()


async def _paused(stop: asyncio.Event, seconds: float) -> bool:
    """Waits; True as soon as `stop` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
