"""The badges: well-formed SVG with the state as text, for every state and any title."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from stormpetrel.model.channel import ChannelState
from stormpetrel.watch.status.badge import COLOURS, channel_badge, overall_badge
from tests.watch.status.viewing import a_status, a_view

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("state", list(ChannelState))
def test_a_channels_badge_says_its_state(state):
    badge = ET.fromstring(channel_badge(a_view(a_status("apps", state)), "apps"))
    assert badge.findtext(f"{SVG}title") == f"Apps: {state.words.lower()}"
    assert COLOURS[state] in ET.tostring(badge, encoding="unicode")


def test_a_channel_that_is_not_there_has_no_badge():
    assert channel_badge(a_view(a_status("apps")), "sms_in") is None


@pytest.mark.parametrize("title", ["Stormpetrel", "<script>&\"'", "x" * 500])
def test_the_instances_badge_is_well_formed_under_any_title(title):
    badge = ET.fromstring(overall_badge(a_view(title=title)))
    assert badge.get("aria-label").endswith(": all systems operational")
    assert int(badge.get("width")) < 600
