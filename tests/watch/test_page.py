"""The page on the watch's port: its text about each channel, and that it shows only findings."""

from __future__ import annotations

import re

import pytest

from stormpetrel.control.messages import CanaryState
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.page import NAMES, STALE_S, status_page
from stormpetrel.watch.probes import ERRANDS

NOW_S = 1_800_000_000.0


def said(*channels, attack=None, title="Stormpetrel"):
    """Return the page's rows, (name, state, detail), and its whole text."""
    body = status_page(
        title=title,
        web_url="http://petrel.example",
        channels=channels,
        attack=attack or Attack(),
        now_epoch_s=NOW_S,
    ).decode()
    rows = [
        tuple(re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row))
        for row in re.findall("<tr>(.*?)</tr>", body)
    ]
    return rows, body


def found(channel="apps", outcome="ok", ago_s=2.0, ms=12.4):
    return CanaryState(channel, outcome, NOW_S - ago_s, ms, "as the log has it", 0 if outcome == "ok" else 3)


def test_every_channel_that_has_a_canary_has_a_name():
    assert set(NAMES) == set(ERRANDS)


@pytest.mark.parametrize(
    ("state", "row"),
    [
        (found(), ("Apps", "works", "12 ms, 2 s ago")),
        (found(outcome="refused"), ("Apps", "refuses requests", "checked 2 s ago")),
        (found(outcome="failed"), ("Apps", "failing", "checked 2 s ago")),
        (found(outcome="timeout"), ("Apps", "not responding", "checked 2 s ago")),
        (CanaryState("apps", "", 0.0, 0.0, "", 0), ("Apps", "not checked yet", "")),
        (found(ago_s=STALE_S + 40), ("Apps", "unknown", "last checked 60 s ago")),
    ],
)
def test_a_channel_is_as_its_canary_found_it_a_moment_ago(state, row):
    rows, body = said(state)
    assert rows == [row]
    assert ('class="ill"' in body) == (row[1] != "works")
    # Details of internal failures are for the operator (`shield status`), not for the public.
    assert "as the log has it" not in body


def test_it_says_since_when_there_is_more_to_do_than_can_be_done():
    assert "No overload." in said()[1]
    overloaded = Attack(NOW_S - 300, NOW_S - 90, NOW_S)
    assert "Overloaded for 90 s." in said(attack=overloaded)[1]
    assert "Overloaded for 10 minutes." in said(attack=Attack(NOW_S - 700, NOW_S - 600, NOW_S))[1]
    assert "The overload is over." in said(attack=Attack(NOW_S - 300, 0.0, NOW_S - 20))[1]


def test_the_name_of_the_place_is_text_and_no_markup():
    body = said(title="<b>Storm & calm</b>")[1]
    assert "<b>" not in body
    assert "&lt;b&gt;Storm &amp; calm&lt;/b&gt;" in body
