"""A connection to a carrier: moves octets between a socket and a Session, and waits for answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

from stormpetrel.sms.smpp.pdu import DataMessage, Pdu, ShortMessage, Tlvs
from stormpetrel.sms.smpp.protocol import CommandStatus
from stormpetrel.sms.smpp.session import Answered, Bound, Ended, Received, Session, SessionState, Unanswered

TICK_S = 0.1
MOST_UNSENT_OCTETS = 4 * 1024 * 1024
"""A carrier that sends and never reads is cut off when so much waits for it."""


class NotBound(Exception):
    """Nothing was submitted: the link is not bound, or no longer."""


class SubmissionUnanswered(Exception):
    """A submission has no answer: none came in time, or the link ended before."""


class SmppLink(asyncio.Protocol):
    """One connection. `bound` becomes True, or False if the link ends before; `ended` follows in any case.

    `on_message` gets each deliver_sm and data_sm. At most `window` submissions are unanswered at once; others wait.
    """

    def __init__(self, session: Session, *, window: int, on_message: Callable[[SmppLink, Pdu], None]) -> None:
        loop = asyncio.get_running_loop()
        self.session = session
        self.bound: asyncio.Future[bool] = loop.create_future()
        self.ended: asyncio.Future[Ended] = loop.create_future()
        self._loop = loop
        self._window = asyncio.Semaphore(window)
        self._on_message = on_message
        self._transport: asyncio.Transport | None = None
        self._answers: dict[int, asyncio.Future[Pdu]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_flush_due = False

    @property
    def is_bound(self) -> bool:
        """Return True while messages can be submitted."""
        return self.session.state is SessionState.BOUND and not self.ended.done()

    # What the provider calls

    async def submit(self, body: ShortMessage | DataMessage, tlvs: Tlvs = ()) -> Pdu:
        """Submit a message and return the answer.

        Raise NotBound, SubmissionUnanswered, or PduError for a value that does not fit into its field.
        """
        async with self._window:
            if not self.is_bound:
                raise NotBound
            sequence = self.session.submit(body, tlvs, at_s=time.monotonic())
            answer = self._loop.create_future()
            self._answers[sequence] = answer
            self._flush_soon()
            try:
                return cast(Pdu, await answer)
            finally:
                self._answers.pop(sequence, None)

    def answer(self, message: Pdu, status: CommandStatus = CommandStatus.OK) -> None:
        """Answer a message that came on this link; do nothing if the link has ended."""
        if not self.ended.done():
            self.session.answer(message, status)
            self._flush_soon()

    def unbind(self) -> None:
        """Ask the carrier to end the link; `ended` follows."""
        if not self.ended.done():
            self.session.unbind(time.monotonic())
            self._flush_soon()

    def close(self, reason: str) -> None:
        """End the link at once."""
        self._end(Ended(reason))

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._flush()
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def data_received(self, data: bytes) -> None:
        for event in self.session.receive(data, at_s=time.monotonic()):
            self._handle(event)
        self._flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(Ended(f"the connection was lost: {exc}" if exc else "the carrier closed the connection"))

    def _tick(self) -> None:
        for event in self.session.tick(time.monotonic()):
            self._handle(event)
        self._flush()
        if not self.ended.done():
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def _handle(self, event: Bound | Answered | Unanswered | Received | Ended) -> None:
        if isinstance(event, Received):
            self._on_message(self, event.message)
        elif isinstance(event, Answered):
            answer = self._answers.get(event.sequence)
            if answer is not None and not answer.done():
                answer.set_result(event.response)
        elif isinstance(event, Unanswered):
            answer = self._answers.get(event.sequence)
            if answer is not None and not answer.done():
                answer.set_exception(SubmissionUnanswered("no answer in time"))
        elif isinstance(event, Bound):
            self.bound.set_result(True)
        else:
            self._flush()
            self._end(event)

    def _flush_soon(self) -> None:
        # Many answers become ready in one turn of the loop, when a commit ends: write them at once.
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        octets = self.session.take_output()
        if not octets or self._transport is None or self._transport.is_closing():
            return
        self._transport.write(octets)
        if self._transport.get_write_buffer_size() > MOST_UNSENT_OCTETS:
            self._end(Ended("the carrier does not read", is_dead=True))

    def _end(self, ended: Ended) -> None:
        if self.ended.done():
            return
        self.ended.set_result(ended)
        if not self.bound.done():
            self.bound.set_result(False)
        if self._timer is not None:
            self._timer.cancel()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(SubmissionUnanswered(ended.reason))
        if self._transport is None:
            return
        if ended.is_dead:
            # A silent carrier would never take the rest of the buffer.
            self._transport.abort()
        else:
            self._transport.close()
