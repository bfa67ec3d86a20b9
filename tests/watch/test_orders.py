"""The operator's orders, and the directions that workers get: snapshots that expire."""

from __future__ import annotations

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.shield.entries import MAX_ENTRIES
from stormpetrel.shield.reports import OperatorEntry
from stormpetrel.watch.orders import EXPIRY_S, OperatorRules


def test_directions_are_a_snapshot_that_runs_out_and_whose_version_rises():
    orders = OperatorRules()
    orders.put("deny", OperatorEntry("address", "192.0.2.0/24", 2_000.0, "scans"))
    orders.put("allow", OperatorEntry("account", "7", 1_001.0, "the mayor"))
    first = orders.directions(now_epoch_s=1_000.0, offenders=(), onset_epoch_s=990.0)
    assert first.expires_epoch_s == 1_000.0 + EXPIRY_S
    assert [entry.value for entry in first.denied] == ["192.0.2.0/24"]
    assert [entry.value for entry in first.allowed] == ["7"]
    second = orders.directions(now_epoch_s=1_000.0, offenders=(), onset_epoch_s=990.0)
    assert second.version > first.version
    third = orders.directions(now_epoch_s=1_001.0, offenders=(), onset_epoch_s=990.0)
    assert third.allowed == ()
    # The version of a watch started later must be higher, or workers would take its directions for older
    # ones.
    assert (
        OperatorRules().directions(now_epoch_s=1_002.0, offenders=(), onset_epoch_s=0.0).version
        > third.version
    )


def test_the_last_word_on_somebody_counts_and_can_be_taken_back():
    orders = OperatorRules()
    orders.put("deny", OperatorEntry("account", "7", 2_000.0, "first"))
    orders.put("allow", OperatorEntry("account", "7", 2_000.0, "a mistake"))
    assert (orders.said("deny"), len(orders.said("allow"))) == ((), 1)
    assert orders.take_back("account", "7")
    assert not orders.take_back("account", "7")


def test_there_is_an_end_to_how_many_entries_there_can_be():
    orders = OperatorRules()
    for number in range(MAX_ENTRIES):
        orders.put("deny", OperatorEntry("account", str(number), 2_000.0, "x"))
    with pytest.raises(SetupError, match="already"):
        orders.put("deny", OperatorEntry("account", "one more", 2_000.0, "x"))
    orders.put("allow", OperatorEntry("account", "5", 2_000.0, "replacing is no more"))


def test_an_earlier_order_of_another_machine_does_not_replace_a_later_one_in_another_spelling():
    orders = OperatorRules()
    orders.put("allow", OperatorEntry("address", "192.0.2.0/24", 2_000.0, "later"), set_at_epoch_s=1_000.0)
    earlier = OperatorEntry("address", "192.0.2.7/24", 2_000.0, "earlier")
    assert not orders.merge("deny", earlier, set_at_epoch_s=999.0)
    assert [entry.reason for entry in orders.said("allow")] == ["later"]
