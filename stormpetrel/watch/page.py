"""The watch's status page: the state of each channel, as its canary last found it, and nothing else.

It is made from memory, so it works whatever the web, the store or the disk do.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable
from datetime import UTC, datetime

from stormpetrel.control.messages import CanaryState
from stormpetrel.watch.attack import Attack

NAMES = {
    "web": "Web pages",
    "apps": "Apps",
    "posting": "Posting",
    "streaming": "Live updates",
    "sign_in": "Sign-in",
    "feeds": "Feeds",
    "sms_in": "SMS in",
    "sms_out": "SMS out",
}
_HOW = {
    "ok": "works",
    "refused": "refuses requests",
    "failed": "failing",
    "timeout": "not responding",
}
STALE_S = 20.0
"""A result this old says nothing about now: a canary runs every 5 s and waits at most 10 s."""
_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:10vh auto;padding:0 1rem;"
    "color:#1d2733;background:#f6f8fa}a{color:#0b57a4}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;font-weight:400;padding:.4rem .5rem .4rem 0;border-bottom:1px solid #8896a566}"
    "td:last-child{text-align:right}small{color:#4a5866}.ill{font-weight:700}"
    "@media(prefers-color-scheme:dark){body{color:#dbe4ee;background:#10161d}a{color:#8fc1ff}small{color:#a9b6c4}}"
)
POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy."""


def status_page(
    *, title: str, web_url: str, channels: Iterable[CanaryState], attack: Attack, now_epoch_s: float
) -> bytes:
    """Return the page in HTML, self-contained. `title`: the instance's."""
    rows = "".join(_row(state, now_epoch_s) for state in channels)
    title = html.escape(title)
    # The page does not reload itself: slow readers and screen readers would lose their place (WCAG 2.2.1).
    clock = datetime.fromtimestamp(now_epoch_s, UTC).strftime("%H:%M:%S")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Status of {title}</title><style>{_STYLE}</style></head>"
        f'<body><main><h1>Status of <a href="{html.escape(web_url)}">{title}</a></h1>'
        f"<p>{_load(attack, now_epoch_s)}</p>"
        f"<table><tbody>{rows}</tbody></table>"
        "<p><small>Each service is checked every few seconds from this machine. "
        f'Updated {clock} UTC. <a href="">Refresh</a></small></p></main></body></html>\n'
    ).encode()


def _row(state: CanaryState, now_epoch_s: float) -> str:
    name = html.escape(NAMES.get(state.channel, state.channel))
    ago_s = now_epoch_s - state.at_epoch_s
    if not state.outcome:
        how, detail = "not checked yet", ""
    elif ago_s > STALE_S:
        how, detail = "unknown", f"last checked {ago_s:.0f} s ago"
    elif state.outcome == "ok":
        how, detail = _HOW["ok"], f"{max(state.ms, 1):.0f} ms, {max(ago_s, 0):.0f} s ago"
    else:
        how, detail = _HOW[state.outcome], f"checked {max(ago_s, 0):.0f} s ago"
    mark = "" if how == _HOW["ok"] else ' class="ill"'
    return f'<tr><th scope="row">{name}</th><td{mark}>{how}</td><td><small>{detail}</small></td></tr>'


def _load(attack: Attack, now_epoch_s: float) -> str:
    if attack.overload_since_epoch_s:
        ago_s = max(0.0, now_epoch_s - attack.overload_since_epoch_s)
        since = f"{ago_s:.0f} s" if ago_s < 120 else f"{ago_s / 60:.0f} minutes"
        return f"Overloaded for {since}. Members and earlier visitors are served first; others may need to retry."
    if attack.onset_epoch_s:
        return "The overload is over. Protection stays on for a while."
    return "No overload."
