"""The watch's process: the control plane, on its own port, so that it answers when the web does not.

No process needs it to serve: without a watch the workers continue, and its directions expire. It needs no
other process to answer: /health, /metrics and the status page come from memory, whatever the store, the disk or
the workers do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from pathlib import Path

from stormpetrel import clock
from stormpetrel.bus.local import Bus
from stormpetrel.config import Config
from stormpetrel.control import wire
from stormpetrel.control.guard_messages import socket_folder
from stormpetrel.errors import EnvironmentFailure, StormpetrelError
from stormpetrel.model.event import Event
from stormpetrel.process import secret as secrets_of_instance
from stormpetrel.process.health import serve_health
from stormpetrel.rules.canaries import CanaryCredentials, credentials, register
from stormpetrel.shield.canary import HEADER, mark
from stormpetrel.shield.entries import InvalidEntry, checked
from stormpetrel.shield.reports import OperatorEntry
from stormpetrel.storage.engine.connection import transaction
from stormpetrel.storage.engine.failures import store_failed
from stormpetrel.storage.engine.slots import connected
from stormpetrel.storage.journal import Note
from stormpetrel.watch.acknowledged import AcknowledgedPosts
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.attack_book import AttackBook, FoundAttack
from stormpetrel.watch.attack_watch import TURN_S, AttackWatch
from stormpetrel.watch.audience import WatchAudience
from stormpetrel.watch.canaries import Canaries
from stormpetrel.watch.cluster_state import ClusterState
from stormpetrel.watch.control_server import ControlServer
from stormpetrel.watch.fleet import Fleet
from stormpetrel.watch.guard_plan import OFF_S
from stormpetrel.watch.insight import InsightKeeper
from stormpetrel.watch.journal_writer import JournalWriter, Remembered
from stormpetrel.watch.metrics import Figures, exposition
from stormpetrel.watch.naming import NamedAccounts
from stormpetrel.watch.probe_client import ProbeClient
from stormpetrel.watch.probes import Canary, ProbeFailed
from stormpetrel.watch.status.board import StatusBoard
from stormpetrel.watch.status.book import IncidentDesk, StatusBook, StoredHistory, keep, new_incident_id
from stormpetrel.watch.status.channels import COUNTS_S, LONGER_S
from stormpetrel.watch.status.export import keep_exported
from stormpetrel.watch.status.handover import hand_over
from stormpetrel.watch.status.history import ChannelHistory
from stormpetrel.watch.status.site import StatusSite
from stormpetrel.watch.status.view import StatusView, view_of

log = logging.getLogger(__name__)

SECOND_S = 1.0
FLUSH_EVERY_S = 1.0
SUM_EVERY_S = 5.0
"""Interval at which refusals are written to the journal as sums."""
PROXY_LINE = b"PROXY UNKNOWN\r\n"
REMEMBER_S = 3.0
"""How long the journal may delay the start, as a disk may hang."""


async def run(*, config: Config, sock: socket.socket, bus: Bus, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raise EnvironmentFailure when the control socket cannot be created."""
    secret = secrets_of_instance.load(config)
    books, status_book = JournalWriter(config.data_dir), StatusBook(config.data_dir)
    attacks = AttackBook(config.data_dir, books.thread)
    began_s = clock.now_s()
    found, stored, left = Remembered(), StoredHistory(), FoundAttack()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REMEMBER_S):
            found = await books.remembered(now_ms=int(began_s * 1000))
            stored = await status_book.load(now_ms=int(began_s * 1000))
            left = await attacks.found(now_ms=int(began_s * 1000))
    cluster = restored(found, now_epoch_s=began_s)
    attack_watch = AttackWatch(cluster.moments, attacks, left, at_s=began_s)
    known = credentials(secret)
    canaries = Canaries(
        Canary(
            door=_probe_client(config),
            known=known,
            mark=lambda person: {HEADER.decode(): mark(secret, at_epoch_s=int(clock.now_s()), person=person)},
            sms_door=_sms_door(config),
        ),
        register=lambda: _register(config.database_url, known),
        note=lambda note: books.note([note]),
        now_epoch_s=clock.now_s,
    )
    board = StatusBoard(
        canaries.channels,
        new_id=new_incident_id,
        now_epoch_s=began_s,
        incidents=stored.incidents,
        history=ChannelHistory(stored.days, stored.minutes),
    )
    control_server = ControlServer(
        cluster=cluster,
        books=books,
        canaries=canaries,
        incidents=IncidentDesk(board, status_book),
        known_prefixes=reversed(found.prefixes),
        shelters=[prefix for prefix, _ in reversed(found.shelters)],
        proxies=config.edge.proxy_networks,
    )
    if not found.is_read:
        control_server.guard.plan.stay_off(
            "the journal could not be read when the watch started",
            until_s=asyncio.get_running_loop().time() + OFF_S,
        )
    control_server.phase = attack_watch.phase
    fleet = Fleet(bus, cluster.orders, control_server.heard)
    control_server.say = fleet.say
    posts = AcknowledgedPosts(config.database_url)

    def on_events(events: list[Event]) -> None:
        fleet.hear(events)
        posts.hear(events)

    bus.on_events = on_events
    audience = control_server.audience = WatchAudience(
        data_dir=config.data_dir, database_url=config.database_url, is_enabled=config.audience.enabled
    )
    accounts = NamedAccounts(config)
    insight = InsightKeeper(
        config, note=lambda note: books.note([note]), check=posts.check, accounts=accounts
    )
    control = _listen(config.data_dir)
    books.note([Note(at_ms=int(began_s * 1000), kind="watch", text="the watch started")])

    def figures() -> str:
        at_s = asyncio.get_running_loop().time()
        return exposition(
            Figures(
                totals=cluster.totals,
                attack=cluster.attack,
                workers=len(cluster.workers(at_s=at_s)),
                newest=cluster.newest(at_s=at_s),
                restarts=cluster.restarts,
                canaries={channel: seen.figures() for channel, seen in canaries.seen.items()},
                journal_lost=books.lost,
                is_journal_well=not books.problem,
                phase=attack_watch.verdict,
                vectors=attack_watch.vectors,
                guard=control_server.guard.state(at_s=at_s, now_epoch_s=clock.now_s()),
                guard_listed=control_server.guard.plan.added,
            )
        )

    def view() -> StatusView:
        return view_of(
            config, board, attack=cluster.attack, now_epoch_s=clock.now_s(), reports=insight.published
        )

    site = StatusSite(view, clock_s=asyncio.get_running_loop().time)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                serve_health(sock, stop=stop, role="watch", metrics=figures, documents=site.find)
            )
            tasks.create_task(control_server.serve(control, stop))
            tasks.create_task(control_server.guard.serve(socket_folder(config.data_dir), stop))
            tasks.create_task(_seconds(cluster, control_server, books, board, canaries, stop))
            tasks.create_task(_watch_attacks(attack_watch, cluster, books, stop))
            tasks.create_task(keep(board, status_book, stop))
            tasks.create_task(keep_exported(view, config, stop))
            tasks.create_task(
                hand_over(
                    status_book,
                    stop,
                    database_url=config.database_url,
                    is_enabled=config.status.max_subscriptions > 0,
                )
            )
            tasks.create_task(_write_down(cluster, books, stop))
            tasks.create_task(canaries.run(stop))
            tasks.create_task(audience.run(stop))
            tasks.create_task(insight.run(stop))
            tasks.create_task(accounts.run(stop))
            tasks.create_task(fleet.repeat(stop, now_epoch_s=clock.now_s))
    finally:
        control.close()
        await attacks.close()
        await books.close()
        await status_book.close()


