"""The metrics in Prometheus format."""

from __future__ import annotations

import re

from stormpetrel.control.messages import GuardState
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.counts import Totals
from stormpetrel.watch.metrics import CanaryFigures, Figures, exposition
from tests.watch.reporting import a_report

LINE = re.compile(
    r'stormpetrel_[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\.)*"(,[a-z]+="(?:[^"\\\n]|\\.)*")*\})? [0-9.e+-]+\Z'
)


def figures(**changed):
    at_rest = {
        "totals": Totals(),
        "attack": Attack(),
        "workers": 2,
        "newest": (),
        "restarts": 0,
        "canaries": {},
        "journal_lost": 0,
        "is_journal_well": True,
    }
    return exposition(Figures(**(at_rest | changed)))


def read(text):
    """Return the figures by name with labels. Fail on a malformed line."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            assert LINE.match(line), line
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def test_every_line_can_be_read_and_every_figure_says_what_it_is():
    text = figures()
    found = read(text)
    assert found["stormpetrel_workers"] == 2
    for name in found:
        bare = name.partition("{")[0]
        assert f"# HELP {bare} " in text
        assert re.search(rf"^# TYPE {bare} (gauge|counter)$", text, re.MULTILINE)
        assert ("# TYPE " + bare + " counter" in text) == bare.endswith("_total")


def test_what_happened_is_in_the_figures():
    totals = Totals()
    totals.add(
        a_report(
            classes={"K1": {"served": 5, "cached": 4, "refused": 1}},
            channels={"apps": {"served": 5}},
            because={"queue/full": 3},
        )
    )
    newest = (
        a_report(running=3, waiting={"K1": 2}, worst_wait_s=0.25, loop_lag_s=0.125, connections=7),
        a_report(running=1, waiting={"K1": 1, "K3": 4}, worst_wait_s=0.5, connections=1),
    )
    found = read(
        figures(
            totals=totals,
            newest=newest,
            attack=Attack(1_000.5, 1_001.0, 1_002.0),
            canaries={
                "web": CanaryFigures(True, 0.02, {"ok": 3, "timeout": 1}),
                "apps": CanaryFigures(False, 10.0, {"timeout": 1}),
                "feeds": CanaryFigures(None, 0.0, {}),
            },
            journal_lost=2,
            phase="attack",
            vectors=("page_flood",),
            is_journal_well=False,
            guard=GuardState(is_running=True, listed=12, packets=340, off_because="the shield is paused"),
            guard_listed=15,
        )
    )
    assert [
        found[f"stormpetrel_guard{name}"]
        for name in ("", "_sources", "_sources_total", "_packets_total", "_off")
    ] == [1, 12, 15, 340, 1]
    assert found['stormpetrel_requests_total{class="K1",outcome="served"}'] == 5
    assert found['stormpetrel_channel_requests_total{channel="apps",outcome="served"}'] == 5
    assert found['stormpetrel_refusals_total{because="queue/full"}'] == 3
    assert found["stormpetrel_cache_hits_total"] == 4
    assert found["stormpetrel_running"] == 4
    assert found["stormpetrel_connections"] == 8
    assert found['stormpetrel_waiting{class="K1"}'] == 3
    assert found['stormpetrel_waiting{class="K3"}'] == 4
    assert found["stormpetrel_queue_wait_seconds"] == 0.5
    assert found["stormpetrel_loop_lag_seconds"] == 0.125
    assert found["stormpetrel_overload"] == 1
    assert found["stormpetrel_onset_seconds"] == 1_000.5
    assert found['stormpetrel_phase{verdict="attack"}'] == 1
    assert found['stormpetrel_phase{verdict="calm"}'] == 0
    assert found['stormpetrel_phase_means{vector="page_flood"}'] == 1
    assert found['stormpetrel_phase_means{vector="unknown"}'] == 0
    assert found['stormpetrel_canary_ok{channel="web"}'] == 1
    assert found['stormpetrel_canary_ok{channel="apps"}'] == 0
    assert 'stormpetrel_canary_ok{channel="feeds"}' not in found
    assert found['stormpetrel_canaries_total{channel="web",outcome="timeout"}'] == 1
    assert (found["stormpetrel_journal_ok"], found["stormpetrel_journal_lost_total"]) == (0, 2)


def test_what_an_application_calls_itself_cannot_break_a_line():
    totals = Totals()
    name = 'a "quote" \\ and\nmore ' + "x" * 200
    totals.add(a_report(applications={name: {"served": 500}}))
    found = read(figures(totals=totals))
    (label,) = [key for key in found if key.startswith("stormpetrel_application_requests_total")]
    assert len(label) < 160
