"""The pages of the status page in HTML: the present state, one incident, a month of incidents.

They come from memory, need no script, and hold what was measured or written by operators, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from stormpetrel.model.channel import CHANNEL_NAMES, ChannelState
from stormpetrel.model.incident import Incident, iso, moment
from stormpetrel.model.incident_text import body_html
from stormpetrel.watch.attack import Attack
from stormpetrel.watch.status.channels import ChannelStatus
from stormpetrel.watch.status.view import ChannelPast, StatusView, clock

OPEN_SHOWN = 5
UPDATES_SHOWN = 4
"""How many open incidents the first page shows, and how many updates of each: its size is bounded. The page of an
incident has them all."""
PAST_SHOWN = 5
_BAR_PX, _HEIGHT_PX = 4, 24
_NO_PAST = ChannelPast((), None, ())
_MARKS = {
    ChannelState.OPERATIONAL: "o",
    ChannelState.DEGRADED: "d",
    ChannelState.PARTIAL: "p",
    ChannelState.MAJOR: "m",
    ChannelState.MAINTENANCE: "w",
    ChannelState.UNKNOWN: "u",
}
_INDICATOR_MARKS = {"none": "o", "minor": "d", "major": "p", "critical": "m", "maintenance": "w"}
# Bars of other states are also shorter: colour alone would say nothing to many people (WCAG 1.4.1).
_STYLE = (
    ":root{color-scheme:light dark;--o:#1a7f37;--d:#8a6100;--p:#b54708;--m:#b42318;--w:#0b57a4;--u:#57606a;"
    "--bg:#f6f8fa;--fg:#1d2733;--line:#8896a566}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:5vh auto;padding:0 1rem;color:var(--fg);"
    "background:var(--bg)}a{color:var(--w)}h1{font-size:1.5rem}h2{font-size:1.2rem;margin:2rem 0 .5rem}"
    "h3{font-size:1rem;margin:.75rem 0 0}small,time{color:var(--u)}ul,ol{list-style:none;padding:0}"
    ".all{font-size:1.25rem;font-weight:600;border-left:.4rem solid;padding:.5rem .75rem}"
    ".ch>li{border-top:1px solid var(--line);padding:.6rem 0}.ch b{float:right;margin-left:1rem}"
    ".ch h3,.ch p{margin:0}"
    ".o{color:var(--o)}.d{color:var(--d)}.p{color:var(--p)}.m{color:var(--m)}.w{color:var(--w)}.u{color:var(--u)}"
    "svg{display:block;width:100%;height:24px;margin:.3rem 0}path{stroke:currentColor;fill:none}"
    ".bars path{stroke-width:24;stroke-dasharray:3 1}.bars .d{stroke-width:20}.bars .p{stroke-width:14}"
    ".bars .m{stroke-width:8}.bars .u{stroke-width:3}.time path{stroke-width:1.5;vector-effect:non-scaling-stroke}"
    ".in{border-left:3px solid var(--line);padding-left:.75rem}.in p{margin:.2rem 0}p{overflow-wrap:anywhere}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere}"
    ".in ul,.in li ol{padding-left:1.2rem}.in ul li{list-style:disc}.in li ol li{list-style:decimal}"
    "@media(prefers-color-scheme:dark){:root{--o:#4ac26b;--d:#e3b341;--p:#f0883e;--m:#ff7b72;--w:#79c0ff;"
    "--u:#a9b6c4;--bg:#10161d;--fg:#dbe4ee}}"
)
POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The pages' Content-Security-Policy."""


def status_page(view: StatusView) -> bytes:
    """Return the first page."""
    indicator, description = view.indicator
    parts = [
        _exported(view),
        f'<p class="all {_INDICATOR_MARKS[indicator]}">{description}</p>',
        f"<p>{_load(view.attack, view.now_epoch_s)}</p>",
    ]
    opened = view.open_incidents()
    if opened:
        shown = "".join(_incident(view, one, root="", last=UPDATES_SHOWN) for one in opened[:OPEN_SHOWN])
        parts.append(f"<h2>Open incidents</h2>{shown}")
    planned = view.maintenance()
    if planned:
        shown = "".join(_incident(view, one, root="", last=UPDATES_SHOWN) for one in planned[:OPEN_SHOWN])
        parts.append(f"<h2>Maintenance</h2>{shown}")
    rows = "".join(_channel(one, view.past.get(one.channel, _NO_PAST)) for one in view.channels)
    parts.append(f'<h2>Services</h2><ul class="ch">{rows}</ul>')
    parts.append(f"<h2>Past incidents</h2>{_past(view)}")
    if view.reports:
        listed = "".join(
            f'<li><a href="insight/{one.number}{view.suffix}">{escape(one.summary)}</a></li>'
            for one in view.reports[:PAST_SHOWN]
        )
        parts.append(f"<h2>Reports about attacks</h2><ul>{listed}</ul>")
    parts.append(
        "<p><small>Each service is used every few seconds from this machine, as members and new visitors use it. "
        "Bars: the last 90 days, today at the right, a dot for a day without a measurement; "
        "lines: response times of 24 hours. "
        f'Updated {clock(view.now_epoch_s)} UTC. <a href="">Refresh</a></small></p>'
        f"{_subscribing(view)}"
        f'<p><a href="history{view.suffix}">All incidents</a> · <a href="history.atom">Feed</a> · '
        '<a href="api/v2/summary.json">JSON</a> · <a href="badge.svg">Badge</a></p>'
    )
    return _document(view, "", parts, root="")


