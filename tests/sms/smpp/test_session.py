"""One link of SMPP, by octets and times."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.sms.smpp.pdu import (
    MAX_PDU_OCTETS,
    MAX_SEQUENCE,
    Bind,
    BindResponse,
    DataMessage,
    MessageResponse,
    Pdu,
    PduError,
    ShortMessage,
    UnknownBody,
    decode,
    encode,
    pdu_length,
)
from stormpetrel.sms.smpp.protocol import Command, CommandStatus
from stormpetrel.sms.smpp.session import (
    HEARD_S,
    Answered,
    Bound,
    Ended,
    Received,
    Session,
    SessionLimits,
    SessionState,
    Unanswered,
)

LIMITS = SessionLimits(enquire_link_s=30, dead_s=10, response_s=8)
TEXT = ShortMessage("15551234567", "40404", b"hello")


def written(session):
    """Return the PDUs that the session has written since the last call."""
    octets, pdus = session.take_output(), []
    while octets:
        length = pdu_length(octets)
        pdus.append(decode(octets[:length]))
        octets = octets[length:]
    return pdus


def new_session():
    return Session(Command.BIND_TRANSCEIVER, Bind("storm", "secret"), LIMITS, at_s=0.0)


def bound_session():
    session = new_session()
    (bind,) = written(session)
    response = Pdu(Command.BIND_TRANSCEIVER_RESP, bind.sequence, BindResponse("carrier"))
    assert session.receive(encode(response), at_s=0.0) == [Bound()]
    return session


def receive(session, *pdus, at_s=1.0):
    return session.receive(b"".join(encode(pdu) for pdu in pdus), at_s=at_s)


def test_a_session_begins_with_a_bind_and_is_bound_by_the_answer():
    session = new_session()
    (bind,) = written(session)
    assert bind.body == Bind("storm", "secret")
    assert session.state is SessionState.BINDING
    receive(session, Pdu(Command.BIND_TRANSCEIVER_RESP, bind.sequence, BindResponse()))
    assert session.state is SessionState.BOUND


def test_a_refused_bind_ends_the_session_with_the_status():
    session = new_session()
    (bind,) = written(session)
    refusal = Pdu(
        Command.BIND_TRANSCEIVER_RESP, bind.sequence, BindResponse(), CommandStatus.INVALID_PASSWORD
    )
    (ended,) = receive(session, refusal)
    assert isinstance(ended, Ended)
    assert (ended.bind_status, ended.is_dead) == (CommandStatus.INVALID_PASSWORD, False)


def test_a_bind_without_an_answer_ends_the_session():
    session = new_session()
    assert session.tick(7.9) == []
    (ended,) = session.tick(8.0)
    assert ended.reason == "no answer to bind_transceiver for 8 s"


def test_answers_find_their_submissions_in_any_order():
    session = bound_session()
    first, second = session.submit(TEXT, at_s=1.0), session.submit(DataMessage(), at_s=1.0)
    assert [pdu.command for pdu in written(session)] == [Command.SUBMIT_SM, Command.DATA_SM]
    answers = [
        Pdu(Command.DATA_SM_RESP, second, MessageResponse("b")),
        Pdu(Command.SUBMIT_SM_RESP, first, MessageResponse(), CommandStatus.THROTTLED),
        Pdu(Command.SUBMIT_SM_RESP, first, MessageResponse("again")),
        Pdu(Command.SUBMIT_SM_RESP, 999, MessageResponse("of no submission")),
    ]
    assert receive(session, *answers) == [Answered(second, answers[0]), Answered(first, answers[1])]


def test_a_generic_nack_answers_its_submission():
    session = bound_session()
    sequence = session.submit(TEXT, at_s=1.0)
    nack = Pdu(Command.GENERIC_NACK, sequence, status=CommandStatus.INVALID_COMMAND)
    assert receive(session, nack) == [Answered(sequence, nack)]


def test_an_answer_that_cannot_be_read_is_an_error():
    session = bound_session()
    sequence = session.submit(TEXT, at_s=1.0)
    octets = encode(Pdu(Command.SUBMIT_SM_RESP, sequence, MessageResponse("id")))[:-1]
    octets = len(octets).to_bytes(4) + octets[4:]
    (answered,) = session.receive(octets, at_s=1.0)
    assert answered.response.status == CommandStatus.UNKNOWN_ERROR


def test_a_submission_without_an_answer_fails_and_the_link_is_tested_if_it_was_silent():
    session = bound_session()
    sequence = session.submit(TEXT, at_s=1.0)
    written(session)
    assert session.tick(8.9) == []
    assert session.tick(9.0) == [Unanswered(sequence)]
    assert [pdu.command for pdu in written(session)] == [Command.ENQUIRE_LINK]
    # The carrier answers late: nothing comes of it, but the link lives.
    assert receive(session, Pdu(Command.SUBMIT_SM_RESP, sequence, MessageResponse("late")), at_s=9.5) == []


def test_a_submission_that_does_not_fit_is_refused_and_uses_no_sequence_number():
    session = bound_session()
    with pytest.raises(PduError):
        session.submit(ShortMessage("1" * 30, "2"), at_s=1.0)
    assert session.submit(TEXT, at_s=1.0) == 2


def test_sequence_numbers_begin_again_after_the_last_one():
    session = bound_session()
    session._sequence = MAX_SEQUENCE - 1
    assert [session.submit(TEXT, at_s=1.0) for _ in range(2)] == [MAX_SEQUENCE, 1]


def test_an_idle_link_is_tested_and_dead_after_one_test_without_an_answer():
    session = bound_session()
    assert session.tick(29.9) == []
    session.tick(30.0)
    (enquiry,) = written(session)
    assert enquiry.command == Command.ENQUIRE_LINK
    receive(session, Pdu(Command.ENQUIRE_LINK_RESP, enquiry.sequence), at_s=31.0)
    assert session.tick(60.9) == []
    session.tick(61.0)
    # A message is no answer to the test.
    assert len(receive(session, Pdu(Command.DELIVER_SM, 1, TEXT), at_s=70.0)) == 1
    assert session.tick(70.9) == []
    (ended,) = session.tick(71.0)
    assert ended == Ended("no answer to enquire_link for 10 s", is_dead=True)
    assert session.tick(99.0) == []


def test_what_is_heard_puts_the_test_off():
    session = bound_session()
    receive(session, Pdu(Command.ENQUIRE_LINK, 1), at_s=29.0)
    assert [pdu.command for pdu in written(session)] == [Command.ENQUIRE_LINK_RESP]
    session.tick(58.9)
    assert written(session) == []


def test_a_message_is_passed_on_and_answered_by_its_sequence_number():
    session = bound_session()
    messages = [Pdu(Command.DELIVER_SM, 70, TEXT), Pdu(Command.DATA_SM, 71, DataMessage("1", "2"))]
    assert receive(session, *messages) == [Received(message) for message in messages]
    session.answer(messages[1], CommandStatus.TEMPORARY_APPLICATION_ERROR)
    session.answer(messages[0])
    assert [(pdu.command, pdu.sequence, pdu.status) for pdu in written(session)] == [
        (Command.DATA_SM_RESP, 71, 0x64),
        (Command.DELIVER_SM_RESP, 70, 0),
    ]


def test_messages_before_the_bind_and_after_unbind_are_not_taken():
    session = new_session()
    written(session)
    assert receive(session, Pdu(Command.DELIVER_SM, 1, TEXT)) == []
    assert [pdu.status for pdu in written(session)] == [CommandStatus.INVALID_BIND_STATUS]
    session = bound_session()
    session.unbind(1.0)
    (unbind,) = written(session)
    assert receive(session, Pdu(Command.DELIVER_SM, 1, TEXT)) == []
    assert [pdu.status for pdu in written(session)] == [CommandStatus.TEMPORARY_APPLICATION_ERROR]
    assert receive(session, Pdu(Command.UNBIND_RESP, unbind.sequence)) == [Ended("unbound")]


def test_unbind_of_the_carrier_is_answered_and_ends_the_session():
    session = bound_session()
    later = Pdu(Command.DELIVER_SM, 2, TEXT)
    assert receive(session, Pdu(Command.UNBIND, 1), later) == [Ended("the carrier unbound")]
    assert [pdu.command for pdu in written(session)] == [Command.UNBIND_RESP]


@pytest.mark.parametrize(
    "pdu",
    [
        Pdu(0x777, 5, UnknownBody(b"x")),
        Pdu(Command.SUBMIT_SM, 5, TEXT),
        Pdu(Command.BIND_RECEIVER, 5, Bind()),
    ],
)
def test_a_request_that_a_carrier_has_no_business_with_gets_a_generic_nack(pdu):
    session = bound_session()
    assert receive(session, pdu) == []
    assert written(session) == [Pdu(Command.GENERIC_NACK, 5, status=CommandStatus.INVALID_COMMAND)]


def test_a_message_that_cannot_be_read_is_answered_with_the_error():
    session = bound_session()
    octets = encode(Pdu(Command.DELIVER_SM, 5, TEXT))
    octets = octets[:-6] + b"\xff" + octets[-5:]
    assert session.receive(octets, at_s=1.0) == []
    (answer,) = written(session)
    assert (answer.command, answer.sequence, answer.status) == (
        Command.DELIVER_SM_RESP,
        5,
        CommandStatus.INVALID_MESSAGE_LENGTH,
    )


def test_a_length_that_cannot_be_ends_the_session():
    for length in (15, MAX_PDU_OCTETS + 1):
        session = bound_session()
        (ended,) = session.receive(length.to_bytes(4), at_s=1.0)
        assert ended.reason.startswith("not SMPP")
        assert [pdu.command for pdu in written(session)] == [Command.GENERIC_NACK]


def test_a_carrier_has_read_what_was_written_before_its_answer_or_its_question():
    session = bound_session()
    sequence = session.submit(TEXT, at_s=5.0)
    receive(session, Pdu(Command.SUBMIT_SM_RESP, sequence, MessageResponse("a")), at_s=7.0)
    assert session.confirmed_s == 5.0
    receive(session, Pdu(Command.DELIVER_SM, 1, TEXT), at_s=7.0)
    assert session.confirmed_s == 7.0 - HEARD_S
    receive(session, Pdu(Command.ENQUIRE_LINK, 2), at_s=7.5)
    assert session.confirmed_s == 7.5
    receive(session, Pdu(Command.DELIVER_SM, 3, TEXT), at_s=7.6)
    assert session.confirmed_s == 7.5


@given(st.lists(st.integers(0, 200), max_size=30))
def test_octets_mean_the_same_however_they_are_cut(lengths):
    pdus = [Pdu(Command.DELIVER_SM, n + 1, ShortMessage(octets=b"x" * n)) for n in range(0, 200, 20)]
    octets = b"".join(map(encode, pdus))
    session, events = bound_session(), []
    for length in [*lengths, len(octets)]:
        events += session.receive(octets[:length], at_s=1.0)
        octets = octets[length:]
    assert events == [Received(pdu) for pdu in pdus]


def _swallow(octets):
    session = bound_session()
    for event in session.receive(octets, at_s=1.0):
        if isinstance(event, Received):
            session.answer(event.message)
    session.tick(2.0)
    written(session)
    assert len(session._input) < MAX_PDU_OCTETS


_REQUESTS = (
    Pdu(Command.DELIVER_SM, 1, TEXT, tlvs=((0x1E, b"id\0"), (0x427, b"\2"))),
    Pdu(Command.SUBMIT_SM_RESP, 2, MessageResponse("id")),
    Pdu(Command.BIND_TRANSCEIVER_RESP, 1, BindResponse("carrier")),
    Pdu(Command.UNBIND, 3),
)
_SAMPLES = st.sampled_from([encode(pdu) for pdu in _REQUESTS])


@st.composite
def _damaged(draw):
    octets = bytearray(draw(_SAMPLES))
    for place, value in draw(
        st.lists(st.tuples(st.integers(4, len(octets) - 1), st.integers(0, 255)), max_size=4)
    ):
        octets[place] = value
    return bytes(octets)


@given(st.one_of(st.binary(max_size=200), st.lists(_damaged(), max_size=5).map(b"".join)))
def test_octets_of_any_kind_raise_no_error_and_leave_no_more_than_one_pdu(octets):
    _swallow(octets)


@pytest.mark.prove
def test_100000_damaged_pdus_raise_no_error_and_leave_no_more_than_one_pdu():
    dice = random.Random(7)
    samples = [
        encode(pdu) for pdu in (Pdu(Command.DELIVER_SM, 1, TEXT, tlvs=((0x424, b"x" * 300),)), *_REQUESTS)
    ]
    session = bound_session()
    for count in range(100_000):
        octets = bytearray(dice.choice(samples))
        for _ in range(dice.randrange(1, 5)):
            octets[dice.randrange(4, len(octets))] = dice.randrange(256)
        for event in session.receive(bytes(octets), at_s=float(count)):
            if isinstance(event, Received):
                session.answer(event.message)
        session.tick(float(count))
        session.take_output()
        assert len(session._input) == 0
        if session.state is SessionState.ENDED:
            session = bound_session()
