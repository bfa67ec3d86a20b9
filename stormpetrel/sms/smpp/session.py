"""One link to a carrier, from the bind to its end: octets and times in, events and octets out. It knows no socket.

    session = Session(Command.BIND_TRANSCEIVER, Bind("id", "password"), limits, at_s=now_s)
    write(session.take_output())
    for event in session.receive(octets, at_s=now_s): …    # and of session.tick(now_s), some times a second

BINDING → BOUND → UNBINDING → ENDED; any state may end. Bound and Ended say when. All times are seconds of one
monotonic clock. Memory is bounded: the input by the longest PDU, requests by the caller, who submits only so many.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from stormpetrel.sms.smpp.pdu import (
    MAX_SEQUENCE,
    Bind,
    DataMessage,
    EmptyBody,
    MessageResponse,
    Pdu,
    PduError,
    ShortMessage,
    Tlvs,
    decode,
    encode,
    pdu_length,
)
from stormpetrel.sms.smpp.protocol import RESPONSE, Command, CommandStatus

HEARD_S = 1.0
"""A message that comes so long after an answer of ours was sent after the carrier had the answer. One that comes
sooner may have crossed it."""


class SessionState(enum.Enum):
    BINDING = "binding"
    BOUND = "bound"
    UNBINDING = "unbinding"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Test an idle link after `enquire_link_s`, which is dead without an answer for `dead_s`.

    A bind or a submission without an answer has failed after `response_s`.
    """

    enquire_link_s: float = 30.0
    dead_s: float = 10.0
    response_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Bound:
    """The carrier accepted the bind."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a submission; its status may be an error."""

    sequence: int
    response: Pdu


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A submission had no answer in time; the carrier may have it nevertheless."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Received:
    """A deliver_sm or data_sm. The caller answers it by `Session.answer`."""

    message: Pdu


@dataclass(frozen=True, slots=True)
class Ended:
    """The link is over: close the connection after `take_output`.

    `bind_status`: the carrier refused the bind. `is_dead`: the carrier was silent, so that it may have read nothing
    since it was last heard.
    """

    reason: str
    bind_status: int | None = None
    is_dead: bool = False


SessionEvent: TypeAlias = Bound | Answered | Unanswered | Received | Ended


@dataclass(frozen=True, slots=True)
class _Request:
    command: int
    sequence: int
    sent_at_s: float


