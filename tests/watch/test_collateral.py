"""Refusals of people: known to `why`, written to the journal within bounds."""

from __future__ import annotations

from stormpetrel.shield.reports import IdentityRefusal, RefusalSum
from stormpetrel.watch.collateral import KEPT_EACH, MAX_IDENTITIES, MAX_NOTES, CollateralLog


def test_the_latest_refusals_of_somebody_are_known_and_the_tables_do_not_grow():
    collateral = CollateralLog()
    for number in range(MAX_IDENTITIES + 10):
        collateral.add([IdentityRefusal(float(number), f"account:{number}", "Tusky", "apps", "queue/full")])
    for number in range(KEPT_EACH + 3):
        at_s = 100_000.0 + number
        collateral.add([IdentityRefusal(at_s, "session:7", "", "web", "queue/deadline")])
    assert len(collateral._latest) == len(collateral._counts) == MAX_IDENTITIES
    latest = collateral.latest(["account:5", "session:7"])
    assert [refusal.at_epoch_s for refusal in latest] == [
        100_007.0,
        100_006.0,
        100_005.0,
        100_004.0,
        100_003.0,
    ]
    assert collateral.count(["session:7"]) == KEPT_EACH + 3
    assert collateral.latest(["account:5"]) == ()
    assert len(collateral.latest_of_application("Tusky")) == KEPT_EACH


def test_refusals_are_written_down_by_person_and_past_a_bound_in_sums():
    collateral = CollateralLog()
    for _ in range(3):
        collateral.add([IdentityRefusal(5.0, "account:1", "Tusky", "apps", "queue/full")])
    for number in range(1_000):
        collateral.add([IdentityRefusal(6.0, f"account:{100 + number}", "Other", "web", "queue/full")])
    notes = collateral.notes()
    assert (notes[0].who, notes[0].count, notes[0].application) == ("account:1", 3, "Tusky")
    assert len(notes) == MAX_NOTES + 1
    assert (notes[-1].who, notes[-1].count) == ("", 1_000 - (MAX_NOTES - 1))
    assert sum(note.count for note in notes) == 1_003
    assert collateral.notes() == []


def test_however_many_applications_are_refused_the_journal_gets_a_bounded_number_of_lines():
    collateral = CollateralLog()
    for number in range(10_000):
        collateral.add(
            [IdentityRefusal(6.0, f"account:{number}", f"app {number}", "apps", f"because/{number}")]
        )
    notes = collateral.notes()
    assert len(notes) <= 3 * MAX_NOTES
    assert sum(note.count for note in notes) == 10_000


def test_refusals_that_a_worker_reports_in_sums_are_written_down_too():
    collateral = CollateralLog()
    for at_s in (5.0, 6.0):
        collateral.add_sums([RefusalSum(at_s, "Tusky", "posting", "queue/full", 40)])
    (note,) = collateral.notes()
    assert (note.who, note.application, note.channel, note.because, note.count) == (
        "",
        "Tusky",
        "posting",
        "queue/full",
        80,
    )