def incident_page(view: StatusView, incident: Incident) -> bytes:
    """Return the page of one incident, with all its updates."""
    parts = [
        _incident(view, incident, root="../", last=len(incident.updates)),
        '<p><a href="../">Current status</a></p>',
    ]
    return _document(view, incident.name, parts, root="../")


def history_page(view: StatusView, year: int, month: int, *, root: str) -> bytes:
    """Return the incidents and maintenance that started in a month, and links to the other months.

    `root`: the relative address of the first page, "" or "../".
    """
    name = f"{year:04}-{month:02}"
    found = [one for one in view.incidents if _month(one.started_ms) == name]
    listed = "".join(_incident(view, one, root=root, last=1) for one in found)
    months = sorted({_month(one.started_ms) for one in view.incidents} | {_month(view.now_epoch_s * 1000)})
    links = " · ".join(
        f'<a href="{root}history/{other}{view.suffix}"{_current(other == name)}>{other}</a>'
        for other in reversed(months[-24:])
    )
    parts = [
        f"<h2>{name}</h2>{listed or '<p>No incidents.</p>'}",
        f'<p>{links}</p><p><a href="{root or "./"}">Current status</a> · <a href="{root}history.atom">Feed</a></p>',
    ]
    return _document(view, f"Incidents of {name}", parts, root=root)


def _document(view: StatusView, name: str, parts: Sequence[str], *, root: str) -> bytes:
    title = escape(view.title)
    named = f"{escape(name)} – " if name else ""
    # The page does not reload itself: slow readers and screen readers would lose their place (WCAG 2.2.1).
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="alternate" type="application/atom+xml" href="{root}history.atom" title="Incidents">'
        f"<title>{named}Status of {title}</title><style>{_STYLE}</style></head>"
        f'<body><main><h1>Status of <a href="{escape(view.web_url)}">{title}</a></h1>'
        f"{''.join(parts)}</main></body></html>\n"
    ).encode()


def _channel(one: ChannelStatus, past: ChannelPast) -> str:
    if one.measured_epoch_s:
        facts = [
            f'measured <time datetime="{iso(one.measured_epoch_s * 1000)}">{clock(one.measured_epoch_s)} UTC</time>'
        ]
    else:
        facts = ["not measured yet"]
    if one.ms and one.state is not ChannelState.UNKNOWN:
        facts.insert(0, f"{max(one.ms, 1):.0f} ms")
    if past.uptime is not None:
        # A new instance has not been measured for 90 days.
        days = sum(state is not None for state in past.states)
        facts.append(f"{_percent(past.uptime)} {f'in {days} days' if days > 1 else 'today'}")
    reason = f"<p>{escape(one.reason)}</p>" if one.reason else ""
    if one.hurt:
        reason += f"<p>Apps affected: {escape(', '.join(one.hurt))}</p>"
    return (
        f'<li id="{one.channel}"><b class="{_MARKS[one.state]}">{one.state.words}</b>'
        f"<h3>{CHANNEL_NAMES[one.channel]}</h3>{reason}<small>{' · '.join(facts)}</small>"
        f"{_bars(past.states)}{_times(past.times_ms)}</li>"
    )