async def _seconds(
    cluster: ClusterState,
    control_server: ControlServer,
    books: JournalWriter,
    board: StatusBoard,
    canaries: Canaries,
    stop: asyncio.Event,
) -> None:
    loop = asyncio.get_running_loop()
    while not await _paused(stop, SECOND_S):
        at_s, now_s = loop.time(), clock.now_s()
        books.note(cluster.second(at_s=at_s, now_epoch_s=now_s))
        control_server.guard_second(at_s=at_s)
        control_server.direct()
        reports = cluster.reports(at_s=at_s, within_s=COUNTS_S)
        longer = cluster.reports(at_s=at_s, within_s=LONGER_S)
        board.second(
            canaries.states,
            reports,
            earlier=longer[: len(longer) - len(reports)],
            named=cluster.totals.applications,
            at_s=at_s,
            now_epoch_s=now_s,
        )


async def _watch_attacks(
    attack_watch: AttackWatch, cluster: ClusterState, books: JournalWriter, stop: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    flushing: asyncio.Task[None] | None = None
    while not await _paused(stop, TURN_S):
        alive = [worker.name for worker in cluster.workers(at_s=loop.time())]
        books.note(attack_watch.turn(alive, cluster.attack, now_epoch_s=clock.now_s()))
        # A slow disk must not delay the next moment.
        if flushing is None or flushing.done():
            flushing = asyncio.ensure_future(attack_watch.book.flush())
    if flushing is not None:
        await flushing
    await attack_watch.book.flush()


async def _write_down(cluster: ClusterState, books: JournalWriter, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    onset_s = cluster.attack.onset_epoch_s
    summed_s = loop.time()
    is_last = False
    while not is_last:
        # Once more at the end, so that the last events are written too.
        is_last = await _paused(stop, FLUSH_EVERY_S)
        if is_last or loop.time() - summed_s >= SUM_EVERY_S:
            summed_s = loop.time()
            books.note(cluster.collateral.notes())
        if onset_s != cluster.attack.onset_epoch_s and await books.set_fact(
            "onset_ms", int(cluster.attack.onset_epoch_s * 1000)
        ):
            onset_s = cluster.attack.onset_epoch_s
        await books.flush(now_ms=clock.now_ms(), at_s=loop.time())


def restored(found: Remembered, *, now_epoch_s: float) -> ClusterState:
    """Restore the last watch's state: its orders hold, and an attack continues until it is over."""
    facts = dict(found.facts)
    onset_s = facts.get("onset_ms", 0) / 1000
    # A journal without an onset ended in calm, or is new: no credential was issued since that an attacker prepared.
    cluster = ClusterState(
        attack=Attack(onset_s, 0.0, now_epoch_s) if onset_s else None, saw_calm=found.is_read and not onset_s
    )
    cluster.orders.paused_until_epoch_s = facts.get("paused_until_ms", 0) / 1000
    for one in found.directions:
        entry = OperatorEntry(one.kind, one.value, one.expires_ms / 1000, one.reason)
        try:
            cluster.orders.put(one.verdict, checked(entry, now_epoch_s=now_epoch_s))
        except InvalidEntry as error:
            # One invalid rule must not keep the others, or the watch, out of force.
            log.warning("a saved rule about %s %s was dropped: %s", one.kind, one.value, error)
    return cluster


def _reachable(host: str) -> str:
    """Return the address at which a listener on `host` can be reached."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _sms_door(config: Config) -> ProbeClient | None:
    """Return the port of the sms role; None if no route is in use."""
    if not any(route.enabled for route in config.sms.routes):
        return None
    return ProbeClient(_reachable(config.sms.host), config.sms.port, config.domain)


def _probe_client(config: Config) -> ProbeClient:
    host = _reachable(config.web.host)
    # Connections from a trusted proxy's address must begin with a PROXY header; "UNKNOWN" means the proxy
    # itself.
    asks_as_proxy = config.edge.proxy_protocol and config.edge.trusts(host)
    return ProbeClient(host, config.web.port, config.domain, PROXY_LINE if asks_as_proxy else b"")


def _listen(data_dir: Path) -> socket.socket:
    try:
        return wire.listen(data_dir)
    except OSError as error:
        raise EnvironmentFailure(
            f"{data_dir / wire.FILE_NAME} cannot be created: {error.strerror}"
        ) from error


async def _register(url: str, known: CanaryCredentials) -> None:
    """Create the canaries' application and token. Raise ProbeFailed when the store does not take them."""
    try:
        await asyncio.to_thread(_register_now, url, known)
    except Exception as error:
        if isinstance(error, StormpetrelError) or store_failed(error):
            raise ProbeFailed(f"the canaries could not be registered: {error}") from error
        raise


def _register_now(url: str, known: CanaryCredentials) -> None:
    with connected(url) as connection, transaction(connection):
        register(connection, known=known, now_ms=clock.now_ms())


async def _paused(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; return True as soon as `stop` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
