"""The provider `smpp`: SMPP 3.4 to a carrier, over one link or a pair, always connected again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import ssl
import time
from collections.abc import Coroutine
from typing import Any

from stormpetrel.config_sms import RouteConfig, SmppKeys
from stormpetrel.gateway.provider import (
    Accepted,
    Capabilities,
    Inbound,
    Incoming,
    LinkState,
    NotStored,
    ProviderKind,
    Rejected,
    SendResult,
    SubmitFailed,
    Throttled,
    Unit,
    UnitReceipt,
    UnitState,
)
from stormpetrel.gateway.providers.smpp_link import NotBound, SmppLink, SubmissionUnanswered
from stormpetrel.gateway.providers.smpp_submission import (
    PERMANENT,
    THROTTLES,
    default_coding,
    status_name,
    submission,
)
from stormpetrel.gateway.route_checks import check_present, key_error
from stormpetrel.sms.smpp.message import message_octets, user_data_of
from stormpetrel.sms.smpp.pdu import Bind, DataMessage, MessageResponse, Pdu, PduError, ShortMessage, encode
from stormpetrel.sms.smpp.protocol import (
    ESM_INTERMEDIATE,
    ESM_TYPE_MASK,
    Command,
    CommandStatus,
    MessageState,
)
from stormpetrel.sms.smpp.receipt import FINAL, Receipt, canonical_id, receipt_of
from stormpetrel.sms.smpp.redelivery import MOST_DELIVERIES, CarrierDelivery, Deliveries, fingerprint_of
from stormpetrel.sms.smpp.session import Ended, Session, SessionLimits
from stormpetrel.sms.udh import ReferenceKind

logger = logging.getLogger(__name__)

DEAD_S = 10.0
CONNECT_S = 5.0
"""A silent carrier that takes connections is bound again within 45 s: the default `enquire_link_s` of 30 s, DEAD_S,
FIRST_PAUSE_S, and the connection."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
REFUSED_PAUSE_S = 30.0
"""After a wrong password: carriers lock accounts that try often."""
STEADY_S = 5.0
"""A link that was bound so long was a good one: the next pause is the first again."""
FAILURES_UNTIL_DOWN = 3
MOST_UNSTORED, MOST_UNSTORED_OCTETS = 5_000, 16 * 1024 * 1024
"""Incoming messages that wait for their commit. More stay with the carrier."""
SETTLE_EVERY_S = 1.0
STOP_S = 5.0
LOST_PAUSE_S = 1.0
"""Submit again so long after a lost link or a missing answer."""
FIRST_HOLD_S, LONGEST_HOLD_S = 0.1, 2.0
"""After a throttled submission, the next ones are held back; longer if the carrier throttles again."""
_REFUSALS = frozenset({CommandStatus.INVALID_PASSWORD, CommandStatus.INVALID_SYSTEM_ID})
# The radix of ids in responses and in receipts, by `id_radix`.
_RADIX: dict[str, tuple[int | None, int | None]] = {"same": (None, None), "dec": (16, 10), "hex": (10, 16)}
_BINDS = {
    "transceiver": (Command.BIND_TRANSCEIVER,),
    "pair": (Command.BIND_TRANSMITTER, Command.BIND_RECEIVER),
}


