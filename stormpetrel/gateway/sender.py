"""Sends the texts of one route, by lane and age, within its window, its rate and the limits of money."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stormpetrel.clock import now_ms
from stormpetrel.config_sms import RouteConfig, longest_prefix
from stormpetrel.gateway.deliver import digest_expired
from stormpetrel.gateway.provider import (
    Accepted,
    LinkState,
    NotStored,
    Provider,
    Rejected,
    SendResult,
    SubmitFailed,
    Throttled,
    Unit,
)
from stormpetrel.gateway.spool_thread import SpoolThread
from stormpetrel.sms.numbers import prefix_of
from stormpetrel.sms.split import Segments, split
from stormpetrel.storage.sms_spool import outbox
from stormpetrel.storage.sms_spool.file import SpoolDb
from stormpetrel.storage.sms_spool.money import Caps, micros
from stormpetrel.storage.sms_spool.outbox import OutboxMessage, OutboxUnit

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
"""A text that a command has queued is found after this time."""
MOST_QUEUED = 100_000
"""Texts that may wait on a route, about those of six hours at five a second; more are shed, digests first."""
EXPIRE_EVERY_MS = 1000
"""The whole queue is looked through for texts that are too old."""
NO_MONEY_RETRY_MS = 60_000
THROTTLE_MAX_S = 60.0
BACK_OFF_MAX_S = 300.0


@dataclass(slots=True)
class RouteSender:
    """Sends texts of one route until it is stopped. `on_opt_out(number)`: the carrier says that it has opted out."""

    route: RouteConfig
    provider: Provider
    spool: SpoolThread
    caps: Caps
    paused: Callable[[], set[str]]
    on_opt_out: Callable[[str], None]
    is_stranger: Callable[[str], bool] = lambda number: False
    accepted: int = 0
    throttled: int = 0
    failed: int = 0
    refused_by_caps: int = 0
    shed: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _tokens: float = 0.0
    _filled_at: float = 0.0
    _not_before: float = 0.0
    _expire_ms: int = 0
    _at_work: set[asyncio.Task[None]] = field(default_factory=set)

    def notify(self) -> None:
        """Look for texts now."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then wait for units in progress."""
        while not stop.is_set():
            self._wake.clear()
            begun = 0
            if self._may_send():
                try:
                    begun = await self._begin()
                except NotStored:
                    await asyncio.sleep(LOOK_EVERY_S)
            if not begun:
                await self._pause(stop)
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=5.0)

    def _may_send(self) -> bool:
        return (
            self.route.name not in self.paused()
            and self.provider.state is LinkState.UP
            and len(self._at_work) < self.provider.capabilities.window
            and time.monotonic() >= self._not_before
        )

    async def _pause(self, stop: asyncio.Event) -> None:
        waits = {asyncio.create_task(self._wake.wait()), asyncio.create_task(stop.wait())}
        # A free place in the window is waited for too.
        await asyncio.wait(waits | self._at_work, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()

    async def _begin(self) -> int:
        """Begin to send as many units as there is room for; return how many."""
        room = self.provider.capabilities.window - len(self._at_work)
        if self.route.rate:
            room = min(room, self._room_by_rate())
        if room <= 0:
            return 0
        units = await self.spool.call(self._take, room, now_ms())
        for stored, unit in units:
            self._tokens -= unit.segments
            task = asyncio.create_task(self._send(stored, unit))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)
        return len(units)

    def _room_by_rate(self) -> int:
        at = time.monotonic()
        most = max(1.0, self.route.rate)
        self._tokens = min(most, self._tokens + (at - self._filled_at) * self.route.rate)
        self._filled_at = at
        return int(self._tokens)

    def _take(self, db: SpoolDb, room: int, at_ms: int) -> list[tuple[OutboxUnit, Unit]]:
        # A clock that was set back must not stop this.
        if not self._expire_ms - EXPIRE_EVERY_MS <= at_ms < self._expire_ms:
            self._expire_ms = at_ms + EXPIRE_EVERY_MS
            digest_expired(db, outbox.expire(db, route=self.route.name, now_ms=at_ms), self.route.name, at_ms)
            self.shed += outbox.shed(db, route=self.route.name, most=MOST_QUEUED, now_ms=at_ms)
        taken: list[tuple[OutboxUnit, Unit]] = []
        for message in outbox.queued(db, route=self.route.name, now_ms=at_ms, count=room):
            if len(taken) >= room:
                break
            segments = split(message.text, kind=self.provider.capabilities.reference_kind)
            price = micros(self.route.price_of(message.number) * len(segments))
            if not outbox.reserve(
                db,
                message=message,
                price=price,
                prefix=self._prefix_of(message.number) if price else "",
                caps=self.caps,
                now_ms=at_ms,
                is_stranger=self.is_stranger(message.number),
            ):
                self.refused_by_caps += 1
                outbox.delay(db, message_id=message.id, due_ms=at_ms + NO_MONEY_RETRY_MS)
                continue
            by_part = self.provider.capabilities.by_part
            count = len(segments) if by_part else 1
            wants = [self._wants_receipt(number, count) for number in range(1, count + 1)]
            reference = outbox.reference(db, message=message) if len(segments) > 1 else 0
            for stored in outbox.begin(db, message=message, wants=wants, now_ms=at_ms):
                taken.append((stored, self._unit(message, stored, segments, reference)))
        return taken

    def _prefix_of(self, number: str) -> str:
        return longest_prefix(number, self.route.prefix_prices) or prefix_of(number)

    def _wants_receipt(self, number: int, total: int) -> bool:
        capabilities = self.provider.capabilities
        wanted = {"all": True, "first": number == 1, "last": number == total}
        return capabilities.has_receipts and wanted[capabilities.receipts]

    def _unit(self, message: OutboxMessage, stored: OutboxUnit, segments: Segments, reference: int) -> Unit:
        by_part = self.provider.capabilities.by_part
        place = stored.number - 1
        return Unit(
            id=f"o{message.id}" if stored.total == 1 else f"o{message.id}-{stored.number}",
            receiver=message.number,
            sender=self.route.sender,
            text=segments.texts[place] if by_part else message.text,
            coding=segments.coding,
            octets=segments.octets[place] if by_part else b"".join(segments.octets),
            segments=1 if by_part else len(segments),
            number=stored.number,
            total=stored.total,
            reference=reference,
            wants_receipt=stored.wants_receipt,
        )

    async def _send(self, stored: OutboxUnit, unit: Unit) -> None:
        try:
            result = await self.provider.send(unit)
        except Exception as error:  # a provider's mistake must not lose the text
            log.exception("route %s could not send unit %s", self.route.name, unit.id)
            result = SubmitFailed(type(error).__name__)
        self._note(result, unit)
        while True:
            try:
                await self.spool.call(_store_result, stored, result, now_ms())
                return
            except NotStored:
                await asyncio.sleep(1.0)

    def _note(self, result: SendResult, unit: Unit) -> None:
        match result:
            case Accepted():
                self.accepted += 1
            case Throttled(after_s=after_s):
                self.throttled += 1
                self._not_before = time.monotonic() + min(after_s, THROTTLE_MAX_S)
            case SubmitFailed():
                self.failed += 1
            case Rejected(has_opted_out=has_opted_out):
                self.failed += 1
                if has_opted_out:
                    self.on_opt_out(unit.receiver)


def _store_result(db: SpoolDb, unit: OutboxUnit, result: SendResult, at_ms: int) -> None:
    match result:
        case Accepted(carrier_id=carrier_id, price=price):
            cost = None if price is None else micros(price)
            outbox.accepted(db, unit=unit, carrier_id=carrier_id, price=cost, now_ms=at_ms)
        case Throttled(after_s=after_s):
            due_ms = at_ms + int(min(after_s, THROTTLE_MAX_S) * 1000)
            outbox.put_back(db, unit=unit, due_ms=due_ms, counts=False, error="", now_ms=at_ms)
        case SubmitFailed(reason=reason, after_s=after_s):
            due_ms = at_ms + int(min(after_s, BACK_OFF_MAX_S) * 1000)
            outbox.put_back(db, unit=unit, due_ms=due_ms, counts=True, error=reason[:200], now_ms=at_ms)
        case Rejected(reason=reason):
            outbox.failed(db, unit=unit, error=reason[:200], now_ms=at_ms)
