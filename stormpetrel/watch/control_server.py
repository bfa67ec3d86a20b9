"""The watch's side of the control socket: takes reports from workers, directs them, and answers commands."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterable

import msgspec

from stormpetrel import clock
from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.config import Network
from stormpetrel.control import wire
from stormpetrel.control.entries import canonical_value, checked, require_harmless
from stormpetrel.control.messages import (
    Answer,
    Ask,
    AskPause,
    AskRule,
    AskStatus,
    AskWhy,
    AudienceHello,
    Direct,
    Done,
    Failed,
    Hello,
    IncidentChange,
    IncidentStored,
    Look,
    PhaseState,
    ReportMessage,
    Standing,
    StatusMessage,
    TextCounts,
    Why,
    decode_first,
    decode_from_worker,
)
from stormpetrel.errors import SetupError
from stormpetrel.model.event import ShieldPaused, ShieldRuled
from stormpetrel.shield.entries import covers
from stormpetrel.shield.prefixes import DAY_S, KNOWN_DAYS
from stormpetrel.shield.reports import Directions, OperatorEntry
from stormpetrel.storage.journal import Direction, Networks, Note
from stormpetrel.watch.audience import WatchAudience
from stormpetrel.watch.canaries import Canaries
from stormpetrel.watch.cluster_state import ClusterState
from stormpetrel.watch.guard_link import GuardLink
from stormpetrel.watch.guard_plan import GuardPlan
from stormpetrel.watch.journal_writer import JournalWriter
from stormpetrel.watch.orders import LONGEST_PAUSE_S
from stormpetrel.watch.status.book import IncidentDesk

MAX_CONNECTIONS = 256
FIRST_WORDS_S = 5.0
LOOK_S = 1.0
"""How long `why` waits for the workers' state of a client; a busy worker is left out."""
UNSENT_BYTES = 8 * 1024 * 1024
"""A worker with this many unread bytes is disconnected; it reconnects."""
SHOWN_OFFENDERS = 10
MAX_KNOWN_PREFIXES = 50_000

log = logging.getLogger(__name__)


