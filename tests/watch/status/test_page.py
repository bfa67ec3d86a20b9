"""The pages in HTML: their text about each channel and incident, their size, and that text is never markup."""

from __future__ import annotations

import re

import pytest

from stormpetrel.model.channel import CHANNEL_NAMES, ChannelState
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.status.page import UPDATES_SHOWN, history_page, incident_page, status_page
from stormpetrel.watch.status.view import ChannelPast
from tests.watch.status.viewing import NOW_S, a_maintenance, a_status, a_view, an_incident

MAX_PAGE_BYTES = 15_000


def said(*channels, **changed):
    """Return the page, and the text of each channel: (name, state, rest)."""
    body = status_page(a_view(*channels, **changed)).decode()
    rows = [
        (name, state, re.sub("<[^>]*>", " ", rest).strip())
        for state, name, rest in re.findall(r"<b class=\"\w\">(.*?)</b><h3>(.*?)</h3>(.*?)</li>", body)
    ]
    return body, rows


def test_a_channel_shows_its_state_its_reason_and_the_time_of_its_measurement():
    _, rows = said(
        a_status("web", ms=12.4),
        a_status(
            "apps", ChannelState.PARTIAL, reason="Some apps get errors.", hurt=("Tusky", "<b>Ivory</b>")
        ),
        a_status(
            "feeds",
            ChannelState.UNKNOWN,
            measured_epoch_s=0.0,
            reason="There is no measurement of the last 30 s.",
        ),
    )
    assert rows[0] == ("Web pages", "Operational", "12 ms · measured  07:59:59 UTC")
    assert rows[1][:2] == ("Apps", "Partial outage")
    assert "Apps affected: Tusky, &lt;b&gt;Ivory&lt;/b&gt;" in rows[1][2]
    assert rows[2] == ("Feeds", "Unknown", "There is no measurement of the last 30 s.  not measured yet")


@pytest.mark.parametrize(
    ("states", "description"),
    [
        ((), "All systems operational"),
        ((ChannelState.DEGRADED,), "Degraded performance"),
        ((ChannelState.UNKNOWN,), "Some states are unknown"),
        ((ChannelState.MAJOR,), "Partial outage"),
        ((ChannelState.MAJOR,) * 6, "Major outage"),
        ((ChannelState.MAINTENANCE,), "Maintenance in progress"),
    ],
)
def test_the_page_begins_with_the_overall_state(states, description):
    channels = list(CHANNEL_NAMES)
    shown = [a_status(channel, state) for channel, state in zip(channels, states, strict=False)]
    shown += [a_status(channel) for channel in channels[len(states) :]]
    assert f">{description}</p>" in said(*shown)[0]


def test_it_says_since_when_there_is_more_to_do_than_can_be_done():
    assert "No overload." in said()[0]
    assert "Overloaded for 90 s." in said(attack=Attack(NOW_S - 300, NOW_S - 90, NOW_S))[0]
    assert "Overloaded for 10 minutes." in said(attack=Attack(NOW_S - 700, NOW_S - 600, NOW_S))[0]
    assert "The overload is over." in said(attack=Attack(NOW_S - 300, 0.0, NOW_S - 20))[0]


def test_texts_and_names_are_text_and_no_markup():
    evil = "<script>alert(1)</script>\n\nsee https://example.org/?a=1&b=2."
    view = a_view(title="<b>Storm & calm</b>", incidents=[an_incident(evil, name="<i>x</i>")])
    for body in (
        status_page(view),
        incident_page(view, view.incidents[0]),
        history_page(view, 2027, 1, root=""),
    ):
        for tag in (b"<b>Storm", b"<i>", b"<script"):
            assert tag not in body
        assert b"&lt;b&gt;Storm &amp; calm&lt;/b&gt;" in body
        assert b'<a href="https://example.org/?a=1&amp;b=2" rel="nofollow noopener">' in body


