"""The badges: a small SVG with the state of the instance, or of one channel, to show on other sites."""

from __future__ import annotations

from html import escape

from stormpetrel.model.channel import CHANNEL_NAMES, ChannelState
from stormpetrel.watch.status.view import StatusView

CONTENT_TYPE = "image/svg+xml; charset=utf-8"
# Each with a contrast of at least 4.5:1 to white text (WCAG 1.4.3).
COLOURS = {
    ChannelState.OPERATIONAL: "#1a7f37",
    ChannelState.DEGRADED: "#8a6100",
    ChannelState.PARTIAL: "#b54708",
    ChannelState.MAJOR: "#b42318",
    ChannelState.MAINTENANCE: "#0b57a4",
    ChannelState.UNKNOWN: "#57606a",
}
_INDICATOR_COLOURS = {
    "none": COLOURS[ChannelState.OPERATIONAL],
    "minor": COLOURS[ChannelState.DEGRADED],
    "major": COLOURS[ChannelState.PARTIAL],
    "critical": COLOURS[ChannelState.MAJOR],
    "maintenance": COLOURS[ChannelState.MAINTENANCE],
}
_CHARACTER_PX = 6.6
_MARGIN_PX = 8
MAX_LABEL = 40


def overall_badge(view: StatusView) -> bytes:
    """Return the badge of the whole instance."""
    indicator, description = view.indicator
    return _badge(view.title, description.lower(), _INDICATOR_COLOURS[indicator])


def channel_badge(view: StatusView, channel: str) -> bytes | None:
    """Return the badge of a channel; None if the page does not have it."""
    for one in view.channels:
        if one.channel == channel:
            return _badge(CHANNEL_NAMES[channel], one.state.words.lower(), COLOURS[one.state])
    return None


def _badge(label: str, text: str, colour: str) -> bytes:
    label = label if len(label) <= MAX_LABEL else f"{label[: MAX_LABEL - 1]}…"
    left, right = (round(len(part) * _CHARACTER_PX) + 2 * _MARGIN_PX for part in (label, text))
    name = escape(f"{label}: {text}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{name}">'
        f'<title>{name}</title><clipPath id="c"><rect width="{left + right}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#c)"><path fill="#3b434b" d="M0 0h{left}v20H0z"/>'
        f'<path fill="{colour}" d="M{left} 0h{right}v20H{left}z"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - 2 * _MARGIN_PX}">{escape(label)}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - 2 * _MARGIN_PX}">{escape(text)}</text></g></svg>'
    ).encode()
