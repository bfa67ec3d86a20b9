"""The control room: load, channels, rules and the heaviest clients, and the orders of `stormpetrel shield` with undo.

Its figures come from the watch of this machine, by the control socket. Signing in, second factors and protection
against forged forms are those of every page, so the page is in the web role; when that is down, `stormpetrel top`
shows the same in a terminal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stormpetrel.control.asking import WatchSilent, ask, order
from stormpetrel.control.guard_text import guard_text
from stormpetrel.control.messages import AskPause, AskRule, AskStatus, StatusMessage
from stormpetrel.errors import EnvironmentFailure, NotFound, SetupError
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.model.moderation import Act
from stormpetrel.rules import accounts as account_rules
from stormpetrel.shield.reports import OUTCOMES, OperatorEntry
from stormpetrel.web.admin_sms import note
from stormpetrel.web.reader import read_admin
from stormpetrel.web.render import pages_of
from stormpetrel.web.times import span

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

PAGE = "/admin/shield"
LISTED = 20
MAX_LOGGED = 450
"""Characters of an order, and of the reason why it is not in force, in a line of the audit log (MAX_REASON)."""
ORDER_S = 2.0
"""A page waits this long for the watch, once for its answer and once for its status: a browser waits for the page."""
DURATIONS = {"1h": 3600, "6h": 21_600, "24h": 86_400, "72h": 259_200}
PAUSES = {"10m": 600, "1h": 3600, "0": 0}
KINDS = {
    "account": "Account (name)",
    "address": "Address or network",
    "application": "Application (exact name)",
}
MEMBERS = ("account", "device")
"""The kinds of identities that have the id of an account."""
TYPED = ("verdict", "kind", "who", "duration", "reason")
VERDICTS = {"allow": Act.SHIELD_ALLOW, "deny": Act.SHIELD_DENY}
CLASSES = {
    "K0": "Members' writes",
    "K1": "Members' reading",
    "K2": "Returning visitors",
    "K3": "New visitors",
    "K4": "Demoted",
}
_DONE = {
    "allow": "The rule is in force: this client is served before strangers.",
    "deny": "The rule is in force. It never affects credentials from before the attack.",
    "undo": "The rule is not in force any more.",
    "pause": "Denies and demotions are off.",
    "resume": "Denies and demotions are on.",
}


@dataclass(frozen=True, slots=True)
class LoadChart:
    """A line of the last minutes. `points`: of an SVG polyline in a box of 600 by 100; `now`, `most`: values."""

    name: str
    points: str
    now: str
    most: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule in force. `shown`: its target for people; `left_s`: seconds until it ends."""

    verdict: str
    kind: str
    value: str
    shown: str
    left_s: int
    reason: str


async def show(request: Request) -> Response:
    return await _page(request)


async def _page(request: Request, *, typed: dict[str, str] | None = None, problem: str = "") -> Response:
    reader = await request.site.database.read(read_admin, reader_id=request.account_id, now_ms=request.now_ms)
    status, away = await _status(request)
    now_s = request.now_ms / 1000
    names: dict[int, str] = {}
    if status is not None:
        # The shield names members by their id, and members who signed out on a known device as well.
        named = [one.identity.split(":", 1) for one in status.offenders]
        named += [[one.kind, one.value] for one in (*status.allowed, *status.denied)]
        ids = [int(value) for kind, value in named if kind in MEMBERS and value.isdigit()]
        names = await request.site.database.read(account_rules.names, account_ids=ids)
    return pages_of(request).page(
        request,
        "admin_shield.html",
        status=422 if problem else 200,
        reader=reader,
        shield=status,
        away=away,
        state="" if status is None else state_line(status),
        as_of=_time(now_s),
        phase="" if status is None else phase_line(status),
        guard="" if status is None or not (status.guard and status.guard.is_running) else guard_text(status.guard),
        paused_s=0 if status is None else max(0, round(status.paused_until_epoch_s - now_s)),
        charts=() if status is None else charts(status),
        channels=() if status is None else _channels(status, now_s=now_s),
        classes=() if status is None else _classes(status),
        applications=() if status is None else [(k, *_rates(v)) for k, v in status.applications.items()],
        reasons=() if status is None else _ranked(status.because),
        hot_pages=() if status is None else _ranked(status.pages),
        clients=() if status is None else [(_shown(one.identity, names), one) for one in status.offenders],
        rules=() if status is None else _rules(status, names, now_s=now_s),
        kinds=KINDS,
        durations=DURATIONS,
        typed=dict.fromkeys(TYPED, "") | (typed or {}),
        problem=problem,
        done=_DONE.get(dict(request.query_pairs).get("done", ""), ""),
    )  # fmt: skip