class SmppProvider:
    """A route by SMPP. `dead_s`: a link is dead after one enquire_link without an answer for so long."""

    def __init__(self, config: RouteConfig, *, dead_s: float = DEAD_S) -> None:
        keys: SmppKeys = config.keys
        self._name = config.name
        self._keys = keys
        self._limits = SessionLimits(keys.enquire_link_s, dead_s, keys.response_s)
        self._coding = default_coding(keys)
        self._binds = _BINDS[keys.bind]
        self._states = dict.fromkeys(self._binds, LinkState.CONNECTING)
        self._links: dict[Command, SmppLink] = {}
        self._runner: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._storing: dict[CarrierDelivery, asyncio.Task[bool]] = {}
        self._unstored_octets = 0
        self._tasks: set[asyncio.Task[bool]] = set()
        self._deliveries = Deliveries()
        self._settled: list[str] = []
        self._hold_s, self._hold_until_s = FIRST_HOLD_S, 0.0
        self._in_progress = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def capabilities(self) -> Capabilities:
        kind = ReferenceKind.SAR if self._keys.long == "sar" else ReferenceKind.UDH_8
        return Capabilities(
            window=self._keys.window,
            by_part=self._keys.long != "payload",
            reference_kind=kind,
            has_receipts=True,
            receipts=self._keys.receipts,
        )

    @property
    def state(self) -> LinkState:
        states = set(self._states.values())
        for state in (LinkState.DOWN, LinkState.CONNECTING):
            if state in states:
                return state
        return LinkState.UP

    async def start(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self._runner = asyncio.create_task(self._run(), name=f"smpp {self._name}")
        self._runner.add_done_callback(self._on_runner_end)

    async def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._idle.wait()
                bound = [link for link in self._links.values() if link.is_bound]
                for link in bound:
                    link.unbind()
                if bound:
                    # Not awaited directly: the timeout would cancel the futures, which the links still set.
                    await asyncio.wait([link.ended for link in bound])
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        for link in list(self._links.values()):
            link.close("stopped")
        await self._report_settled()

    # Links

    async def _run(self) -> None:
        # Without the keys of the last process, a redelivery would be taken for a second message.
        while True:
            try:
                self._deliveries = Deliveries(await self._inbound.unsettled())
                break
            except NotStored:
                logger.warning("SMS route %s: the store cannot be read", self._name)
                await asyncio.sleep(SETTLE_EVERY_S)
        async with asyncio.TaskGroup() as group:
            for command in self._binds:
                group.create_task(self._stay_bound(command))
            group.create_task(self._settle())

    def _on_runner_end(self, runner: asyncio.Task[None]) -> None:
        if not runner.cancelled() and (error := runner.exception()) is not None:
            self._states = dict.fromkeys(self._binds, LinkState.DOWN)
            logger.error("SMS route %s has failed", self._name, exc_info=error)

    async def _stay_bound(self, command: Command) -> None:
        """Keep one link bound until this is cancelled or the provider stops."""
        failures, last_reason = 0, ""
        while not self._stopping.is_set():
            ended, bound_s = await self._one_link(command)
            if self._stopping.is_set():
                break
            is_refused = ended.bind_status in _REFUSALS
            failures = 1 if bound_s >= STEADY_S else failures + 1
            is_down = is_refused or failures >= FAILURES_UNTIL_DOWN
            self._states[command] = LinkState.DOWN if is_down else LinkState.CONNECTING
            pause_s = REFUSED_PAUSE_S if is_refused else _pause_s(failures)
            reason = ended.reason
            if ended.bind_status is not None:
                reason += f" ({status_name(ended.bind_status)})"
            if reason != last_reason or bound_s:
                logger.warning(
                    "SMS route %s: %s; connecting again, pauses of up to %g s",
                    self._name,
                    reason,
                    REFUSED_PAUSE_S if is_refused else LONGEST_PAUSE_S,
                    extra={"route": self._name, "bind": command.name.lower()},
                )
            last_reason = reason
            await asyncio.sleep(pause_s * (0.5 + random.random() / 2))  # noqa: S311 - no secret

    async def _one_link(self, command: Command) -> tuple[Ended, float]:
        """Connect, bind and wait for the end. Return the end, and for how many seconds the link was bound."""
        bound_at_s = None
        ended = Ended("stopped")
        try:
            link = await self._connect(command)
            if await asyncio.shield(link.bound):
                bound_at_s = time.monotonic()
                self._states[command] = LinkState.UP
                logger.info("SMS route %s: bound", self._name, extra={"route": self._name})
            ended = await asyncio.shield(link.ended)
        except (OSError, TimeoutError, UnicodeError) as error:
            ended = Ended(f"cannot connect: {_reason(error)}")
        finally:
            self._lose(command, ended)
        return ended, time.monotonic() - bound_at_s if bound_at_s is not None else 0.0

    async def _connect(self, command: Command) -> SmppLink:
        keys = self._keys
        credentials = Bind(keys.system_id, keys.password, keys.system_type)
        # create_default_context reads files: not in the loop that serves other routes.
        context = await asyncio.to_thread(ssl.create_default_context) if keys.tls else None
        loop = asyncio.get_running_loop()

        def make() -> SmppLink:
            now_s = time.monotonic()
            session = Session(command, credentials, self._limits, at_s=now_s)
            link = SmppLink(session, window=keys.window, on_message=self._on_message)
            # Before the first octet is read: a carrier sends messages in the same segment as the bind's answer.
            self._links[command] = link
            if command != Command.BIND_TRANSMITTER:
                self._deliveries.begin(secrets.token_hex(6), now_s)
            return link

        async with asyncio.timeout(CONNECT_S):
            _, link = await loop.create_connection(
                make, keys.host, keys.port, ssl=context, server_hostname=keys.host if context else None
            )
        return link

    def _lose(self, command: Command, ended: Ended) -> None:
        """Close the link, if there is one, and note which of its messages may come again."""
        self._states[command] = LinkState.CONNECTING
        link = self._links.pop(command, None)
        if link is None:
            return
        link.close(ended.reason)
        if command != Command.BIND_TRANSMITTER:
            self._deliveries.confirm(link.session.confirmed_s)
            self._deliveries.end(time.monotonic(), is_silent=ended.is_dead)

    def _begin(self) -> None:
        self._in_progress += 1
        self._idle.clear()

    def _finish(self) -> None:
        self._in_progress -= 1
        if not self._in_progress:
            self._idle.set()

    # Outgoing

    async def send(self, unit: Unit) -> SendResult:
        link = self._links.get(self._binds[0])
        if self._stopping.is_set() or link is None or not link.is_bound:
            return Throttled(1.0)
        held_s = self._hold_until_s - time.monotonic()
        if held_s > 0:
            return Throttled(held_s + random.random() * FIRST_HOLD_S)  # noqa: S311 - no secret
        self._begin()
        try:
            response = await link.submit(*submission(unit, self._keys))
        except PduError as error:
            return Rejected(str(error))
        except NotBound:
            return Throttled(1.0)
        except SubmissionUnanswered as error:
            return SubmitFailed(str(error), LOST_PAUSE_S)
        finally:
            self._finish()
        return self._result_of(response)

    def _result_of(self, response: Pdu) -> SendResult:
        status = response.status
        if status in THROTTLES:
            return Throttled(self._hold())
        if status in PERMANENT:
            return Rejected(status_name(status))
        if status != CommandStatus.OK or not isinstance(response.body, MessageResponse):
            return SubmitFailed(status_name(status or CommandStatus.UNKNOWN_ERROR))
        self._hold_s = FIRST_HOLD_S
        base, _ = _RADIX[self._keys.id_radix]
        return Accepted(canonical_id(response.body.message_id, base=base))

    def _hold(self) -> float:
        """Hold submissions back and return for how long. A whole window is refused at once, which counts once."""
        now_s = time.monotonic()
        if now_s >= self._hold_until_s:
            self._hold_until_s = now_s + self._hold_s
            self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S)
        return self._hold_until_s - now_s + random.random() * FIRST_HOLD_S  # noqa: S311 - no secret

    # Incoming

    def _on_message(self, link: SmppLink, message: Pdu) -> None:
        octets = len(message_octets(message))
        is_full = len(self._tasks) >= MOST_UNSTORED or self._unstored_octets + octets > MOST_UNSTORED_OCTETS
        if is_full or self._stopping.is_set():
            link.answer(message, CommandStatus.TEMPORARY_APPLICATION_ERROR)
            return
        self._begin()
        self._unstored_octets += octets
        body = message.body
        assert isinstance(body, ShortMessage | DataMessage)
        kind = body.esm_class & ESM_TYPE_MASK
        receipt = receipt_of(message)
        if kind or receipt is not None:
            task = asyncio.create_task(self._take_report(link, message, receipt, kind))
        else:
            # Here and not in the task: the link may end before it runs.
            delivery, is_repeated = self._deliveries.take(
                fingerprint_of(message, self._keys.password.encode())
            )
            first = self._storing.get(delivery)
            if is_repeated:
                task = asyncio.create_task(self._take_repeated(link, message, delivery, first))
            else:
                task = asyncio.create_task(self._take_text(link, message, body, delivery))
                self._storing[delivery] = task
                task.add_done_callback(lambda _: self._storing.pop(delivery, None))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._on_taken(done, octets))

    def _on_taken(self, task: asyncio.Task[bool], octets: int) -> None:
        self._tasks.discard(task)
        self._finish()
        self._unstored_octets -= octets

    async def _take_text(
        self, link: SmppLink, message: Pdu, body: ShortMessage | DataMessage, delivery: CarrierDelivery
    ) -> bool:
        """Store a message, then answer it. Return whether it is stored."""
        incoming = Incoming(
            key=delivery.key,
            sender=body.source,
            receiver=body.destination,
            part=user_data_of(message, default=self._coding),
            sender_type=body.source_ton,
            is_unsettled=True,
        )
        if not await self._stored(self._inbound.message(incoming)):
            self._deliveries.drop(delivery)
            link.answer(message, CommandStatus.TEMPORARY_APPLICATION_ERROR)
            return False
        self._acknowledge(link, message, delivery)
        return True

    async def _take_repeated(
        self, link: SmppLink, message: Pdu, delivery: CarrierDelivery, first: asyncio.Task[bool] | None
    ) -> bool:
        """Answer a message whose first copy is stored, or is being stored."""
        is_stored = first is None or await asyncio.shield(first)
        if is_stored:
            self._acknowledge(link, message, delivery)
        else:
            link.answer(message, CommandStatus.TEMPORARY_APPLICATION_ERROR)
        return is_stored

    def _acknowledge(self, link: SmppLink, message: Pdu, delivery: CarrierDelivery) -> None:
        if not link.ended.done():
            link.answer(message)
            self._deliveries.acknowledge(delivery, time.monotonic())

    async def _take_report(self, link: SmppLink, message: Pdu, receipt: Receipt | None, kind: int) -> bool:
        """Store a receipt, then answer it. Other reports, of carriers and phones about messages, are no texts."""
        is_stored = True
        if receipt is None:
            logger.info("SMS route %s: a report without an id", self._name, extra={"esm_class": kind})
        else:
            report = self._unit_receipt(receipt, is_final=kind != ESM_INTERMEDIATE)
            is_stored = await self._stored(self._inbound.receipt(report))
        status = CommandStatus.OK if is_stored else CommandStatus.TEMPORARY_APPLICATION_ERROR
        link.answer(message, status)
        return is_stored

    def _unit_receipt(self, receipt: Receipt, *, is_final: bool) -> UnitReceipt:
        _, base = _RADIX[self._keys.id_radix]
        carrier_id = canonical_id(receipt.message_id, base=base)
        if not is_final or receipt.state not in FINAL:
            return UnitReceipt(UnitState.SENT, carrier_id)
        if receipt.state is MessageState.DELIVERED:
            return UnitReceipt(UnitState.DELIVERED, carrier_id)
        error = f"{receipt.state.name.lower()} {receipt.error}".rstrip()
        return UnitReceipt(UnitState.FAILED, carrier_id, error=error)

    async def _stored(self, storing: Coroutine[Any, Any, object]) -> bool:
        """Return True after the commit, and False if there was none: then the carrier keeps the message."""
        try:
            await storing
        except NotStored:
            return False
        except Exception:  # the edge of the provider: a fault must not leave the carrier without an answer
            logger.exception("SMS route %s: cannot store a message", self._name)
            return False
        return True

    # Messages that the carrier may deliver again

    async def _settle(self) -> None:
        while True:
            await asyncio.sleep(SETTLE_EVERY_S)
            link = self._links.get(self._binds[-1])
            if link is not None:
                self._deliveries.confirm(link.session.confirmed_s)
            self._deliveries.tick(time.monotonic())
            await self._report_settled()

    async def _report_settled(self) -> None:
        self._settled += self._deliveries.take_settled()
        if not self._settled:
            return
        keys, self._settled = self._settled, []
        try:
            await self._inbound.settled(keys)
        except NotStored:
            # A full disk: try again with the next ones.
            self._settled = (keys + self._settled)[-MOST_DELIVERIES:]


def _pause_s(failures: int) -> float:
    """Return the longest pause after so many failures in a row, without chance."""
    return min(FIRST_PAUSE_S * float(1 << min(failures - 1, 10)), LONGEST_PAUSE_S)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def make(config: RouteConfig) -> SmppProvider:
    """Return the provider of a route. Raise SetupError for a key that is missing or does not fit into SMPP."""
    check_present(config, "host", "system_id")
    for key in ("system_id", "password", "system_type"):
        try:
            encode(Pdu(Command.BIND_TRANSCEIVER, 1, Bind(**{key: getattr(config.keys, key)})))
        except PduError:
            # The error repeats no value: it may be the password.
            raise key_error(config, key, "has too many characters for SMPP, or one above U+00FF") from None
    return SmppProvider(config)


KIND = ProviderKind(SmppKeys, make)
