"""The sms role: its own process, listeners and spool, so that texts go on when the web is flooded or the store down.

Providers hand over messages (inbound.py); the inbox is carried out (drain.py); posts for phones become texts
(deliver.py); texts are sent by route (sender.py). All of them share the spool's thread and one `stop`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field

from stormpetrel.audience.counter import VisitorCounter
from stormpetrel.bus.local import Bus
from stormpetrel.clock import now_ms
from stormpetrel.config import Config
from stormpetrel.control.audience_link import AudienceLink
from stormpetrel.control.messages import TextCounts
from stormpetrel.control.text_counts import report_texts
from stormpetrel.errors import Busy, EnvironmentFailure, SetupError
from stormpetrel.gateway.answers import answer
from stormpetrel.gateway.canary import CanaryRoute
from stormpetrel.gateway.deliver import Deliverer
from stormpetrel.gateway.drain import InboxDrain, NoticeTimes
from stormpetrel.gateway.inbound import NumberRates, PartsTable, RouteInbound
from stormpetrel.gateway.known_numbers import KnownNumbers, as_known
from stormpetrel.gateway.outcome import PhoneContext
from stormpetrel.gateway.phone_changes import PhoneChanges
from stormpetrel.gateway.provider import Inbound, NotStored, Provider
from stormpetrel.gateway.provider_networks import ProviderNetworks
from stormpetrel.gateway.providers.registry import make
from stormpetrel.gateway.sender import RouteSender
from stormpetrel.gateway.sign_in_codes import SignInCodes
from stormpetrel.gateway.spool_thread import SpoolThread
from stormpetrel.gateway.webhooks import serve_webhooks
from stormpetrel.model.phone import CODE_DIGITS, SIGN_IN_DIGITS, Phone, PhoneKeys
from stormpetrel.model.quota import DAY_S, Quota, slot
from stormpetrel.process import secret as secrets_of_instance
from stormpetrel.rules import phones
from stormpetrel.sms.numbers import prefix_of, zone_of
from stormpetrel.storage import phone_queue
from stormpetrel.storage.engine.connection import Connection
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.engine.failures import store_failed
from stormpetrel.storage.engine.migrate import require_current
from stormpetrel.storage.facts import require_same_secret
from stormpetrel.storage.sms_spool import canary, inbox, outbox, state
from stormpetrel.storage.sms_spool.file import SpoolDb
from stormpetrel.storage.sms_spool.money import Caps, micros
from stormpetrel.storage.status_history import FILE_NAME as STATUS_HISTORY
from stormpetrel.storage.status_history import StatusHistoryFailed, read_incidents

log = logging.getLogger(__name__)

STATE_EVERY_S = 1.0
TIDY_EVERY_S = 600.0
REROUTE_EVERY_S = 30.0
RETRY_MIN_S, RETRY_MAX_S = 0.2, 5.0
INCIDENTS_TOLD = 2
INCIDENT_CHARACTERS = 60
"""How many open incidents the answer to STATUS names, and how much of each name: texts cost money."""
OUTCOMES_MS = 7 * 86_400_000
"""How long outcomes stay in the store after the spool has them."""


async def run(*, config: Config, sock: socket.socket, bus: Bus, stop: asyncio.Event) -> None:
    """Serve on `sock` until `stop` is set."""
    gateway = SmsGateway(config, bus, secrets_of_instance.load(config))
    await gateway.run(sock, stop)


@dataclass(slots=True)
class SpoolFigures:
    """What commands and answers tell of the spool, as of the last second."""

    waiting_in: int = 0
    waiting_out: int = 0
    paused: set[str] = field(default_factory=set)


class SmsGateway:
    """The parts of the role, and what connects them."""

    def __init__(self, config: Config, bus: Bus, secret: bytes) -> None:
        self._config = config
        self._bus = bus
        self._secret = secret
        self._keys = PhoneKeys(secret)
        self._db: Database | None = None
        self._figures = SpoolFigures()
        self._known = KnownNumbers(self._keys)
        self._parts = PartsTable(config.sms.part_timeout_s, self._known.class_of)
        self._spool = SpoolThread(config.data_dir, on_open=self._parts.load)
        self._opted_out: list[str] = []
        routes = [route for route in config.sms.routes if route.enabled]
        self._providers: dict[str, Provider] = {route.name: make(route) for route in routes}
        self._networks = ProviderNetworks(config.edge.proxy_networks)
        rates = NumberRates(config.sms)
        context = self._context(secret)
        self._visitors = VisitorCounter() if config.audience.enabled else None
        self._drain = InboxDrain(
            spool=self._spool,
            context=context,
            times=NoticeTimes(config.sms.stranger_answer_s * 1000, config.sms.saved_notice_s * 1000),
            database=lambda: self._db,
            on_answers=self._wake_senders,
            visitors=self._visitors,
        )
        self._inbounds = {
            route.name: RouteInbound(
                route,
                spool=self._spool,
                parts=self._parts,
                known=self._known,
                rates=rates,
                on_stored=self._drain.notify,
                on_opt_out=self._opted_out.append,
            )
            for route in routes
        }
        self._senders = [
            RouteSender(
                route=route,
                provider=self._providers[route.name],
                spool=self._spool,
                caps=_caps(config),
                paused=lambda: self._figures.paused,
                on_opt_out=self._opted_out.append,
                is_stranger=self._known.is_stranger,
            )
            for route in routes
        ]
        self._deliverer = Deliverer(
            spool=self._spool,
            config=config.sms,
            keys=self._keys,
            routes=frozenset(self._providers),
            database=lambda: self._db,
            on_texts=self._wake_senders,
        )
        self._sign_in_codes = SignInCodes(
            spool=self._spool,
            context=context,
            routes=frozenset(self._providers),
            draw_code=lambda: f"{secrets.randbelow(10**SIGN_IN_DIGITS):0{SIGN_IN_DIGITS}}",
            database=lambda: self._db,
            on_texts=self._wake_senders,
        )
        self._canary = CanaryRoute(
            secret=secret,
            spool=self._spool,
            routes=self._providers,
            paused=lambda: self._figures.paused,
            database=lambda: self._db,
            on_stored=self._drain.notify,
        )

    def _context(self, secret: bytes) -> PhoneContext:
        config = self._config
        return PhoneContext(
            keys=self._keys,
            title=config.title,
            contact=config.contact_email or config.base_url,
            per_day=config.sms.out_per_day,
            domain=config.domain,
            language=config.languages.split(",")[0].strip() or "en",
            registration=config.registration,
            max_characters=config.posts.max_characters,
            delete_window_ms=config.sms.delete_window_s * 1000,
            trusts={route.name: route.trust for route in config.sms.routes},
            nonces=_a_day("sms.nonce", config.sms.code_per_prefix_day),
            nonces_of_strangers=_a_day("sms.nonce.strangers", (config.sms.code_per_prefix_day + 1) // 2),
            joins=_a_day("sms.join", config.sms.join_per_prefix_day),
            status=self._status,
            slot=lambda text: slot(secret, text),
            zone_of=zone_of,
            prefix_of=prefix_of,
            draw_code=lambda: f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}",
        )

    def _status(self, language: str) -> str:
        """Return the answer to STATUS, without the store, with the names of open incidents; called in a thread."""
        key = "status-down" if self._db is None or self._drain.is_degraded else "status-up"
        text = answer(key, language, site=self._config.title, waiting=self._figures.waiting_in)
        # In the operator's words, whatever the reader's language.
        return " ".join([text, *self._open_incidents()])

    def _open_incidents(self) -> list[str]:
        try:
            found = read_incidents(self._config.data_dir / STATUS_HISTORY, only_open=True)
        except StatusHistoryFailed:
            return []
        shown = [one for one in found if not one.is_maintenance or one.is_in_progress]
        return [f"{one.name[:INCIDENT_CHARACTERS]}." for one in shown[:INCIDENTS_TOLD]]

    def _wake_senders(self) -> None:
        for sender in self._senders:
            sender.notify()
        self._canary.notify()

    async def run(self, sock: socket.socket, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; then finish the work in progress."""
        server = asyncio.create_task(
            serve_webhooks(
                sock,
                stop=stop,
                providers={**self._providers, canary.ROUTE: self._canary.provider},
                inbound_of=self._inbound_of,
                metrics=self._metrics,
                networks=self._networks,
            )
        )
        workers: list[Awaitable[None]] = [
            report_texts(self._texts, self._config.data_dir, stop),
            self._open_store(stop),
            self._read_known(stop),
            self._write_state(stop),
            self._tidy(stop),
            self._reroute(stop),
            self._drain.run(stop),
            self._deliverer.run(stop),
            self._sign_in_codes.run(stop),
            *(sender.run(stop) for sender in self._senders),
            *self._canary.workers(stop),
        ]
        if self._visitors is not None:
            workers.append(AudienceLink(self._visitors, name="sms", data_dir=self._config.data_dir).run(stop))
        try:
            await self._begin(stop)
            await asyncio.gather(server, *workers)
        finally:
            for provider in self._providers.values():
                await provider.stop()
            if self._db is not None:
                await self._db.close()
            await self._spool.close()

    def _inbound_of(self, route: str) -> Inbound:
        return self._canary.inbound if route == canary.ROUTE else self._inbounds[route]

    async def _begin(self, stop: asyncio.Event) -> None:
        """Read what the spool has, then let providers connect; a spool that cannot be opened is waited for."""
        wait_s = RETRY_MIN_S
        while not stop.is_set():
            try:
                self._known.put(await self._spool.call(state.known))
                resumed = await self._spool.call(outbox.resume, now_ms=now_ms())
                self._figures.paused = await self._spool.call(state.paused)
                break
            except NotStored as error:
                log.error("the spool cannot be read: %s", error)
                await _pause(stop, wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
        else:
            return
        if resumed:
            log.warning("%d units were being sent when the role ended; they are sent again", resumed)
        for name, provider in self._providers.items():
            await provider.start(self._inbounds[name])

    async def _reroute(self, stop: asyncio.Event) -> None:
        """Move texts that wait on a route that is removed or disabled to the first route; without any, say so."""
        wait_s = STATE_EVERY_S
        while not await _pause(stop, wait_s):
            wait_s = REROUTE_EVERY_S
            names = tuple(self._providers)
            try:
                if names:
                    moved = await self._spool.call(outbox.reroute, routes=names, to=names[0], now_ms=now_ms())
                    if moved:
                        log.warning("%d texts waited on routes that are gone; they go on %s", moved, names[0])
                        self._wake_senders()
                elif self._figures.waiting_out:
                    log.warning("%d texts wait, and no route is enabled", self._figures.waiting_out)
            except NotStored:
                continue

    async def _open_store(self, stop: asyncio.Event) -> None:
        wait_s = RETRY_MIN_S
        while not stop.is_set():
            db = Database(self._config.database_url, publish=self._bus.publish, pending=self._bus.pending)
            try:
                # In a thread: a server that does not answer would stop the loop, which answers carriers.
                await asyncio.to_thread(self._require_store)
                await db.open()
            except Exception as error:  # what has failed is sorted out in one place
                if not isinstance(error, EnvironmentFailure | SetupError) and not store_failed(error):
                    raise
                log.error("%s; texts are stored until it is there", getattr(error, "safe_text", error))
                await _pause(stop, wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
            else:
                self._db = db
                self._drain.notify()
                return

    def _require_store(self) -> None:
        """Raise EnvironmentFailure or SetupError unless the store is that of this instance and release.

        It is checked here too, because the role may have started without it.
        """
        require_current(self._config.database_url)
        require_same_secret(self._config.database_url, self._secret)

    async def _read_known(self, stop: asyncio.Event) -> None:
        """Keep the known numbers in memory and in the spool as they are in the store."""
        changes = PhoneChanges()
        wait_s = 0.02  # at first: messages of members come before those of strangers
        while not await _pause(stop, wait_s):
            if self._db is None:
                continue
            try:
                while changed := await changes.next(self._db):
                    known = [as_known(phone) for phone in changed]
                    self._known.put(known)
                    await self._spool.call(state.put_known, known)
                    await self._drop_stopped(changed)
                    changes.taken(changed)
                wait_s = STATE_EVERY_S / 2
                await self._stop_opted_out()
            except (Busy, NotStored):
                continue

    async def _drop_stopped(self, changed: list[Phone]) -> None:
        """Drop the texts that wait for phones that were stopped elsewhere: on the web, or by the carrier."""
        numbers = []
        for phone in changed:
            if phone.stopped:
                # A number that was sealed with another secret cannot be texted anyway.
                with suppress(ValueError):
                    numbers.append(self._keys.open(phone.sealed_number))
        if numbers:
            await self._spool.call(_drop_all, numbers, now_ms())

    async def _stop_opted_out(self) -> None:
        """Count numbers as stopped that the carrier has named as opted out."""
        assert self._db is not None
        while self._opted_out:
            number = self._opted_out[0]
            await self._db.write_as(2, 10.0, _opt_out, number, self._keys, now_ms())
            await self._spool.call(outbox.stop, number=number, now_ms=now_ms())
            self._opted_out.pop(0)

    async def _write_state(self, stop: asyncio.Event) -> None:
        """Store the state of routes each second, and read what commands have changed."""
        while not await _pause(stop, STATE_EVERY_S / 4):
            states = [(name, provider.state.value) for name, provider in self._providers.items()]
            try:
                self._figures = await self._spool.call(_figures_of, states, self._figures, now_ms())
                given_up = await self._spool.call(self._parts.expire, now_ms())
            except NotStored:
                continue
            if given_up or self._figures.waiting_in:
                self._drain.notify()

    async def _tidy(self, stop: asyncio.Event) -> None:
        while not await _pause(stop, TIDY_EVERY_S):
            try:
                await self._spool.call(state.tidy, now_ms=now_ms())
                if self._db is not None:
                    await self._db.write_as(
                        3, 10.0, phone_queue.forget_done, before_ms=now_ms() - OUTCOMES_MS
                    )
            except (Busy, NotStored):
                continue

    def _texts(self) -> TextCounts:
        inbounds = self._inbounds.values()
        return TextCounts(
            strangers=sum(one.strangers for one in inbounds),
            received=sum(one.stored for one in inbounds),
            sent=sum(one.accepted for one in self._senders),
            networks=self._networks.networks,
        )

    def _metrics(self) -> dict[str, float]:
        inbounds, senders = self._inbounds.values(), self._senders
        return {
            "stormpetrel_sms_stored_total": sum(one.stored for one in inbounds),
            "stormpetrel_sms_repeated_total": sum(one.repeated for one in inbounds),
            "stormpetrel_sms_ignored_total": sum(one.ignored for one in inbounds),
            "stormpetrel_sms_done_total": self._drain.done,
            "stormpetrel_sms_inbox_waiting": self._figures.waiting_in,
            "stormpetrel_sms_outbox_waiting": self._figures.waiting_out,
            "stormpetrel_sms_accepted_total": sum(one.accepted for one in senders),
            "stormpetrel_sms_throttled_total": sum(one.throttled for one in senders),
            "stormpetrel_sms_failed_total": sum(one.failed for one in senders),
            "stormpetrel_sms_over_budget_total": sum(one.refused_by_caps for one in senders),
            "stormpetrel_sms_shed_total": sum(one.shed for one in senders),
            "stormpetrel_sms_store_down": float(self._db is None or self._drain.is_degraded),
        }


def _a_day(name: str, count: int) -> Quota:
    return Quota(name, max(1, count), DAY_S / max(1, count))


def _caps(config: Config) -> Caps:
    sms = config.sms
    return Caps(
        day=micros(sms.cap_day),
        month=micros(sms.cap_month),
        user_day=micros(sms.cap_user_day),
        reserve=sms.lane1_reserve,
        strangers=sms.stranger_share,
        prefix=sms.prefix_share,
    )


def _figures_of(db: SpoolDb, states: list[tuple[str, str]], last: SpoolFigures, at_ms: int) -> SpoolFigures:
    """Return the figures; those that read every waiting text are as of the last second."""
    waiting_out = last.waiting_out
    # A clock that was set back must not stop this.
    if not 0 <= at_ms - state.fact(db, "states_ms") < STATE_EVERY_S * 1000:
        state.set_route_states(db, states=states, now_ms=at_ms)
        state.set_fact(db, "states_ms", at_ms)
        waiting_out = sum(count for count, _ in outbox.lanes(db).values())
    return SpoolFigures(inbox.waiting_count(db), waiting_out, state.paused(db))


def _drop_all(db: SpoolDb, numbers: list[str], at_ms: int) -> None:
    for number in numbers:
        outbox.stop(db, number=number, now_ms=at_ms)


def _opt_out(connection: Connection, number: str, keys: PhoneKeys, at_ms: int) -> None:
    phone = phones.phone_with(connection, number=number, keys=keys)
    if phone is None:
        phone = phones.new_phone(
            connection, number=number, route="", keys=keys, zone=zone_of(number), language="en", now_ms=at_ms
        )
    phones.stop(connection, phone=phone, now_ms=at_ms)


async def _pause(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; return True as soon as `stop` is set."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
