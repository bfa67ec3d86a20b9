"""Incidents and maintenance of the status page, written by administrators: the commands as a page.

The watch of this machine checks, stores and shows each change, as it does for `stormpetrel incident` and `stormpetrel
maintenance`. When it does not run, this page only reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from minijinja import Markup

from stormpetrel.control.asking import WatchSilent, ask
from stormpetrel.control.messages import Failed, IncidentChange, IncidentStored
from stormpetrel.errors import EnvironmentFailure, Invalid, StormpetrelError
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.model.incident import (
    IMPACTS,
    INCIDENT_STATUSES,
    MAINTENANCE_STATUSES,
    MAX_BODY,
    MAX_NAME,
    OPENING_STATUSES,
    Incident,
    moment,
)
from stormpetrel.model.incident_text import body_html
from stormpetrel.model.moderation import Act
from stormpetrel.storage.status_history import FILE_NAME, StatusHistoryFailed, read_incidents
from stormpetrel.web.admin_sms import note
from stormpetrel.web.reader import read_admin
from stormpetrel.web.render import pages_of

PAGE = "/admin/status"
NEW, PLAN = "new", "plan"
"""The forms that begin an incident and maintenance; the others are named after the id of theirs."""
PREVIEW = "preview"
FIELDS = ("name", "text", "status", "impact", "from", "until")
BEGINNINGS = {NEW: "start", PLAN: "schedule"}
CHANGES = ("update", "resolve", "begin", "complete", "cancel")
NO_WATCH = (
    "The watch does not answer on this machine, so nothing can be changed here. stormpetrel serve starts it."
)
SILENT_WATCH = (
    "The watch has this change and has not answered: it is busy, and may make it soon. Look at the list before "
    "you send it again."
)
_FIELD = "channel_"
_DONE = {
    "start": "The incident is open, and on the status page.",
    "schedule": "The maintenance is announced.",
    "update": "The update is published.",
    "resolve": "The incident is resolved.",
    "begin": "The maintenance is in progress.",
    "complete": "The maintenance is completed.",
    "cancel": "The maintenance is cancelled.",
}


@dataclass(frozen=True, slots=True)
class TypedIncident:
    """A form that is shown again. `form`: NEW, PLAN or an id. `fields`: as typed. `preview`: of the text, in HTML."""

    form: str = ""
    fields: Mapping[str, str] | None = None
    problem: str = ""
    preview: Markup | None = None


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An open incident or maintenance. `body`: of its last update, in HTML. `when`: its beginning, or its plan."""

    incident: Incident
    body: Markup
    when: str
    channels: str
    statuses: tuple[str, ...]


async def show(request: Request) -> Response:
    return await _page(request, TypedIncident())


async def _page(request: Request, typed: TypedIncident) -> Response:
    reader = await request.site.database.read(read_admin, reader_id=request.account_id, now_ms=request.now_ms)
    problem = ""
    found: list[Incident] = []
    try:
        path = request.site.config.data_dir / FILE_NAME
        found = await asyncio.to_thread(read_incidents, path, only_open=True)
    except StatusHistoryFailed:
        problem = "The open incidents could not be read. Reload the page in a moment."
    if typed.problem and not any(one.id == typed.form for one in found) and typed.form not in BEGINNINGS:
        # Its incident has ended in the meantime, so its form is not shown.
        problem = typed.problem
    return pages_of(request).page(
        request,
        "admin_status.html",
        status=422 if typed.problem else 200,
        reader=reader,
        opened=[_shown(one) for one in found],
        typed=typed,
        fields=dict.fromkeys(FIELDS, "") | dict(typed.fields or {}),
        typed_channels=[name for name in CHANNEL_NAMES if f"{_FIELD}{name}" in (typed.fields or {})],
        problem=problem,
        done=_DONE.get(dict(request.query_pairs).get("done", ""), ""),
        impacts=IMPACTS,
        opening_statuses=OPENING_STATUSES,
        channel_names=CHANNEL_NAMES,
        max_name=MAX_NAME,
        max_body=MAX_BODY,
        status_url=request.site.config.status_url,
    )


