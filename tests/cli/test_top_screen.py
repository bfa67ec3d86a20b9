"""The screen of `top`: its order, its charts, and that it fits into every terminal."""

from __future__ import annotations

import time
import unicodedata

import pytest

from stormpetrel.cli.output import width
from stormpetrel.cli.top_screen import screen, sparkline
from stormpetrel.control.messages import (
    CanaryState,
    GuardState,
    LoadPoint,
    OffenderState,
    PhaseState,
    StatusMessage,
    WorkerState,
)
from stormpetrel.shield.reports import OperatorEntry

NOW_S = 1_900_000_600.0


def a_status(**changed):
    """Return the status of a busy instance, with the given changes."""
    facts = {
        "mode": "full",
        "onset_epoch_s": NOW_S - 600,
        "overload_since_epoch_s": NOW_S - 300,
        "paused_until_epoch_s": 0.0,
        "version": 1,
        "workers": (WorkerState("web-0", 10, 0.5, 3, 9, 0.12, 0.004, 1),),
        "canaries": (
            CanaryState("apps", "visitor", "failed", NOW_S - 3, 12.4, "503"),
            CanaryState("apps", "member", "ok", NOW_S - 2, 9.0, ""),
            CanaryState("media", "member", "", 0.0, 0.0, ""),
        ),
        "classes": {"K1": {"served": 40.0, "refused": 2.5}, "K3": {"cached": 700.0}},
        "channels": {"apps": {"served": 40.0, "refused": 2.5}},
        "applications": {"Tusky": {"served": 30.0, "refused": 2.5}},
        "because": {"queue/full": 2.5},
        "pages": {"/@activist": 690.0, "/about": 10.0},
        "offenders": (OffenderState("address:192.0.2.9", 0.4, 300, 250, 9),),
        "allowed": (),
        "denied": (OperatorEntry("address", "192.0.2.0/24", NOW_S + 240, "scans"),),
        "load": (LoadPoint(10, 0, 0.0), LoadPoint(742, 3, 120.0)),
        "journal_problem": "",
    }
    return StatusMessage(**(facts | changed))


def test_the_present_phase_is_the_second_line():
    phase = PhaseState(NOW_S - 60, "attack", 0.9, ("expensive_reads",), "attack: expensive reads (80 %)")
    since = time.strftime("%H:%M:%S UTC", time.gmtime(NOW_S - 60))
    assert shown(a_status(phase=phase))[1] == f"since {since}: attack: expensive reads (80 %)"
    assert shown(a_status())[1] == ""


def test_a_guard_that_runs_has_a_line_above_the_charts():
    guard = GuardState(is_running=True, listed=12, packets_per_s=340.0)
    line = "the guard blocks 12 sources in the kernel (340 packets dropped a second)"
    assert shown(a_status(guard=guard))[1] == line
    assert "guard" not in "\n".join(shown(a_status(guard=GuardState())))


def shown(status, *, columns=100, lines=60):
    return screen(status, columns=columns, lines=lines, now_s=NOW_S)


def test_it_shows_load_channels_rules_and_who_uses_most():
    text = "\n".join(shown(a_status()))
    assert text.startswith("overloaded for 5 min; mode full, 1 worker")
    assert "requests/s        742.0" in text
    assert "refused/s           3.0" in text
    assert "longest wait      120.0" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["apps", "40.0", "0.0", "2.5", "0.0", "failed", "12", "3", "s"] in rows
    assert ["media", "0.0", "0.0", "0.0", "0.0", "not", "yet"] in rows
    assert ["deny", "address", "192.0.2.0/24", "4", "min", "scans"] in rows
    assert ["address:192.0.2.9", "0.40", "300", "250"] in rows
    assert ["/@activist", "690.0"] in rows
    assert ["queue/full", "2.5"] in rows
    assert ["Tusky", "32.5", "2.5"] in rows
    assert text.index("CHANNEL") < text.index("RULE") < text.index("CLASS") < text.index("HOTTEST")


def test_what_is_wrong_with_the_defence_itself_stands_first():
    lines = shown(a_status(paused_until_epoch_s=NOW_S + 90, journal_problem="no space left"))
    assert lines[1].startswith("PAUSED: denies and demotions are off for 90 s")
    assert lines[2] == "the journal cannot be written: no space left"


def test_a_wide_terminal_has_lists_side_by_side():
    wide = shown(a_status(), columns=160)
    assert any(line.startswith("RULE") and "CLASS" in line for line in wide)
    assert len(wide) < len(shown(a_status(), columns=100))


def test_a_low_terminal_has_shorter_lists_rather_than_fewer():
    many = tuple(OffenderState(f"account:{number}", 0.1, 1, 0, 0) for number in range(8))
    text = "\n".join(shown(a_status(offenders=many), columns=120, lines=30))
    assert "HOTTEST PAGES" in text
    assert "account:1 " in text
    assert "account:7 " not in text


@pytest.mark.parametrize("columns", [1, 20, 80, 119, 120, 400])
@pytest.mark.parametrize("lines", [0, 1, 5, 24, 100])
def test_it_fits_into_every_terminal(columns, lines):
    found = shown(a_status(pages={"/" + "x" * 500: 1.0}), columns=columns, lines=lines)
    assert len(found) <= lines
    assert all(len(line) <= columns for line in found)


@pytest.mark.parametrize("columns", [80, 120, 200])
@pytest.mark.parametrize(
    "name",
    ["x" * 3000, "漢" * 60, "e\u0301" * 3000, "\x1b[2J\x9b31m\u202e\ud800\r\n" * 50],
    ids=["long", "wide", "combining", "controls"],
)
def test_names_that_strangers_choose_push_no_figure_away_and_control_no_terminal(columns, name):
    status = a_status(pages={"/" + name: 690.0, "/a": 10.0}, applications={name: {"served": 30.0}, "b": {}})
    found = shown(status, columns=columns)
    assert all(width(line) <= columns for line in found)
    text = "\n".join(found)
    assert "690.0" in text
    assert "30.0" in text
    assert not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs") for line in found for sign in line)


def test_an_instance_at_rest_has_no_empty_lists():
    idle = a_status(
        overload_since_epoch_s=0.0, onset_epoch_s=0.0, workers=(), canaries=(), classes={}, channels={},
        applications={}, because={}, pages={}, offenders=(), denied=(), load=(),
    )  # fmt: skip
    text = "\n".join(shown(idle))
    assert text.startswith("calm; mode full, 0 workers")
    assert not any(head in text for head in ("RULE", "TOP CPU", "HOTTEST", "BECAUSE", "APPLICATION"))


def test_an_attack_that_the_shield_absorbs_is_not_called_calm():
    phase = PhaseState(NOW_S - 60, "attack", 0.9, ("search",), "attack: search")
    lines = shown(a_status(overload_since_epoch_s=0.0, onset_epoch_s=0.0, phase=phase))
    assert lines[0].startswith("not overloaded; mode full")
    assert lines[1].endswith("attack: search")


def test_a_chart_has_the_latest_values_with_the_largest_at_full_height():
    assert sparkline([0, 1, 2, 4, 8], width=4) == "▁▂▄█"
    assert sparkline([0, 0], width=9) == "▁▁"
    assert sparkline([], width=9) == ""
