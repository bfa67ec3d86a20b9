"""Channels, incidents and a view of the status page, of which tests change the fields that matter to them."""

from __future__ import annotations

from itertools import count

from stormpetrel.control.messages import CanaryState
from stormpetrel.model.channel import CHANNEL_NAMES, ChannelState
from stormpetrel.model.incident import MAINTENANCE, Incident, IncidentUpdate
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.status.channels import ChannelStatus
from stormpetrel.watch.status.view import ChannelPast, StatusView

NOW_S = 1_800_000_000.0
NOW_MS = 1_800_000_000_000
NO_PAST = ChannelPast((None,) * 90, None, ())


def ids():
    """Return a source of ids: 000000000001, …"""
    numbers = count(1)
    return lambda: f"{next(numbers):012x}"


def a_result(
    channel="apps", outcome="ok", *, person="member", ago_s=1.0, ms=12.0, in_row=5, is_first=False, changes=0
):
    """Return what a canary found."""
    at_s, detail = NOW_S - ago_s, "as the log has it"
    return CanaryState(
        channel, person, outcome, at_s, ms, detail, in_row=in_row, is_first=is_first, changes=changes
    )


def a_status(channel="apps", state=ChannelState.OPERATIONAL, **changed):
    """Return a channel that was measured a second ago."""
    return ChannelStatus(
        channel, state, **({"since_epoch_s": NOW_S - 300, "measured_epoch_s": NOW_S - 1} | changed)
    )


def an_incident(*bodies, id="0000000000aa", name="Apps fail", status="investigating", **changed):
    """Return an incident with an update for each body, a minute apart, of which the last is a minute old."""
    texts = bodies or ("Apps get errors.",)
    updates = tuple(
        IncidentUpdate(
            f"{number:012x}", status, body, NOW_MS - 60_000 * (len(texts) - number), is_automatic=False
        )
        for number, body in enumerate(texts)
    )
    fields = {"impact": "major", "channels": ("apps",), "started_ms": updates[0].at_ms} | changed
    return Incident(id, name, updates=updates, **fields)


def a_maintenance(*bodies, begins_in_ms=3_600_000, lasts_ms=3_600_000, status="scheduled", **changed):
    """Return maintenance of the media."""
    begins_ms = NOW_MS + begins_in_ms
    fields = {"id": "0000000000bb", "name": "New disks", "channels": ("media",)} | changed
    return an_incident(
        *(bodies or ("We replace two disks.",)),
        status=status,
        impact=MAINTENANCE,
        scheduled_for_ms=begins_ms,
        scheduled_until_ms=begins_ms + lasts_ms,
        **fields,
    )


def a_view(*channels, incidents=(), title="Stormpetrel", attack=None, past=None, subscribe_url=""):
    """Return a view; without channels it has all of them, operational."""
    shown = channels or tuple(a_status(channel) for channel in CHANNEL_NAMES)
    return StatusView(
        title=title,
        domain="petrel.example",
        web_url="https://petrel.example",
        page_url="https://status.petrel.example",
        now_epoch_s=NOW_S,
        channels=shown,
        past=dict.fromkeys((one.channel for one in shown), NO_PAST) | (past or {}),
        incidents=incidents,
        attack=attack or Attack(),
        subscribe_url=subscribe_url,
    )
