"""Redeliveries and second messages with the same text."""

from __future__ import annotations

import dataclasses

import pytest

from stormpetrel.sms.smpp.message import sar_tlvs
from stormpetrel.sms.smpp.pdu import EmptyBody, Pdu, ShortMessage
from stormpetrel.sms.smpp.protocol import Command, TlvTag
from stormpetrel.sms.smpp.redelivery import (
    RECENT_S,
    REDELIVERED_WITHIN_S,
    Deliveries,
    fingerprint_of,
)
from stormpetrel.sms.udh import Concatenation, ReferenceKind


def begun(unsettled=()):
    deliveries = Deliveries(unsettled)
    deliveries.begin("link1", 0.0)
    return deliveries


def take(deliveries, fingerprint, at_s=None):
    """Take a message, acknowledge it at `at_s` if that is given, and return its key and whether it is one again."""
    delivery, is_repeated = deliveries.take(fingerprint)
    if at_s is not None:
        deliveries.acknowledge(delivery, at_s)
    return delivery.key, is_repeated


def again(deliveries, at_s, *, is_silent=False):
    """End the link and begin the next."""
    deliveries.end(at_s, is_silent=is_silent)
    deliveries.begin("link2", at_s)


def test_equal_messages_of_one_link_are_two():
    deliveries = begun()
    assert take(deliveries, "ok", 1.0) == ("ok:link1:1", False)
    assert take(deliveries, "ok", 2.0) == ("ok:link1:2", False)


def test_a_message_that_was_never_acknowledged_is_repeated_once_however_late_the_link_ends():
    deliveries = begun()
    take(deliveries, "ok")
    again(deliveries, 1000.0)
    assert take(deliveries, "ok", 1001.0) == ("ok:link1:1", True)
    assert take(deliveries, "ok", 1002.0) == ("ok:link2:1", False)


@pytest.mark.parametrize(
    ("acknowledged_at_s", "ended_at_s", "confirmed_s", "is_silent", "is_repeated"),
    [
        (10.0, 10.0 + RECENT_S - 0.1, None, False, True),
        (10.0, 10.0 + RECENT_S, None, False, False),
        (10.0, 10.1, 10.0, False, True),
        (10.0, 10.1, 10.05, False, False),
        (10.0, 40.0, None, True, True),
        (10.0, 40.0, 11.0, True, False),
    ],
)
def test_an_acknowledged_message_is_repeated_only_if_the_carrier_may_have_missed_it(
    acknowledged_at_s, ended_at_s, confirmed_s, is_silent, is_repeated
):
    deliveries = begun()
    take(deliveries, "ok", acknowledged_at_s)
    if confirmed_s is not None:
        deliveries.confirm(confirmed_s)
    deliveries.tick(ended_at_s - 0.01)
    again(deliveries, ended_at_s, is_silent=is_silent)
    assert take(deliveries, "ok", ended_at_s)[1] is is_repeated


def test_a_repeated_message_whose_acknowledgement_is_missed_too_keeps_its_key():
    deliveries = begun()
    take(deliveries, "ok", 1.0)
    again(deliveries, 1.0)
    assert take(deliveries, "ok", 2.0) == ("ok:link1:1", True)
    again(deliveries, 2.0)
    assert take(deliveries, "ok", 3.0) == ("ok:link1:1", True)
    deliveries.confirm(4.0)
    assert deliveries.take_settled() == ["ok:link1:1"]
    again(deliveries, 4.0)
    assert take(deliveries, "ok")[1] is False


def test_a_message_that_is_not_stored_counts_as_never_received():
    deliveries = begun()
    first, _ = deliveries.take("ok")
    again(deliveries, 1.0)
    deliveries.drop(first)
    assert take(deliveries, "ok") == ("ok:link2:1", False)


def test_the_keys_of_an_earlier_process_are_repeated_and_settled_when_their_time_is_over():
    deliveries = Deliveries(["a:old:1", "a:old:2", "b:old:3"])
    deliveries.tick(10_000.0)
    deliveries.begin("link1", 10_000.0)
    assert take(deliveries, "a") == ("a:old:1", True)
    deliveries.tick(10_000.0 + REDELIVERED_WITHIN_S - 0.1)
    assert deliveries.take_settled() == []
    deliveries.tick(10_000.0 + REDELIVERED_WITHIN_S)
    assert deliveries.take_settled() == ["a:old:2", "b:old:3"]
    assert take(deliveries, "b")[1] is False


def test_each_key_is_settled_once():
    deliveries = begun()
    take(deliveries, "a", 1.0)
    take(deliveries, "b", 1.5)
    take(deliveries, "c")
    deliveries.tick(1.0 + RECENT_S)
    assert deliveries.take_settled() == ["a:link1:1"]
    deliveries.confirm(9.0)
    assert deliveries.take_settled() == ["b:link1:2"]
    assert len(deliveries) == 1


def test_the_table_is_bounded(monkeypatch):
    monkeypatch.setattr("stormpetrel.sms.smpp.redelivery.MOST_DELIVERIES", 3)
    deliveries = begun()
    for number in range(5):
        take(deliveries, str(number), 1.0)
    assert len(deliveries) == 3
    assert deliveries.take_settled() == ["0:link1:1", "1:link1:2"]


def test_a_fingerprint_is_of_source_destination_octets_and_header():
    body = ShortMessage("15551234567", "40404", b"ok", data_coding=8)
    message = Pdu(Command.DELIVER_SM, 1, body)
    same = [
        Pdu(Command.DELIVER_SM, 2, body),
        Pdu(Command.DELIVER_SM, 3, dataclasses.replace(body, priority=1)),
        Pdu(
            Command.DELIVER_SM,
            4,
            dataclasses.replace(body, octets=b""),
            tlvs=((TlvTag.MESSAGE_PAYLOAD, b"ok"),),
        ),
    ]
    others = [
        Pdu(Command.DELIVER_SM, 1, dataclasses.replace(body, **change))
        for change in (
            {"source": "1"},
            {"destination": "1"},
            {"octets": b"ok."},
            {"esm_class": 0x40},
            {"data_coding": 0},
        )
    ]
    others += [
        dataclasses.replace(message, tlvs=sar_tlvs(Concatenation(ReferenceKind.SAR, 1, 2, number)))
        for number in (1, 2)
    ]
    assert {fingerprint_of(other) for other in same} == {fingerprint_of(message)}
    assert len({fingerprint_of(other) for other in [message, *others]}) == 1 + len(others)
    assert len({fingerprint_of(message, secret) for secret in (b"", b"one", b"other")}) == 3
    with pytest.raises(ValueError, match="no message"):
        fingerprint_of(Pdu(Command.UNBIND, 1, EmptyBody()))