@pytest.mark.parametrize(
    ("state", "impact", "description"),
    [
        (ChannelState.OPERATIONAL, "major", "An incident is open"),
        (ChannelState.DEGRADED, "major", "An incident is open"),
        (ChannelState.MAJOR, "minor", "Major outage"),
        (ChannelState.OPERATIONAL, "none", "All systems operational"),
    ],
)
def test_an_incident_of_the_operators_counts_though_all_measurements_are_well(state, impact, description):
    view = a_view(a_status("apps", state), incidents=[an_incident(impact=impact)])
    assert view.indicator[1] == description
    assert description in status_page(view).decode()


def test_resolved_and_automatic_incidents_leave_the_overall_state_to_the_measurements():
    incidents = [an_incident(status="resolved"), an_incident(is_automatic=True, id="0000000000ab")]
    assert a_view(a_status("apps"), incidents=incidents).indicator == ("none", "All systems operational")


def test_bars_are_runs_of_days_and_are_read_out():
    past = ChannelPast(
        (None,) * 80 + (ChannelState.OPERATIONAL,) * 9 + (ChannelState.MAJOR,), 0.98765, (10.0, None, 20.0)
    )
    body, rows = said(a_status("web"), past={"web": past})
    assert "Last 90 days: 9 days operational, 1 day major outage" in body
    assert body.count("<path") == 4
    assert "98.76 % in 10 days" in rows[0][2]
    today = ChannelPast((None,) * 89 + (ChannelState.OPERATIONAL,), 1.0, ())
    _, rows = said(a_status("web"), past={"web": today})
    assert "100 % today" in rows[0][2]
    assert "Response times of 24 hours, at most 20 ms" in body


def test_the_first_page_is_small_also_in_a_bad_month():
    states = [ChannelState.OPERATIONAL, ChannelState.MAJOR] * 45
    past = ChannelPast(states, 0.5, [1234.5] * 48)
    updates = [f"Apps: partial outage since 10:00:{second:02} UTC." for second in range(60)]
    usual = ChannelPast((ChannelState.OPERATIONAL,) * 90, 0.9999, [float(ms) for ms in range(1, 49)])
    view = a_view(
        incidents=[an_incident(*updates), a_maintenance()], past=dict.fromkeys(CHANNEL_NAMES, usual)
    )
    assert len(status_page(view)) <= MAX_PAGE_BYTES
    worst = a_view(incidents=[an_incident(*updates)], past=dict.fromkeys(CHANNEL_NAMES, past))
    assert len(status_page(worst)) <= 5 * MAX_PAGE_BYTES
    assert status_page(view).count(b"Apps: partial outage") == UPDATES_SHOWN
    assert incident_page(view, view.incidents[0]).count(b"Apps: partial outage") == 60


@pytest.mark.parametrize(("more", "words"), [(1, b">1 earlier update<"), (2, b">2 earlier updates<")])
def test_the_updates_that_are_left_out_are_counted(more, words):
    texts = [f"Text {number}." for number in range(UPDATES_SHOWN + more)]
    assert words in status_page(a_view(incidents=[an_incident(*texts)]))


def test_links_are_relative_so_that_the_page_works_below_any_path():
    view = a_view(incidents=[an_incident(), a_maintenance()])
    pages = [
        (status_page(view), ""),
        (incident_page(view, view.incidents[0]), "../"),
        (history_page(view, 2027, 1, root=""), ""),
        (history_page(view, 2027, 1, root="../"), "../"),
    ]
    for body, root in pages:
        links = re.findall(r'href="([^"]*)"', body.decode())
        ours = [link for link in links if not link.startswith("https://")]
        assert not [link for link in ours if link.startswith("/")]
        assert all(link.startswith(root) for link in ours)


def test_it_links_to_the_form_of_subscribers_and_says_when_that_cannot_work():
    url = "https://petrel.example/status/subscribe"
    assert f'<a href="{url}">Subscribe to updates</a>' in status_page(a_view(subscribe_url=url)).decode()
    assert "ubscrib" not in status_page(a_view()).decode()
    for channel in ("web", "posting"):
        page = status_page(a_view(a_status(channel, ChannelState.MAJOR), subscribe_url=url)).decode()
        assert "Subscribing to updates is not possible at the moment." in page
        assert url not in page