def _bars(states: Sequence[ChannelState | None]) -> str:
    """Return a bar for each day, in one path for each run of days in the same state; "" without days."""
    if not states:
        return ""
    paths, begin = [], 0
    for place in range(1, len(states) + 1):
        if place == len(states) or states[place] is not states[begin]:
            mark = _MARKS[states[begin] or ChannelState.UNKNOWN]
            # One pixel less: the last dash would begin a bar of the next run.
            paths.append(f'<path class="{mark}" d="M{begin * _BAR_PX} 12H{place * _BAR_PX - 1}"/>')
            begin = place
    counted = {state: states.count(state) for state in _MARKS if state in states}
    said = ", ".join(
        f"{count} day{'s' * (count > 1)} {state.words.lower()}" for state, count in counted.items()
    )
    return (
        f'<svg class="bars" viewBox="0 0 {len(states) * _BAR_PX} {_HEIGHT_PX}" preserveAspectRatio="none" role="img" '
        f'aria-label="Last 90 days: {said or "no measurements"}">{"".join(paths)}</svg>'
    )


def _times(times_ms: Sequence[float | None]) -> str:
    known = [ms for ms in times_ms if ms is not None]
    if len(known) < 2:
        return ""
    top_ms = max(known)
    points, pen = [], "M"
    for place, ms in enumerate(times_ms):
        if ms is None:
            pen = "M"
            continue
        points.append(f"{pen}{place * 8} {_HEIGHT_PX - 2 - round(20 * ms / top_ms)}")
        pen = "L"
    return (
        f'<svg class="time u" viewBox="0 0 376 {_HEIGHT_PX}" preserveAspectRatio="none" role="img" '
        f'aria-label="Response times of 24 hours, at most {top_ms:.0f} ms"><path d="{"".join(points)}"/></svg>'
    )


def _incident(view: StatusView, one: Incident, *, root: str, last: int) -> str:
    address = f"{root}incidents/{one.id}{view.suffix}"
    facts = [one.status.replace("_", " ").capitalize()]
    if one.is_maintenance:
        facts.append(f"{moment(one.scheduled_for_ms)} to {moment(one.scheduled_until_ms)}")
    else:
        facts += [f"impact {one.impact}", f"began {moment(one.started_ms)}"]
    if one.channels:
        facts.append(", ".join(CHANNEL_NAMES.get(channel, channel) for channel in one.channels))
    updates = "".join(
        f'<li id="{update.id}"><b>{update.status.replace("_", " ").capitalize()}</b> '
        f'<time datetime="{iso(update.at_ms)}">{moment(update.at_ms)}</time>'
        f"{' <small>automatic</small>' if update.is_automatic else ''}{body_html(update.text)}</li>"
        for update in list(reversed(one.updates))[:last]
    )
    more = len(one.updates) - last
    noun = "update" if more == 1 else "updates"
    rest = f'<p><a href="{address}">{more} earlier {noun}</a></p>' if more > 0 else ""
    return (
        f'<article><h3><a href="{address}">{escape(one.name)}</a></h3>'
        f'<small>{escape(" · ".join(facts))}</small><ol class="in">{updates}</ol>{rest}</article>'
    )


def _past(view: StatusView) -> str:
    past = [one for one in view.incidents if not one.is_open][:PAST_SHOWN]
    if not past:
        return "<p>None.</p>"
    rows = "".join(
        f'<li><a href="incidents/{one.id}{view.suffix}">{escape(one.name)}</a> <small>{one.status}, '
        f"began {moment(one.started_ms)}</small></li>"
        for one in past
    )
    return f"<ul>{rows}</ul>"


def _exported(view: StatusView) -> str:
    """Return the age of an export in words: a file cannot know that its server is dead."""
    if not view.suffix:
        return ""
    return (
        f"<p>Written {moment(view.now_epoch_s * 1000)}, each minute. "
        "If that is more than two minutes ago, the present state is unknown.</p>"
    )


def _subscribing(view: StatusView) -> str:
    if not view.subscribe_url:
        return ""
    if not view.takes_subscriptions:
        return "<p>Subscribing to updates is not possible at the moment.</p>"
    return f'<p><a href="{escape(view.subscribe_url)}">Subscribe to updates</a> by e-mail or webhook</p>'


def _load(attack: Attack, now_epoch_s: float) -> str:
    if attack.overload_since_epoch_s:
        ago_s = max(0.0, now_epoch_s - attack.overload_since_epoch_s)
        since = f"{ago_s:.0f} s" if ago_s < 120 else f"{ago_s / 60:.0f} minutes"
        return f"Overloaded for {since}. Members and earlier visitors are served first; others may need to retry."
    if attack.onset_epoch_s:
        return "The overload is over. Protection stays on for a while."
    return "No overload."


def _percent(share: float) -> str:
    # Rounded down: 99.999 % is not 100 %.
    return "100 %" if share >= 1.0 else f"{int(share * 10_000) / 100:.2f} %"


def _month(at_ms: float) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m}"


def _current(is_current: bool) -> str:  # noqa: FBT001 - a comparison, given as it is
    return ' aria-current="page"' if is_current else ""
