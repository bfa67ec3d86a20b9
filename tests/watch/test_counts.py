"""Combining reports: sums, bounds, the last ten seconds, and counters that never fall."""

from __future__ import annotations

import dataclasses

from stormpetrel.shield.reports import MAX_OFFENDERS, IdentityRefusal, Offender
from stormpetrel.watch import counts
from stormpetrel.watch.counts import OTHER, SHOWN_APPLICATIONS, Totals, Window, merged_offenders
from tests.watch.reporting import a_report


def test_an_offender_is_the_sum_of_what_all_workers_saw_of_it():
    one = a_report(
        offenders=(Offender("account:1", 0.2, 10, 1, 0), Offender("address:192.0.2.1", 0.3, 5, 5, 2))
    )
    other = a_report(offenders=(Offender("account:1", 0.4, 20, 0, 3),))
    assert merged_offenders([one, other]) == (
        Offender("account:1", 0.2 + 0.4, 30, 1, 3),
        Offender("address:192.0.2.1", 0.3, 5, 5, 2),
    )


def test_only_the_heaviest_offenders_are_kept():
    reports = [
        a_report(
            offenders=tuple(Offender(f"account:{w}{n:03}", n / 1000, 1, 0, 0) for n in range(MAX_OFFENDERS))
        )
        for w in (1, 2)
    ]
    merged = merged_offenders(reports)
    assert len(merged) == MAX_OFFENDERS
    assert merged[0].cpu_s == (MAX_OFFENDERS - 1) / 1000
    assert merged[-1].cpu_s == MAX_OFFENDERS / 2 / 1000


def test_rates_are_of_the_workers_together_and_of_the_last_ten_seconds():
    window = Window()
    window.add("web-0", a_report(classes={"K1": {"served": 999}}), at_s=0.5)
    for second in range(10):
        for name in ("web-0", "web-1"):
            report = a_report(
                classes={"K1": {"served": 30, "refused": 5}, "K9": {"served": 1}},
                channels={"apps": {"served": 30}},
                because={"queue/full": 5},
                applications={f"app {number}": {"served": 1, "refused": number} for number in range(40)},
                pages={"/@activist": 100, "/about": 1},
            )
            window.add(name, report, at_s=1.0 + second)
    rates = window.rates(at_s=10.9)
    assert rates.classes["K1"] == {"served": 60.0, "refused": 10.0}
    assert rates.classes[OTHER] == {"served": 2.0}
    assert rates.channels == {"apps": {"served": 60.0}}
    assert rates.because == {"queue/full": 10.0}
    assert list(rates.applications) == [f"app {number}" for number in range(39, 39 - SHOWN_APPLICATIONS, -1)]
    assert rates.applications["app 39"] == {"served": 2.0, "refused": 78.0}
    assert rates.pages == {"/@activist": 200.0, "/about": 2.0}
    assert window.rates(at_s=100.0).classes == {}


def test_totals_only_rise_also_when_a_worker_starts_anew():
    totals = Totals()
    first = a_report(sequence=900, classes={"K1": {"served": 7}}, because={"queue/full": 2})
    totals.add(first)
    totals.add(dataclasses.replace(first, sequence=1))
    assert totals.classes == {"K1": {"served": 14}}
    assert totals.because == {"queue/full": 4}


def test_an_application_is_counted_by_name_once_it_asks_much_and_keeps_its_name():
    totals = Totals()
    for _ in range(3):
        totals.add(a_report(applications={"Tusky": {"served": 40}, "Quiet": {"served": 1}}))
    # The app is listed by name from the report that reaches 100. Earlier counts stay where they are.
    assert totals.applications == {"Tusky": {"served": 40}, OTHER: {"served": 40 + 40 + 3}}
    totals.add(a_report(applications={"Tusky": {"refused": 1}}))
    assert totals.applications["Tusky"] == {"served": 40, "refused": 1}


def test_no_flood_of_names_makes_a_flood_of_labels():
    totals = Totals()
    for number in range(5_000):
        totals.add(
            a_report(
                applications={f"app {number}": {"served": 500}},
                because={f"made/up-{number}": 1},
                channels={f"channel {number}": {"served": 1}},
                refusals=(
                    IdentityRefusal(1.0, "account:1", f"app {number}", f"channel {number}", "queue/full"),
                ),
            )
        )
    assert len(totals.applications) <= counts.MAX_NAMED_APPLICATIONS + 1
    assert len(totals.because) <= counts.MAX_REASONS + 1
    assert set(totals.channels) == {OTHER}
    assert set(totals.collateral_by_channel) == {OTHER}
    assert len(totals.collateral_by_application) <= counts.MAX_NAMED_APPLICATIONS + 1
    assert sum(totals.collateral_by_application.values()) == 5_000
    assert sum(row["served"] for row in totals.applications.values()) == 5_000 * 500


def test_quiet_applications_are_not_remembered_without_end():
    totals = Totals()
    for number in range(counts.MAX_CANDIDATES + 500):
        totals.add(a_report(applications={f"app {number}": {"served": 1}}))
    assert len(totals._candidates) == counts.MAX_CANDIDATES