async def begin(request: Request) -> Response:
    """POST /admin/status: open an incident, announce maintenance, or preview the text of one."""
    return await _change(request, "")


async def change(request: Request) -> Response:
    """POST /admin/status/ID: add an update, resolve, begin, complete or cancel, or preview a text."""
    return await _change(request, request.parameters["id"])


async def _change(request: Request, id: str) -> Response:
    await request.site.database.read(read_admin, reader_id=request.account_id, now_ms=request.now_ms)
    fields = {name: value.replace("\r\n", "\n") for name, value in (await request.form()).items()}
    form = id or (fields.get("form", "") if fields.get("form") in BEGINNINGS else NEW)
    verb = fields.get("do", "")
    if verb == PREVIEW:
        preview = Markup(body_html(fields.get("text", "")[:MAX_BODY]))
        return await _page(request, TypedIncident(form, fields, preview=preview))
    action = BEGINNINGS.get(form, verb)
    try:
        incident = await _ask(request, _wanted(form, verb, fields))
    except StormpetrelError as error:
        if isinstance(error, WatchSilent):
            named = form if form not in BEGINNINGS else fields.get("name", "")
            await _note(request, f"{action} {named[:MAX_NAME]} (the watch has not answered: it may be done)")
        text = error.safe_text
        return await _page(request, TypedIncident(form, fields, f"{text[:1].upper()}{text[1:].rstrip('.')}."))
    await _note(request, f"{action} {incident.id}: {incident.name}")
    return redirect(f"{PAGE}?done={action}")


async def _note(request: Request, about: str) -> None:
    await request.site.database.write(
        note, reader_id=request.account_id, act=Act.STATUS_PAGE, about=about, now_ms=request.now_ms
    )


def _wanted(form: str, verb: str, fields: Mapping[str, str]) -> IncidentChange:
    """Return the change that a form describes; the watch checks it. Raise Invalid for one that it could not read."""
    channels = tuple(name.removeprefix(_FIELD) for name in fields if name.startswith(_FIELD))
    common: dict[str, Any] = {
        "name": fields.get("name", ""),
        "body": fields.get("text", ""),
        "channels": channels,
    }
    if form == PLAN:
        begins, ends = _time(fields.get("from", "")), _time(fields.get("until", ""))
        return IncidentChange("schedule", from_ms=begins, until_ms=ends, **common)
    common |= {"status": fields.get("status", ""), "impact": fields.get("impact", "")}
    if form == NEW:
        return IncidentChange("start", **common)
    if verb not in CHANGES:
        raise Invalid("Choose a button")
    return IncidentChange(verb, id=form, **common)


def _time(text: str) -> int:
    """Return a time in UTC as a browser sends it, in milliseconds. Raise Invalid."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None:
        raise Invalid("Enter both times in UTC, such as 2026-12-01T22:00")
    return int(at.replace(tzinfo=UTC).timestamp() * 1000)


async def _ask(request: Request, wanted: IncidentChange) -> Incident:
    """Have the watch make the change. Raise Invalid with its reason, WatchSilent if it does not answer in time, and
    EnvironmentFailure if none runs here."""
    try:
        answer = await asyncio.to_thread(ask, request.site.config.data_dir, wanted)
    except WatchSilent as error:
        raise WatchSilent(SILENT_WATCH) from error
    except EnvironmentFailure as error:
        raise EnvironmentFailure(NO_WATCH) from error
    if isinstance(answer, Failed):
        raise Invalid(answer.text)
    assert isinstance(answer, IncidentStored)
    return answer.incident


def _shown(one: Incident) -> OpenIncident:
    last = one.updates[-1]
    when = (
        f"{moment(one.scheduled_for_ms)} to {moment(one.scheduled_until_ms)}"
        if one.is_maintenance
        else f"began {moment(one.started_ms)}"
    )
    return OpenIncident(
        one,
        Markup(body_html(last.text)),
        when,
        ", ".join(CHANNEL_NAMES.get(name, name) for name in one.channels) or "No service named",
        MAINTENANCE_STATUSES if one.is_maintenance else INCIDENT_STATUSES,
    )