async def _order(request: Request, wanted: AskRule | AskPause, *, act: Act, about: str) -> str:
    """Give the watch an order and write it into the audit log with its outcome. Return the problem, or "" if the
    order is in force."""
    outcome = problem = ""
    try:
        await asyncio.to_thread(order, request.site.config.data_dir, wanted, timeout_s=ORDER_S)
    except WatchSilent as error:
        outcome, problem = " (the watch has not answered: it may be in force)", error.safe_text
    except (SetupError, EnvironmentFailure) as error:
        problem = error.safe_text
        outcome = f" (not in force: {problem[:MAX_LOGGED]})"
    await request.site.database.write(
        note,
        reader_id=request.account_id,
        act=act,
        about=about[:MAX_LOGGED] + outcome,
        now_ms=request.now_ms,
    )
    return problem


async def _status(request: Request) -> tuple[StatusMessage | None, str]:
    try:
        answer = await asyncio.to_thread(ask, request.site.config.data_dir, AskStatus())
    except EnvironmentFailure:
        return (
            None,
            "The watch does not answer on this machine: there are no figures. stormpetrel serve starts it.",
        )
    assert isinstance(answer, StatusMessage)
    return answer, ""


async def put_rule(request: Request) -> Response:
    """POST /admin/shield/rules: allow or deny a client for a limited time."""
    await request.site.database.read(read_admin, reader_id=request.account_id, now_ms=request.now_ms)
    form = await request.form()
    verdict, kind, who = form.get("verdict", ""), form.get("kind", ""), form.get("who", "").strip()
    reason, duration_s = form.get("reason", "").strip(), DURATIONS.get(form.get("duration", ""), 0)
    problem = ""
    if verdict not in VERDICTS or kind not in KINDS or not duration_s:
        problem = "Choose a rule, a kind and a duration."
    elif not who:
        problem = "Name a client."
    elif verdict == "deny" and not reason:
        problem = "A deny needs a reason, which the journal records."
    value = who
    if not problem and kind == "account":
        account_id = await request.site.database.read(account_id_of, name=who)
        problem = "" if account_id else "There is no such account."
        value = str(account_id)
    if not problem:
        entry = OperatorEntry(kind, value, request.now_ms / 1000 + duration_s, reason)
        about = f"{kind} {who}: {reason or 'no reason given'}"
        problem = await _order(
            request, AskRule(verdict, entry, session=request.address), act=VERDICTS[verdict], about=about
        )
    if problem:
        return await _page(request, typed=dict(form.items()), problem=problem)
    return redirect(f"{PAGE}?done={verdict}")


async def end_rule(request: Request) -> Response:
    """POST /admin/shield/rules/end: remove a rule."""
    await request.site.database.read(read_admin, reader_id=request.account_id, now_ms=request.now_ms)
    form = await request.form()
    kind, value = form.get("kind", ""), form.get("value", "")
    wanted = AskRule("none", OperatorEntry(kind, value, request.now_ms / 1000 + 1, ""))
    problem = await _order(request, wanted, act=Act.SHIELD_UNDO, about=f"{kind} {value}")
    if problem:
        return await _page(request, problem=problem)
    return redirect(f"{PAGE}?done=undo")