class Session:
    """The state of one link. `command` is one of the three binds.

    `confirmed_s`: the carrier has read all that was written before this time.
    """

    __slots__ = (
        "_control",
        "_heard_at_s",
        "_input",
        "_limits",
        "_output",
        "_sequence",
        "_submissions",
        "confirmed_s",
        "state",
    )

    def __init__(self, command: Command, credentials: Bind, limits: SessionLimits, *, at_s: float) -> None:
        self._limits = limits
        self._input = bytearray()
        self._output = bytearray()
        self._sequence = 0
        self._submissions: dict[int, _Request] = {}  # by sequence number, the oldest first
        self._heard_at_s = at_s
        self.confirmed_s = float("-inf")
        self.state = SessionState.BINDING
        # The bind, enquire_link or unbind that waits for its answer: there is one at a time.
        self._control: _Request | None = self._request(command, credentials, (), at_s)

    # Output

    def take_output(self) -> bytes:
        """Return the octets to write, and forget them."""
        octets = bytes(self._output)
        self._output.clear()
        return octets

    def submit(self, body: ShortMessage | DataMessage, tlvs: Tlvs = (), *, at_s: float) -> int:
        """Write a submit_sm or data_sm and return its sequence number. Raise PduError if a value does not fit.

        Answered or Unanswered follows, unless the link ends before.
        """
        command = Command.SUBMIT_SM if isinstance(body, ShortMessage) else Command.DATA_SM
        request = self._request(command, body, tlvs, at_s)
        self._submissions[request.sequence] = request
        return request.sequence

    def answer(self, message: Pdu, status: CommandStatus = CommandStatus.OK) -> None:
        """Write the answer to a received message."""
        self._write(Pdu(message.command | RESPONSE, message.sequence, MessageResponse(), status))

    def unbind(self, at_s: float) -> None:
        """Ask the carrier to end the link; Ended follows. Messages that come meanwhile stay with the carrier."""
        if self.state is SessionState.BOUND:
            self.state = SessionState.UNBINDING
            self._control = self._request(Command.UNBIND, EmptyBody(), (), at_s)

    def _request(
        self, command: Command, body: Bind | EmptyBody | ShortMessage | DataMessage, tlvs: Tlvs, at_s: float
    ) -> _Request:
        sequence = self._sequence % MAX_SEQUENCE + 1
        self._write(Pdu(command, sequence, body, tlvs=tlvs))
        self._sequence = sequence
        return _Request(command, sequence, at_s)

    def _write(self, pdu: Pdu) -> None:
        self._output += encode(pdu)

    # Time

    def tick(self, at_s: float) -> list[SessionEvent]:
        """Return what the time has brought: submissions without an answer, the end of a silent link."""
        if self.state is SessionState.ENDED:
            return []
        events: list[SessionEvent] = []
        is_doubtful = False
        while self._submissions:
            oldest = next(iter(self._submissions.values()))
            if at_s - oldest.sent_at_s < self._limits.response_s:
                break
            del self._submissions[oldest.sequence]
            events.append(Unanswered(oldest.sequence))
            is_doubtful = is_doubtful or self._heard_at_s < oldest.sent_at_s
        if self._control is not None:
            events += self._overdue(self._control, at_s)
        elif is_doubtful or at_s - self._heard_at_s >= self._limits.enquire_link_s:
            self._control = self._request(Command.ENQUIRE_LINK, EmptyBody(), (), at_s)
        return events

    def _overdue(self, control: _Request, at_s: float) -> list[SessionEvent]:
        is_test = control.command == Command.ENQUIRE_LINK
        limit_s = self._limits.dead_s if is_test else self._limits.response_s
        if at_s - control.sent_at_s < limit_s:
            return []
        name = Command(control.command).name.lower()
        return [self._end(f"no answer to {name} for {limit_s:g} s", is_dead=True)]

    def _end(self, reason: str, *, bind_status: int | None = None, is_dead: bool = False) -> Ended:
        self.state = SessionState.ENDED
        self._input.clear()
        return Ended(reason, bind_status, is_dead)

    # Input

    def receive(self, octets: bytes, *, at_s: float) -> list[SessionEvent]:
        """Return what the octets mean, in order. Whatever they are, this raises no error."""
        events: list[SessionEvent] = []
        self._input += octets
        place = 0
        while self.state is not SessionState.ENDED:
            try:
                length = pdu_length(self._input[place : place + 4])
            except PduError as error:
                self._nack(0, error.status)
                return [*events, self._end(f"not SMPP: {error}")]
            if length is None or place + length > len(self._input):
                break
            events += self._take(bytes(self._input[place : place + length]), at_s)
            place += length
        del self._input[:place]
        return events

    def _take(self, octets: bytes, at_s: float) -> list[SessionEvent]:
        self._heard_at_s = at_s
        try:
            pdu = decode(octets)
        except PduError as error:
            command, sequence = int.from_bytes(octets[4:8]), int.from_bytes(octets[12:16])
            if not command & RESPONSE:
                self._refuse(command, sequence, error.status)
                return []
            # An answer that cannot be read: not accepted, as far as we know.
            pdu = Pdu(Command.GENERIC_NACK, sequence, status=CommandStatus.UNKNOWN_ERROR)
        return self._answered(pdu) if pdu.is_response() else self._asked(pdu, at_s)

    def _asked(self, pdu: Pdu, at_s: float) -> list[SessionEvent]:
        if pdu.command == Command.ENQUIRE_LINK:
            self.confirmed_s = at_s
            self._write(Pdu(Command.ENQUIRE_LINK_RESP, pdu.sequence))
        elif pdu.command == Command.UNBIND:
            self.confirmed_s = at_s
            self._write(Pdu(Command.UNBIND_RESP, pdu.sequence))
            return [self._end("the carrier unbound")]
        elif pdu.command in (Command.DELIVER_SM, Command.DATA_SM):
            self.confirmed_s = max(self.confirmed_s, at_s - HEARD_S)
            if self.state is SessionState.BOUND:
                return [Received(pdu)]
            is_early = self.state is SessionState.BINDING
            status = (
                CommandStatus.INVALID_BIND_STATUS if is_early else CommandStatus.TEMPORARY_APPLICATION_ERROR
            )
            self._refuse(pdu.command, pdu.sequence, status)
        else:
            self._nack(pdu.sequence, CommandStatus.INVALID_COMMAND)
        return []

    def _answered(self, pdu: Pdu) -> list[SessionEvent]:
        request = self._submissions.get(pdu.sequence)
        is_control = self._control is not None and self._control.sequence == pdu.sequence
        if is_control:
            request = self._control
        if request is None or pdu.command not in (request.command | RESPONSE, Command.GENERIC_NACK):
            return []
        self.confirmed_s = max(self.confirmed_s, request.sent_at_s)
        if not is_control:
            del self._submissions[pdu.sequence]
            return [Answered(pdu.sequence, pdu)]
        self._control = None
        if request.command == Command.UNBIND:
            return [self._end("unbound")]
        if request.command == Command.ENQUIRE_LINK:
            # A generic_nack is an answer too: a carrier that does not know the command is alive.
            return []
        if pdu.status != CommandStatus.OK or pdu.command == Command.GENERIC_NACK:
            return [self._end("the carrier refused the bind", bind_status=pdu.status)]
        self.state = SessionState.BOUND
        return [Bound()]

    def _refuse(self, command: int, sequence: int, status: CommandStatus) -> None:
        if command in (Command.DELIVER_SM, Command.DATA_SM):
            self._write(Pdu(command | RESPONSE, sequence, MessageResponse(), status))
        else:
            self._nack(sequence, status)

    def _nack(self, sequence: int, status: CommandStatus) -> None:
        self._write(Pdu(Command.GENERIC_NACK, sequence, status=status))