class ControlServer:
    """Serves the control socket. Its state is in `cluster`, `books` and `canaries`.

    `proxies`: networks of trusted proxies.
    """

    def __init__(
        self,
        *,
        cluster: ClusterState,
        books: JournalWriter,
        canaries: Canaries,
        incidents: IncidentDesk,
        known_prefixes: Iterable[tuple[str, int]] = (),
        shelters: Iterable[str] = (),
        proxies: tuple[Network, ...] = (),
    ) -> None:
        self._cluster = cluster
        self._books = books
        self._canaries = canaries
        self._incidents = incidents
        # Networks with the last day of activity; the one reported longest ago is dropped.
        self._known_prefixes: BoundedTable[str, int] = BoundedTable(
            MAX_KNOWN_PREFIXES, evicts=Eviction.OLDEST
        )
        self._learn(known_prefixes)
        self._began_epoch_s = clock.now_s()
        self._workers: dict[str, asyncio.StreamWriter] = {}
        self._open: set[asyncio.Task[None]] = set()
        self._looks: dict[int, list[Standing]] = {}
        self._look_number = 0
        self._saving: set[asyncio.Task[bool]] = set()
        self.say: Callable[[ShieldRuled | ShieldPaused], None] = _to_none
        """Called with each order, to send it to the other machines."""
        self.phase: Callable[[], PhaseState | None] = _none
        """Returns the present phase of the traffic."""
        self.audience: WatchAudience | None = None
        """Takes the counts of processes that count visitors."""
        self._proxies = proxies
        plan = GuardPlan(is_known=self._is_known, proxies=proxies)
        plan.shelter(shelters)
        self.guard = GuardLink(plan)

    def heard(self, event: ShieldRuled | ShieldPaused) -> None:
        """Direct the workers by another machine's order and store it; `orders` already has it."""
        self.direct()
        books = self._books
        if isinstance(event, ShieldPaused):
            saving = books.set_fact("paused_until_ms", int(event.until_epoch_s * 1000))
            books.note([Note(at_ms=clock.now_ms(), kind="pause", text="set on another machine")])
        elif event.verdict == "none":
            saving = books.end_direction(kind=event.kind, value=event.value)
            self._write_down("undo", "set on another machine", event.kind, event.value)
        else:
            expires_ms = int(event.expires_epoch_s * 1000)
            saving = books.set_direction(
                Direction(event.verdict, event.kind, event.value, expires_ms, event.reason)
            )
            self._write_down(
                event.verdict, f"set on another machine: {event.reason}", event.kind, event.value
            )
        task = asyncio.ensure_future(saving)
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def serve(self, sock: socket.socket, stop: asyncio.Event) -> None:
        """Serve until `stop` is set."""
        server = await asyncio.start_unix_server(self._connected, sock=sock)
        try:
            await stop.wait()
        finally:
            server.close()
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def direct(self) -> int:
        """Send new directions to every worker; return how many workers."""
        now_s, loop = clock.now_s(), asyncio.get_running_loop()
        return self._send(self._cluster.directions(at_s=loop.time(), now_epoch_s=now_s))

    def _send(self, directions: Directions) -> int:
        frame = wire.framed(Direct(directions))
        for writer in self._workers.values():
            _write(writer, frame)
        return len(self._workers)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if len(self._open) > MAX_CONNECTIONS or not wire.is_owner(writer.get_extra_info("socket")):
                return
            async with asyncio.timeout(FIRST_WORDS_S):
                body = await wire.receive(reader)
            if body is None:
                return
            first = decode_first(body)
            if isinstance(first, Hello):
                await self._worker(first, reader, writer)
            elif isinstance(first, TextCounts):
                self._cluster.moments.add_texts(first)
                self.guard.plan.shelter(first.networks)
                self._remember_shelters(first.networks)
            elif isinstance(first, AudienceHello):
                if self.audience is not None:
                    await self.audience.serve(first, reader, writer)
            else:
                writer.write(wire.framed(await self._answer(first)))
                await writer.drain()
        except (wire.BrokenMessage, msgspec.DecodeError, TimeoutError, OSError) as error:
            log.info("a connection to the control socket ended: %s", error or type(error).__name__)
        except asyncio.CancelledError:
            # The watch ends. If this were raised, asyncio would log it as a failure of the connection.
            return
        except Exception:  # at the connection's edge: one wrong message must not end the watch
            log.exception("the control socket failed")
        finally:
            self._open.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    # Workers

    async def _worker(self, hello: Hello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        before = self._workers.pop(hello.name, None)
        if before is not None:
            before.close()
        self._workers[hello.name] = writer
        self._books.note(self._cluster.hello(hello.name, hello.pid, now_epoch_s=clock.now_s()))
        try:
            _write(writer, wire.framed(Direct(self._first_directions(loop.time()))))
            while (body := await wire.receive(reader)) is not None:
                message = decode_from_worker(body)
                if isinstance(message, ReportMessage):
                    self._take(hello.name, message, loop.time())
                elif message.number in self._looks:
                    self._looks[message.number].append(message)
        finally:
            if self._workers.get(hello.name) is writer:
                del self._workers[hello.name]

    def _first_directions(self, at_s: float) -> Directions:
        return self._cluster.directions(
            at_s=at_s, now_epoch_s=clock.now_s(), known_prefixes=tuple(self._known_prefixes.items())
        )

    def _take(self, name: str, message: ReportMessage, at_s: float) -> None:
        self._cluster.take(name, message.report, at_s=at_s)
        self._learn(message.report.prefixes)
        self.guard.take(message.report)
        self._books.see(Networks.KNOWN, message.report.prefixes)
        self._remember_shelters(message.report.sheltered)

    def _remember_shelters(self, prefixes: Iterable[str]) -> None:
        """Keep the guard from listing these networks after a restart of the watch too."""
        day = int(clock.now_s() // DAY_S)
        self._books.see(Networks.SHELTERED, ((prefix, day) for prefix in prefixes))

    def _learn(self, prefixes: Iterable[tuple[str, int]]) -> None:
        for prefix, day in prefixes:
            self._known_prefixes.put(prefix, max(day, self._known_prefixes.get(prefix) or 0))

    def _is_known(self, prefix: str) -> bool:
        day = self._known_prefixes.get(prefix)
        return day is not None and clock.now_s() // DAY_S - day <= KNOWN_DAYS

    def guard_second(self, *, at_s: float) -> None:
        """Send the guard the changes of a second."""
        orders = self._cluster.orders
        self._cluster.has_guard = self.guard.is_connected
        members = [one for one in self._canaries.seen.items() if one[1].state.person == "member"]
        self._books.note(
            self.guard.second(
                is_paused=clock.now_s() < orders.paused_until_epoch_s,
                allowed=tuple(one.value for one in orders.said("allow") if one.kind == "address"),
                failures={name: seen.state.failures for name, seen in members},
                at_s=at_s,
            )
        )

    # Commands

    async def _answer(self, question: Ask) -> Answer:
        try:
            match question:
                case AskStatus():
                    return self._status()
                case AskWhy():
                    return await self._why(question)
                case AskRule():
                    return await self._rule(question)
                case AskPause():
                    return await self._pause(question)
                case IncidentChange():
                    return await self._incident(question)
        except SetupError as error:
            return Failed(error.safe_text)

    def _status(self) -> StatusMessage:
        cluster, at_s = self._cluster, asyncio.get_running_loop().time()
        cluster.orders.forget_expired(now_epoch_s=clock.now_s())
        rates = cluster.rates(at_s=at_s)
        newest = cluster.newest(at_s=at_s)
        return StatusMessage(
            mode=newest[0].mode if newest else "",
            onset_epoch_s=cluster.attack.onset_epoch_s,
            overload_since_epoch_s=cluster.attack.overload_since_epoch_s,
            paused_until_epoch_s=cluster.orders.paused_until_epoch_s,
            version=cluster.orders.version,
            workers=cluster.workers(at_s=at_s),
            canaries=tuple(seen.state for seen in self._canaries.seen.values()),
            classes=rates.classes,
            channels=rates.channels,
            applications=rates.applications,
            because=rates.because,
            pages=rates.pages,
            offenders=cluster.offenders(at_s=at_s, count=SHOWN_OFFENDERS),
            allowed=cluster.orders.said("allow"),
            denied=cluster.orders.said("deny"),
            load=tuple(cluster.load),
            journal_problem=self._books.problem,
            phase=self.phase(),
            guard=self.guard.state(at_s=at_s, now_epoch_s=clock.now_s()),
        )

    async def _why(self, question: AskWhy) -> Why:
        cluster = self._cluster
        standings: list[Standing] = []
        if question.identities:
            standings = await self._look(question.identities[0], question.created_epoch_s)
        cluster.orders.forget_expired(now_epoch_s=clock.now_s())
        if question.application:
            refusals = cluster.collateral.latest_of_application(question.application)
            count = cluster.collateral.count_of_application(question.application)
        else:
            refusals = cluster.collateral.latest(question.identities)
            count = cluster.collateral.count(question.identities)
        # Each worker has its own limit: the one with the least left decides for a person.
        least = min(standings, key=lambda one: one.remaining, default=None)
        return Why(
            lane=max((one.lane for one in standings), default=""),
            limit=least.limit if least else 0,
            remaining=least.remaining if least else 0,
            is_demoted=any(one.is_demoted for one in standings),
            onset_epoch_s=cluster.attack.onset_epoch_s,
            allowed=_named(cluster.orders.said("allow"), question.names),
            denied=_named(cluster.orders.said("deny"), question.names),
            refusals=refusals,
            refused_count=count,
            since_epoch_s=self._began_epoch_s,
            blocked_until_epoch_s=self._blocked_until(question),
        )

    def _blocked_until(self, question: AskWhy) -> float:
        at_s, now_s = asyncio.get_running_loop().time(), clock.now_s()
        return max(
            (
                self.guard.until_epoch_s(identity.removeprefix("address:"), at_s=at_s, now_epoch_s=now_s)
                for identity in question.identities
                if identity.startswith("address:")
            ),
            default=0.0,
        )

    async def _look(self, identity: str, created_epoch_s: float) -> list[Standing]:
        """Return the workers' state of an identity; workers that do not answer in time are left out."""
        self._look_number += 1
        number, asked = self._look_number, len(self._workers)
        answers = self._looks[number] = []
        frame = wire.framed(Look(number, identity, created_epoch_s))
        for writer in self._workers.values():
            _write(writer, frame)
        try:
            end_s = asyncio.get_running_loop().time() + LOOK_S
            # Commands are rare, so polling is enough here.
            while len(answers) < asked and asyncio.get_running_loop().time() < end_s:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return answers
        finally:
            del self._looks[number]

    async def _rule(self, question: AskRule) -> Done:
        orders, now_s = self._cluster.orders, clock.now_s()
        if question.verdict == "none":
            kind, named = question.entry.kind, canonical_value(question.entry.kind, question.entry.value)
            taken = orders.take_back(kind, named, set_at_epoch_s=now_s)
            if taken is None:
                raise SetupError(f"no rule for {kind} {named}")
            self.say(ShieldRuled("none", kind, named, taken.expires_epoch_s, taken.reason, now_s))
            told = self.direct()
            self._write_down("undo", "rule removed", kind, named)
            return Done(told, await self._books.end_direction(kind=kind, value=named))
        if question.verdict not in ("allow", "deny"):
            raise SetupError("the verdict must be allow or deny")
        entry = checked(question.entry, now_epoch_s=now_s)
        if question.verdict == "deny" and not question.is_forced:
            require_harmless(entry, proxies=self._proxies, session=question.session)
        orders.put(question.verdict, entry, set_at_epoch_s=now_s)
        self.say(
            ShieldRuled(question.verdict, entry.kind, entry.value, entry.expires_epoch_s, entry.reason, now_s)
        )
        # Put it in force first: a slow disk must not delay that.
        told = self.direct()
        until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(entry.expires_epoch_s))
        text = f"until {until}: {entry.reason or 'no reason given'}"
        self._write_down(question.verdict, text, entry.kind, entry.value)
        expires_ms = int(entry.expires_epoch_s * 1000)
        kept = await self._books.set_direction(
            Direction(question.verdict, entry.kind, entry.value, expires_ms, entry.reason)
        )
        return Done(told, kept)

    async def _pause(self, question: AskPause) -> Done:
        now_s = clock.now_s()
        if question.until_epoch_s and not 0 < question.until_epoch_s - now_s <= LONGEST_PAUSE_S:
            raise SetupError("a pause must end in the future, within a day")
        self._cluster.orders.pause(question.until_epoch_s, set_at_epoch_s=now_s)
        self.say(ShieldPaused(question.until_epoch_s, now_s))
        told = self.direct()
        text = (
            f"denies and demotions are off for {question.until_epoch_s - now_s:.0f} s"
            if question.until_epoch_s
            else "the pause was ended"
        )
        self._books.note([Note(at_ms=int(now_s * 1000), kind="pause", text=text)])
        kept = await self._books.set_fact("paused_until_ms", int(question.until_epoch_s * 1000))
        return Done(told, kept)

    async def _incident(self, question: IncidentChange) -> IncidentStored:
        incident = await self._incidents.change(question)
        # For the report about an attack: operators may have noticed it first.
        note = Note(at_ms=clock.now_ms(), kind="incident", text=incident.name, because=question.action)
        self._books.note([note])
        return IncidentStored(incident)

    def _write_down(self, kind: str, text: str, named: str, what: str) -> None:
        is_address = named == "address"
        self._books.note(
            [
                Note(
                    at_ms=clock.now_ms(),
                    kind=kind,
                    text=text,
                    who=named if is_address else f"{named}:{what}"[:80],
                    address=what if is_address else "",
                )
            ]
        )


def _to_none(event: ShieldRuled | ShieldPaused) -> None:
    """Do nothing: there are no other machines."""


def _none() -> None:
    """Return None: nothing is unusual."""


def _write(writer: asyncio.StreamWriter, frame: bytes) -> None:
    if writer.transport.get_write_buffer_size() > UNSENT_BYTES:
        writer.transport.abort()
        return
    writer.write(frame)


def _named(entries: tuple[OperatorEntry, ...], names: tuple[tuple[str, str], ...]) -> OperatorEntry | None:
    for entry in entries:
        for kind, named in names:
            if entry.kind == kind and covers(entry, named):
                return entry
    return None
