"""Carries out the messages of the inbox, in order, as soon as the store can be written.

Messages of one number wait for each other, those of different numbers share commits. Members come before strangers.
A message is marked as done after the commit of its effect; if the process is killed in between, it is carried out
again and finds its outcome in the store (gateway/effects.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stormpetrel.audience.counter import VisitorCounter
from stormpetrel.audience.visitor import see_text
from stormpetrel.clock import now_ms
from stormpetrel.errors import Busy, Refusal
from stormpetrel.gateway.answers import answer
from stormpetrel.gateway.command_words import Verb
from stormpetrel.gateway.commands import parse
from stormpetrel.gateway.effects import carry_out, refused
from stormpetrel.gateway.outcome import AnswerText, MessageOutcome, PhoneContext
from stormpetrel.gateway.provider import NotStored
from stormpetrel.gateway.spool_thread import SpoolThread
from stormpetrel.sms.keywords import recognise
from stormpetrel.sms.split import split
from stormpetrel.storage import phones
from stormpetrel.storage.engine.database import Database
from stormpetrel.storage.sms_spool import canary, inbox, outbox, state
from stormpetrel.storage.sms_spool.file import SpoolDb
from stormpetrel.storage.sms_spool.inbox import MEMBERS, STRANGERS, InboxMessage
from stormpetrel.storage.sms_spool.outbox import PERSONAL

log = logging.getLogger(__name__)

AT_ONCE = 64
"""Messages in progress: half of a group commit of the store."""
STRANGERS_AT_ONCE = 16
LOOK_EVERY_S = 0.25
URGENCY = 1
TIMEOUT_S = 10.0
RETRY_MIN_S, RETRY_MAX_S = 0.1, 2.0
MOST_TOLD = 1000
SAVED_AFTER_S = 2.0
"""How long the store is away before members are told that their messages are saved: it is also away for a moment
when the role starts, and a text costs money."""
PART_MISSING_MS = 60_000
"""A number gets one notice in this time that a part is missing: parts can be forged in any number."""
ANSWER_EXPIRES_MS = 6 * 3_600_000


@dataclass(frozen=True, slots=True)
class NoticeTimes:
    """How often a number gets the answer to strangers, and the notice that its message is saved, in ms."""

    stranger_ms: int
    saved_ms: int


@dataclass(slots=True)
class InboxDrain:
    """Carries out messages until it is stopped. `notify` wakes it. `visitors`: counts the senders; None: nothing."""

    spool: SpoolThread
    context: PhoneContext
    times: NoticeTimes
    database: Callable[[], Database | None]
    on_answers: Callable[[], None]
    visitors: VisitorCounter | None = None
    is_degraded: bool = False
    done: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _failing_since_s: float = 0.0

    def notify(self) -> None:
        """Look for messages now."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        wait_s = RETRY_MIN_S
        while not stop.is_set():
            self._wake.clear()
            try:
                moved = await self._round()
            except (Busy, NotStored):
                self.is_degraded = True
                self._failing_since_s = self._failing_since_s or time.monotonic()
                await self._answer_without_store()
                await self._pause(stop, wait_s)
                wait_s = min(wait_s * 2, RETRY_MAX_S)
                continue
            self.is_degraded = False
            self._failing_since_s = 0.0
            wait_s = RETRY_MIN_S
            if not moved:
                await self._pause(stop, LOOK_EVERY_S)

    async def _pause(self, stop: asyncio.Event, seconds: float) -> None:
        waits = [asyncio.create_task(self._wake.wait()), asyncio.create_task(stop.wait())]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()

    async def _round(self) -> int:
        """Carry out some waiting messages; return how many. Raise Busy when the store fails."""
        db = self.database()
        messages = await self.spool.call(_next_messages)
        if not messages:
            return 0
        if db is None:
            raise Busy
        by_number: dict[str, list[InboxMessage]] = {}
        for message in messages:
            by_number.setdefault(message.number, []).append(message)
        results = await asyncio.gather(
            *(self._in_order(db, group) for group in by_number.values()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(messages)

    async def _in_order(self, db: Database, messages: list[InboxMessage]) -> None:
        for message in messages:
            outcome = await self._outcome(db, message)
            await self.spool.call(_finish, message, outcome, self.times, now_ms())
            if message.route != canary.ROUTE:
                self.done += 1
                await self._see(db, message.number)
            if outcome.replies:
                self.on_answers()

    async def _see(self, db: Database, number: str) -> None:
        """Count the sender: by account, if the phone is linked to one."""
        visitors = self.visitors
        if visitors is None or visitors.has_seen(hash(number)):
            return
        visitors.remember(hash(number))
        number_hash = self.context.keys.number_hash(number)
        phone = None
        with contextlib.suppress(Busy):
            phone = await db.read(phones.by_hash, number_hash=number_hash)
        account_id = None if phone is None else phone.account_id
        see_text(visitors, account_id=account_id, number_hash=number_hash)

    async def _outcome(self, db: Database, message: InboxMessage) -> MessageOutcome:
        at_ms = now_ms()
        try:
            try:
                return await db.write_as(URGENCY, TIMEOUT_S, carry_out, message, self.context, at_ms)
            except Busy:
                raise
            except Refusal as refusal:
                return await db.write_as(URGENCY, TIMEOUT_S, refused, message, self.context, refusal, at_ms)
        except Busy:
            raise
        except Exception:  # one message must not stop those after it; `sms replay` carries it out again
            log.exception("message %d could not be carried out", message.id)
            return MessageOutcome("none", "not-understood")

    async def _answer_without_store(self) -> None:
        """Answer what needs no store, and tell the other numbers that their messages are saved."""
        tells = time.monotonic() - self._failing_since_s >= SAVED_AFTER_S
        with contextlib.suppress(NotStored):
            if await self.spool.call(
                _answer_without_store, self.context, self.times, now_ms(), tells_saved=tells
            ):
                self.on_answers()


def _next_messages(db: SpoolDb) -> list[InboxMessage]:
    members = inbox.waiting(db, klass=MEMBERS, after_id=0, count=AT_ONCE)
    strangers = inbox.waiting(db, klass=STRANGERS, after_id=0, count=STRANGERS_AT_ONCE)
    return members + strangers


def _finish(
    db: SpoolDb, message: InboxMessage, outcome: MessageOutcome, times: NoticeTimes, at_ms: int
) -> None:
    inbox.done(
        db, message_id=message.id, effect=outcome.effect, error=outcome.error, status_id=outcome.status_id,
        now_ms=at_ms,
    )  # fmt: skip
    if outcome.effect == "stop":
        outbox.stop(db, number=message.number, now_ms=at_ms)
    elif outcome.effect == "start" or any(reply.kind == "linked" for reply in outcome.replies):
        outbox.start(db, number=message.number)
    for place, reply in enumerate(outcome.replies):
        every_ms = PART_MISSING_MS if reply.once == "part-missing" else times.stranger_ms
        if reply.once and not state.may_notice(
            db, number=message.number, kind=reply.once, every_ms=every_ms, now_ms=at_ms
        ):
            continue
        _put_answer(db, message, reply, f"{message.key}#{place}", at_ms)


def _put_answer(db: SpoolDb, message: InboxMessage, reply: AnswerText, key: str, at_ms: int) -> None:
    outbox.put(
        db, key=key, route=message.route, number=message.number, text=reply.text, kind=reply.kind,
        lane=reply.lane, segments=len(split(reply.text)), now_ms=at_ms, expires_ms=at_ms + ANSWER_EXPIRES_MS,
    )  # fmt: skip


def _answer_without_store(
    db: SpoolDb, context: PhoneContext, times: NoticeTimes, at_ms: int, *, tells_saved: bool
) -> int:
    """Answer STATUS, and queue the notice for members whose message waits; return how many texts were queued."""
    told = 0
    for message in inbox.waiting(db, klass=MEMBERS, after_id=0, count=MOST_TOLD):
        if message.error or recognise(message.text) or outbox.has_stopped_since(db, number=message.number):
            # Neither the message that stops texts nor one after it is answered.
            continue
        if parse(message.text).verb is Verb.STATUS:
            reply = AnswerText("status", context.status(context.language), PERSONAL)
            _finish(db, message, MessageOutcome("status", None, None, [reply]), times, at_ms)
            told += 1
        elif tells_saved and state.may_notice(
            db, number=message.number, kind="saved", every_ms=times.saved_ms, now_ms=at_ms
        ):
            text = answer("saved", context.language, site=context.title)
            _put_answer(db, message, AnswerText("saved", text, PERSONAL), f"saved:{message.key}", at_ms)
            told += 1
    return told
