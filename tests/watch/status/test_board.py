"""The board: seconds of each state, apps that are hurt, maintenance by its plan, and operators' changes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from stormpetrel.config import Config
from stormpetrel.control.messages import IncidentChange
from stormpetrel.model.channel import CHANNEL_NAMES, ChannelState
from stormpetrel.model.incident_text import body_html
from stormpetrel.model.text import render_note
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.status.board import UNNAMED, StatusBoard
from stormpetrel.watch.status.feed import atom
from stormpetrel.watch.status.history import DAY_S
from stormpetrel.watch.status.page import status_page
from stormpetrel.watch.status.summary import summary
from stormpetrel.watch.status.view import view_of
from tests.atom_rules import ATOM
from tests.watch.reporting import a_report
from tests.watch.status.viewing import NOW_MS, NOW_S, a_maintenance, a_result, an_incident, ids

TODAY = int(NOW_S // DAY_S)


def made(**changed):
    return StatusBoard(("apps", "media"), new_id=ids(), now_epoch_s=NOW_S, **changed)


def pass_a_second(board, second, *reports, outcome="ok", named=()):
    def canaries(channel):
        return [a_result(channel, outcome, ago_s=-second)]

    board.second(canaries, reports, named=named, at_s=100.0 + second, now_epoch_s=NOW_S + second)


def test_channels_are_unknown_until_they_are_measured_and_in_the_order_of_the_page():
    board = StatusBoard(("feeds", "web"), new_id=ids(), now_epoch_s=NOW_S)
    assert list(board.statuses) == ["web", "feeds"]
    assert {one.state for one in board.statuses.values()} == {ChannelState.UNKNOWN}


def test_each_second_is_counted_in_the_state_of_its_channel():
    board = made()
    for second in range(1, 4):
        pass_a_second(board, second)
    for second in range(4, 6):
        pass_a_second(board, second, outcome="failed")
    # The process was stopped for a minute: nothing was measured in it.
    pass_a_second(board, 66)
    (day,) = [one for one in board.history.unsaved()[0] if one.channel == "apps"]
    assert day.day == TODAY
    assert day.seconds == {ChannelState.OPERATIONAL: 2.0, ChannelState.MAJOR: 2.0}


def test_counts_of_known_clients_turn_their_channel_alone():
    board = made()
    failing = a_report(known={"apps": {"served": 100, "failed": 60}, "posting": {"refused": 100}})
    pass_a_second(board, 1, failing)
    assert {name: one.state for name, one in board.statuses.items()} == {
        "apps": ChannelState.MAJOR,
        "media": ChannelState.OPERATIONAL,
    }


@pytest.mark.parametrize("channel", CHANNEL_NAMES)
def test_a_channel_that_fails_alone_is_the_only_one_on_the_page_in_the_json_and_in_the_feed(channel):
    board = StatusBoard(CHANNEL_NAMES, new_id=ids(), now_epoch_s=NOW_S)

    def canaries(name):
        return [a_result(name, "failed" if name == channel else "ok", ago_s=-second)]

    for second in range(1, 70):
        board.second(canaries, (), named=(), at_s=100.0 + second, now_epoch_s=NOW_S + second)
    view = view_of(Config(), board, attack=Attack(), now_epoch_s=NOW_S + 70)
    found = summary(view)
    turned = {one["name"] for one in found["components"] if one["status"] != "operational"}
    assert turned == {CHANNEL_NAMES[channel]}
    (incident,) = found["incidents"]
    assert [one["name"] for one in incident["components"]] == [CHANNEL_NAMES[channel]]
    (entry,) = ET.fromstring(atom(view)).findall(f"{ATOM}entry")
    said = entry.findtext(f"{ATOM}title") + entry.findtext(f"{ATOM}content")
    assert {name for name in CHANNEL_NAMES.values() if name in said} == {CHANNEL_NAMES[channel]}
    rows = re.findall(r'<b class="\w+">([^<]*)</b><h3>([^<]*)</h3>', status_page(view).decode())
    assert {name for state, name in rows if state != "Operational"} == {CHANNEL_NAMES[channel]}


def test_apps_that_are_hurt_are_named_if_they_are_in_use():
    board = made()
    counts = {
        "Tusky": {"served": 2, "failed": 2, "refused": 8},
        "Ivory": {"served": 99},
        "x": {"refused": 50},
    }
    pass_a_second(board, 1, a_report(known_applications=counts), named=("Tusky", "Ivory", "(others)"))
    assert board.statuses["apps"].hurt == ("Tusky",)
    assert board.statuses["apps"].state is ChannelState.PARTIAL
    assert board.statuses["media"].hurt == ()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Tusky", "Tusky"),
        ("Ice Cubes 2.0+", "Ice Cubes 2.0+"),
        ("ქარიშხალი हिन्दी", "ქარიშხალი हिन्दी"),
        ("[Sign in again](https://evil.example/)", "Sign in again https evil.example"),
        ("https://evil.example", "https evil.example"),
        ("<b>*x*</b> `y` @ann #tag", "b x b y ann tag"),
        ("a\x1b[2J\u202eb\nc", "a 2J b c"),
        ("x" * 300, "x" * 40),
        ("][", UNNAMED),
    ],
)
def test_the_name_of_an_app_is_no_markup_anywhere(name, shown):
    board = made()
    bad = a_report(known_applications={name: {"refused": 8}})
    for second in range(70):
        pass_a_second(board, second, bad, named=(name,))
    assert board.statuses["apps"].hurt == (shown,)
    (incident,) = board.incidents.values()
    body = incident.updates[-1].body
    assert body.endswith(f" Some apps get errors. Apps affected: {shown}.")
    assert "<a" not in body_html(body) + render_note(body, base_url="https://petrel.example")


def test_maintenance_begins_by_itself_and_its_channel_is_under_it():
    board = made(incidents=[a_maintenance(begins_in_ms=1500, lasts_ms=2000)])
    states = []
    for second in range(5):
        pass_a_second(board, second)
        states.append(board.statuses["media"].state)
    assert states == [
        ChannelState.OPERATIONAL,
        ChannelState.OPERATIONAL,
        ChannelState.MAINTENANCE,
        ChannelState.MAINTENANCE,
        ChannelState.OPERATIONAL,
    ]
    (done,) = board.unsaved.values()
    assert done.status == "completed"
    assert board.statuses["apps"].state is ChannelState.OPERATIONAL


def test_an_operator_resolves_what_the_watch_opened():
    automatic = an_incident(is_automatic=True)
    board = made(incidents=[automatic])
    resolved = board.changed(IncidentChange("resolve", id=automatic.id), now_ms=NOW_MS)
    assert board.incidents[automatic.id] is automatic
    board.publish(resolved)
    for second in range(120):
        pass_a_second(board, second)
    assert board.open_incidents() == []
    assert board.unsaved == {}


def test_what_was_stored_meanwhile_in_an_older_form_stays_unsaved():
    board = made()
    for second in range(70):
        pass_a_second(board, second, outcome="failed")
    (opened,) = board.unsaved.values()
    board.saved({opened.id: opened})
    assert board.unsaved == {}
    for second in range(70, 200):
        pass_a_second(board, second)
    board.saved({opened.id: opened})
    assert [one.status for one in board.unsaved.values()] == ["resolved"]
