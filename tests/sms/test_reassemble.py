"""Long messages from their parts: out of order, doubled, missing, contradictory, and within a bound."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.sms.reassemble import MESSAGE_OCTETS, MOST_PER_SENDER, PART_OCTETS, Reassembler
from stormpetrel.sms.split import split
from stormpetrel.sms.udh import Concatenation, ReferenceKind
from stormpetrel.sms.user_data import Coding, UserData, text_of

UDH_8 = ReferenceKind.UDH_8
ANN, US = "+15551234567", "40404"


def data(text):
    return UserData(Coding.GSM7, text.encode())


def reassembler(capacity_octets=1_000_000, timeout_s=600.0):
    return Reassembler(capacity_octets=capacity_octets, timeout_s=timeout_s)


def add(table, text, number, *, total=2, reference=7, sender=ANN, kind=UDH_8, at_s=0.0):
    part = Concatenation(kind, reference, total, number)
    return table.add(data(text), part, sender=sender, receiver=US, at_s=at_s)


def text_from(arrival):
    return arrival.message and text_of(arrival.message)


@given(st.text(alphabet="aბ€😀", min_size=161, max_size=900), st.randoms(use_true_random=False))
def test_parts_in_any_order_and_doubled_make_the_text_once(text, rng: random.Random):
    segments = split(text)
    parts = [
        (UserData(segments.coding, octets), Concatenation(UDH_8, 3, len(segments), number))
        for number, octets in enumerate(segments.octets, start=1)
    ] * 2
    rng.shuffle(parts)
    table = reassembler()
    arrivals = [table.add(*part, sender=ANN, receiver=US, at_s=0.0) for part in parts]
    assert [text_of(one.message) for one in arrivals if one.message is not None] == [text]
    assert sum(one.is_duplicate for one in arrivals) == len(segments)
    assert not any(one.dropped for one in arrivals)
    assert table.expire(600.0) == ()
    assert len(table) == 0


def test_a_missing_part_is_named_when_the_time_is_over():
    table = reassembler()
    add(table, "a", 1, total=3, at_s=5.0)
    add(table, "c", 3, total=3, at_s=100.0)
    assert table.expire(604.9) == ()
    (incomplete,) = table.expire(605.0)
    assert incomplete.missing == (2,)
    assert incomplete.parts == {1: data("a"), 3: data("c")}
    assert (incomplete.key.sender, incomplete.key.total) == (ANN, 3)
    assert table.expire(10_000.0) == ()


def test_a_part_after_the_time_begins_a_new_message():
    table = reassembler()
    add(table, "old ", 1)
    late = add(table, "late", 2, at_s=600.0)
    assert late.message is None
    assert [one.missing for one in late.dropped] == [(2,)]
    assert text_from(add(table, "new ", 1, at_s=601.0)) == "new late"


def test_other_senders_references_kinds_and_totals_are_other_messages():
    table = reassembler()
    add(table, "a", 1)
    assert add(table, "b", 2, sender="+15550000000").message is None
    assert add(table, "b", 2, reference=8).message is None
    assert add(table, "b", 2, kind=ReferenceKind.SAR).message is None
    assert add(table, "b", 2, total=3).message is None  # a contradictory total
    assert text_from(add(table, "b", 2)) == "ab"
    assert len(table.expire(600.0)) == 4


def test_a_reference_used_again_never_joins_two_messages():
    table = reassembler()
    add(table, "first ", 1)
    again = add(table, "second ", 1)
    assert not again.is_duplicate
    assert [one.parts for one in again.dropped] == [{1: data("first ")}]
    assert text_from(add(table, "end", 2)) == "second end"
    third = add(table, "third ", 1)  # after a complete message of the same reference
    assert (third.message, third.dropped) == (None, ())
    assert text_from(add(table, "end", 2)) == "third end"


def test_a_part_delivered_again_after_the_message_was_complete_is_a_duplicate():
    table = reassembler()
    add(table, "a", 1)
    add(table, "b", 2)
    for text, number in (("a", 1), ("b", 2)):
        again = add(table, text, number, at_s=599.0)
        assert again.is_duplicate
        assert again.message is None


def test_a_message_of_one_part_is_complete_at_once():
    assert text_from(add(reassembler(), "a", 1, total=1)) == "a"


def test_the_table_stays_within_its_bound_and_reports_the_messages_it_drops():
    capacity = 20 * (MESSAGE_OCTETS + PART_OCTETS + 140)
    table = reassembler(capacity_octets=capacity)
    dropped = 0
    for number in range(1_000):
        dropped += len(add(table, "x" * 140, 1, sender=f"+1555{number:07}").dropped)
        assert len(table) <= 20
    assert dropped == 980
    assert len(table._by_sender) == len(table)


def test_a_sender_drives_out_only_its_own_messages():
    table = reassembler()
    add(table, "bob's", 1, sender="+15550000000")
    for reference in range(MOST_PER_SENDER + 5):
        dropped = add(table, "a", 1, reference=reference).dropped
        assert [one.key.sender for one in dropped] == [ANN] * (reference >= MOST_PER_SENDER)
    assert text_from(add(table, " text", 2, sender="+15550000000")) == "bob's text"


def test_a_message_larger_than_the_table_is_dropped_and_reported():
    table = reassembler(capacity_octets=MESSAGE_OCTETS + 2 * PART_OCTETS + 500)
    add(table, "a", 1, total=3)
    assert [one.missing for one in add(table, "x" * 1_000, 2, total=3).dropped] == [(3,)]
    assert len(table) == 0
    assert len(table._by_sender) == 0


@pytest.mark.parametrize(("number", "total"), [(0, 2), (3, 2), (1, 0), (1, 256)])
def test_a_part_with_a_number_out_of_range_is_an_error(number, total):
    with pytest.raises(ValueError, match="no part"):
        add(reassembler(), "a", number, total=total)