async def pause(request: Request) -> Response:
    """POST /admin/shield/pause: turn denies and demotions off for a time, or on again."""
    await request.site.database.read(read_admin, reader_id=request.account_id, now_ms=request.now_ms)
    form = await request.form()
    seconds = PAUSES.get(form.get("duration", ""))
    if seconds is None:
        return await _page(request, problem="Choose how long denies and demotions are off.")
    wanted = AskPause(request.now_ms / 1000 + seconds if seconds else 0.0)
    about = f"off for {seconds} s" if seconds else "on again"
    problem = await _order(request, wanted, act=Act.SHIELD_PAUSE, about=about)
    if problem:
        return await _page(request, problem=problem)
    return redirect(f"{PAGE}?done={'pause' if seconds else 'resume'}")


def account_id_of(connection: Connection, *, name: str) -> int:
    """Return the id of the active account with this username, with or without @; 0 if there is none."""
    try:
        return account_rules.account_named(connection, username=name.removeprefix("@")).id
    except NotFound:
        return 0


# What the page shows


def charts(status: StatusMessage) -> tuple[LoadChart, ...]:
    """Return the charts of the load."""
    return tuple(
        LoadChart(
            name, _points(values), f"{values[-1] if values else 0:,.0f}", f"{max(values, default=0):,.0f}"
        )
        for name, values in (
            ("Requests per second", [float(one.requests) for one in status.load]),
            ("Refused per second", [float(one.refused) for one in status.load]),
            ("Longest wait, ms", [one.wait_ms for one in status.load]),
        )
    )


def _points(values: Sequence[float]) -> str:
    most = max(values, default=0.0) or 1.0
    first = 600 - len(values)
    return " ".join(f"{first + x},{100 - value / most * 98:.1f}" for x, value in enumerate(values))


def state_line(status: StatusMessage) -> str:
    """Return the state of the shield, with a time that stays true while the page is not refreshed."""
    if status.overload_since_epoch_s:
        return f"Overloaded since {_time(status.overload_since_epoch_s)}"
    return "Recovering" if status.onset_epoch_s else "Calm"


def phase_line(status: StatusMessage) -> str:
    """Return the present phase of the traffic in one line; "" while nothing is unusual."""
    phase = status.phase
    if phase is None:
        return ""
    return f"Since {_time(phase.began_epoch_s)}: {phase.text}"


def _time(epoch_s: float) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(epoch_s))


def _channels(status: StatusMessage, *, now_s: float) -> list[tuple[str, ...]]:
    rows = []
    for channel, name in CHANNEL_NAMES.items():
        canaries = [one for one in status.canaries if one.channel == channel]
        if not canaries:
            continue
        # Of its canaries, the one that fails counts.
        canary = next((one for one in canaries if one.outcome not in ("", "ok")), canaries[0])
        found = f"{canary.outcome}, {span(now_s - canary.at_epoch_s)} ago" if canary.outcome else "not yet"
        rows.append((name, *_rates(status.channels.get(channel, {})), found))
    return rows


def _classes(status: StatusMessage) -> list[tuple[str, ...]]:
    return [(CLASSES.get(name, name), *_rates(row)) for name, row in sorted(status.classes.items())]


def _rates(row: dict[str, float]) -> tuple[str, ...]:
    return tuple(f"{row.get(outcome, 0.0):,.1f}" for outcome in OUTCOMES[:3])


def _ranked(rates: dict[str, float]) -> list[tuple[str, str]]:
    ranked = sorted(rates.items(), key=lambda item: (-item[1], item[0]))[:LISTED]
    return [(name, f"{rate:,.1f}") for name, rate in ranked]


def _shown(identity: str, names: dict[int, str]) -> str:
    kind, _, value = identity.partition(":")
    if kind in MEMBERS and value.isdigit() and int(value) in names:
        return f"@{names[int(value)]}" + (" (signed out)" if kind == "device" else "")
    return f"{kind} {value}"


def _rules(status: StatusMessage, names: dict[int, str], *, now_s: float) -> list[RuleRow]:
    rules = [("allow", one) for one in status.allowed] + [("deny", one) for one in status.denied]
    rows = [
        RuleRow(
            verdict,
            one.kind,
            one.value,
            _shown(f"{one.kind}:{one.value}", names),
            max(0, round(one.expires_epoch_s - now_s)),
            one.reason,
        )
        for verdict, one in rules
    ]
    return sorted(rows, key=lambda row: row.left_s)
