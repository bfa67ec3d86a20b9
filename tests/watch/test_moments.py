"""One moment of the reports of all workers, and sums of moments."""

from __future__ import annotations

import pytest

from stormpetrel.control.messages import TextCounts
from stormpetrel.shield.evidence import PROGRAM, Evidence
from stormpetrel.watch.moments import MAX_NAMES, MAX_PAGES, MAX_ROWS, OTHER, MomentBuilder, summed
from tests.watch.phases.traffic import asked
from tests.watch.reporting import a_report

ROW = asked(0, 3, PROGRAM, address=1)


def evidence(**changed):
    return Evidence(**({"requests": 1_000, "sample": (ROW,) * 100, "cost_ms": {"page": 20.0}} | changed))


def test_counts_of_all_workers_are_added_and_samples_weigh_what_they_stand_for() -> None:
    builder = MomentBuilder()
    builder.add("web-0", a_report(classes={"K3": {"served": 5}}, worst_wait_s=0.2, evidence=evidence()))
    small = evidence(requests=50, sample=(ROW,) * 50, connections={"opened": 7, "slow_head": 2})
    builder.add("web-1", a_report(classes={"K3": {"served": 2, "refused": 1}}, evidence=small))
    moment, samples = builder.close(at_s=10, is_overloaded=True)
    assert (moment.requests, moment.sampled, moment.period_s) == (1_050, 150, 1.0)
    assert moment.classes == {"K3": {"served": 7, "refused": 1}}
    assert moment.kinds == {"cached": 150}
    assert moment.agents == {"program": 150}
    assert moment.cost_ms == {"page": 40.0}
    assert moment.connections == {"opened": 7, "slow_head": 2}
    assert moment.worst_wait_ms == 200.0
    assert [part.weight for part in samples] == [10.0, 1.0]
    empty, samples = builder.close(at_s=11, is_overloaded=False)
    assert (empty.requests, samples) == (0, ())


def test_samples_of_many_workers_are_thinned_out_and_weigh_more() -> None:
    builder = MomentBuilder()
    for number in range(16):
        builder.add(f"web-{number}", a_report(evidence=evidence(sample=(ROW,) * 300)))
    moment, samples = builder.close(at_s=10, is_overloaded=False)
    assert MAX_ROWS / 2 < moment.sampled <= MAX_ROWS
    assert sum(part.weight * len(part.rows) for part in samples) == pytest.approx(16_000)


def test_a_moment_is_complete_when_every_worker_has_reported() -> None:
    builder = MomentBuilder()
    builder.add("web-0", a_report())
    assert builder.has_all(["web-0"])
    assert not builder.has_all(["web-0", "web-1"])


def test_open_connections_are_those_of_the_newest_report_and_flows_are_added() -> None:
    builder = MomentBuilder()
    for count in (5, 3):
        builder.add("web-0", a_report(evidence=evidence(connections={"opened": 10, "unread": count})))
    moment, _ = builder.close(at_s=10, is_overloaded=False)
    assert moment.connections == {"opened": 20, "unread": 3}
    assert moment.period_s == 2.0


def test_tables_are_bounded() -> None:
    builder = MomentBuilder()
    many = {f"app {number}": {"served": 1} for number in range(5_000)}
    paths = {f"/@{number}": 3 for number in range(100)}
    builder.add("web-0", a_report(applications=many, evidence=evidence(paths=paths)))
    moment, _ = builder.close(at_s=10, is_overloaded=False)
    assert len(moment.applications) == MAX_NAMES + 1
    assert moment.applications[OTHER] == {"served": 5_000 - MAX_NAMES}
    assert len(moment.pages) == MAX_PAGES


def test_seconds_add_up_to_one_moment() -> None:
    builder = MomentBuilder()
    moments = []
    for second in range(10):
        failed = evidence(counts={"failed_sign_ins": 3, "ignored": 1, "heeded": 1})
        builder.add("web-0", a_report(because={"edge/malformed": 1}, evidence=failed))
        moments.append(builder.close(at_s=second, is_overloaded=second == 3)[0])
    total = summed(moments)
    assert (total.at_s, total.period_s, total.requests, total.is_overloaded) == (9, 10.0, 10_000, True)
    assert total.because == {"edge/malformed": 10}
    assert total.features == {"failed_sign_ins": 30.0, "ignored_retry": 0.5}
    with pytest.raises(ValueError, match="no moments"):
        summed([])


def test_texts_are_those_reported_since_the_last_moment() -> None:
    builder = MomentBuilder()
    builder.add_texts(TextCounts(1, received=4, sent=3))
    builder.add_texts(TextCounts(0, received=1, sent=0))
    first, _ = builder.close(at_s=1, is_overloaded=False)
    assert (first.texts, first.features["texts_new"]) == ({"in": 5, "out": 3, "new": 1}, 1.0)
    assert builder.close(at_s=2, is_overloaded=False)[0].texts == {}
    assert summed([first, first]).texts == {"in": 10, "out": 6, "new": 2}
