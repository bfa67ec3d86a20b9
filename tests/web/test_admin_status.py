"""Incidents and maintenance from the page: as the commands do it, for administrators alone; no typed text is lost."""

from __future__ import annotations

import os
import re
import signal
from html import unescape

import pytest

from stormpetrel.model.account import Role
from stormpetrel.model.incident import MAX_BODY, MAX_NAME
from stormpetrel.storage.status_history import FILE_NAME, read_incidents
from tests.forms import form_to, send, sign_in
from tests.people import csrf_of
from tests.waiting import eventually
from tests.web.test_admin_shield import watch_of

PAGE = "/admin/status"


@pytest.fixture(scope="module")
def admin(place):
    """Return a browser in which an administrator is signed in."""
    browser = place.client()
    sign_in(browser, place.person("Chief", role=Role.ADMIN).username)
    return browser


def stored(place, *, only_open=True):
    """Return the incidents in the file of the history, newest first."""
    return read_incidents(place.instance.directory / "data" / FILE_NAME, only_open=only_open)


def begin(admin, form="new", do="start", **typed):
    fields = {"form": form, "do": do, "name": "Apps get errors", "text": "We **look** into it."} | typed
    return admin.post(PAGE, data={"csrf": csrf_of(admin.get(PAGE).text)} | fields)


def act(admin, id, do, **typed):
    page = admin.get(PAGE)
    return send(admin, page, f"{PAGE}/{id}", {"do": do} | typed)


@pytest.fixture(autouse=True)
def ends(place, admin):
    """End what a test opened."""
    yield
    for one in stored(place):
        verb = (
            ("cancel" if one.status == "scheduled" else "complete")
            if one.impact == "maintenance"
            else "resolve"
        )
        assert act(admin, one.id, verb).status_code == 303


def test_an_incident_is_opened_updated_and_resolved(place, admin):
    opened = begin(admin, channel_apps="on", channel_web="on", impact="major")
    assert opened.headers["location"] == f"{PAGE}?done=start"
    assert "on the status page" in admin.get(opened.headers["location"]).text
    (one,) = stored(place)
    assert (one.name, one.impact, one.channels) == ("Apps get errors", "major", ("web", "apps"))
    assert act(admin, one.id, "update", text="A disk\r\nwas full.", status="identified").status_code == 303
    assert act(admin, one.id, "resolve", text="").status_code == 303
    (one,) = [other for other in stored(place, only_open=False) if other.id == one.id]
    assert [(update.status, update.body) for update in one.updates] == [
        ("investigating", "We **look** into it."),
        ("identified", "A disk\nwas full."),
        ("resolved", "This incident is resolved."),
    ]
    assert not any(update.is_automatic for update in one.updates)
    log = unescape(admin.get("/admin/log").text)
    assert f"start {one.id}: Apps get errors" in log
    assert f"resolve {one.id}" in log


def test_maintenance_is_planned_begun_and_ended(place, admin):
    times = {"from": "2999-12-01T22:00", "until": "2999-12-01T23:30"}
    planned = begin(admin, "plan", "schedule", channel_media="on", **times)
    assert planned.headers["location"] == f"{PAGE}?done=schedule"
    (one,) = stored(place)
    assert (one.scheduled_for_ms, one.scheduled_until_ms) == (32_501_080_800_000, 32_501_086_200_000)
    assert "Scheduled, 2999-12-01 22:00 UTC to 2999-12-01 23:30 UTC. Media." in admin.get(PAGE).text
    assert act(admin, one.id, "begin").status_code == 303
    assert stored(place)[0].status == "in_progress"
    assert act(admin, one.id, "complete", text="The new disks are in use.").status_code == 303
    assert stored(place) == []


def test_a_preview_shows_the_text_and_publishes_nothing(place, admin):
    text = (
        "We **look** into it. <script>alert(1)</script> https://example.org/ ![x](https://example.org/x.png)"
    )
    page = begin(admin, do="preview", text=text, channel_apps="on", impact="critical")
    assert page.status_code == 200
    shown = page.text.partition("Nothing is published yet")[2].partition("</div></div>")[0]
    assert "<strong>look</strong>" in shown
    assert '<a href="https://example.org/" rel="nofollow noopener">' in shown
    assert "<script" not in shown
    assert "<img" not in shown
    fields = form_to(page, f"{PAGE}#new").fields
    assert (fields["name"], fields["text"]) == ("Apps get errors", text)
    assert "channel_apps" in fields
    assert '<option value="critical" selected>' in page.text
    assert stored(place) == []
    begin(admin)
    (one,) = stored(place)
    again = act(admin, one.id, "preview", text="*Soon*")
    assert "<em>Soon</em>" in again.text
    assert form_to(again, f"{PAGE}/{one.id}").fields["text"] == "*Soon*"
    assert len(stored(place)[0].updates) == 1


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"text": " "}, "A text is missing"),
        ({"name": ""}, f"A name has 1 to {MAX_NAME} characters"),
        ({"name": "a" * (MAX_NAME + 1)}, f"A name has 1 to {MAX_NAME} characters"),
        ({"text": "a" * (MAX_BODY + 1)}, f"A text may have {MAX_BODY} characters"),
        ({"channel_fax": "on"}, "No channel fax"),
        ({"impact": "maintenance"}, "The impact of an incident is one of"),
        ({"status": "completed"}, "The status of an incident is one of"),
        ({"form": "plan", "from": "", "until": ""}, "Enter both times"),
        ({"form": "plan", "from": "soon", "until": "later"}, "Enter both times"),
        ({"form": "plan", "from": "2999-12-01T22:00+01:00", "until": "2999-12-02T22:00"}, "Enter both times"),
        ({"form": "plan", "from": "2999-12-01T22:00", "until": "2999-12-01T21:00"}, "must end in the future"),
        ({"form": "plan", "from": "2001-12-01T22:00", "until": "2001-12-02T22:00"}, "must end in the future"),
    ],
)
def test_wrong_input_is_explained_and_what_was_typed_stays(place, admin, typed, problem):
    page = begin(admin, channel_media="on", **typed)
    assert page.status_code == 422
    assert problem in unescape(page.text)
    forms = [form for form in re.findall(r"<form.*?</form>", page.text, re.DOTALL) if "problem" in form]
    (form,) = forms
    assert unescape(typed.get("text", "We **look** into it.")) in unescape(form)
    assert 'name="channel_media" checked' in form
    assert stored(place) == []


def test_an_update_that_is_wrong_stays_in_the_form_of_its_incident(place, admin):
    begin(admin)
    (one,) = stored(place)
    page = act(admin, one.id, "update", text=" ", status="monitoring")
    assert page.status_code == 422
    assert "A text is missing" in page.text
    assert '<option value="monitoring" selected>' in page.text
    gone = admin.post(f"{PAGE}/ffff", data={"csrf": csrf_of(page.text), "do": "resolve"})
    assert gone.status_code == 422
    assert "No incident or maintenance ffff" in gone.text
    other = admin.post(f"{PAGE}/{one.id}", data={"csrf": csrf_of(page.text), "do": "explode"})
    assert other.status_code == 422
    assert "Choose a button" in other.text


@pytest.mark.parametrize("role", [Role.MEMBER, Role.MODERATOR])
def test_only_administrators_see_and_change_it(place, admin, role):
    begin(admin)
    (one,) = stored(place)
    browser = place.client()
    sign_in(browser, place.person("other", role=role).username)
    assert browser.get(PAGE).status_code == 403
    fields = {"name": "x", "text": "y", "do": "start", "form": "new"}
    fields |= {"csrf": csrf_of(browser.get("/settings/profile").text)}
    for path, do in ((PAGE, "start"), (PAGE, "preview"), (f"{PAGE}/{one.id}", "resolve")):
        assert browser.post(path, data=fields | {"do": do}).status_code == 403
    assert place.visitor.get(PAGE).status_code in (302, 303)
    assert place.visitor.post(PAGE, data=fields).headers["location"].startswith("/auth/sign_in")
    assert admin.post(PAGE, data=fields | {"csrf": "0" * 72}).status_code == 403
    assert [found.id for found in stored(place)] == [one.id]
    assert len(stored(place)[0].updates) == 1


def test_a_change_that_the_watch_has_not_answered_is_logged_and_stays_in_the_form(place, admin):
    token = csrf_of(admin.get(PAGE).text)
    watch = watch_of(place.instance.pid)
    os.kill(watch, signal.SIGSTOP)
    try:
        assert admin.get(PAGE).status_code == 200
        page = admin.post(
            PAGE, data={"csrf": token, "form": "new", "do": "start", "name": "Slow?", "text": "Lost?"}
        )
        assert page.status_code == 422
        assert "The watch has this change and has not answered" in page.text
        assert "Lost?" in page.text
        logged = "start Slow? (the watch has not answered: it may be done)"
        assert logged in unescape(admin.get("/admin/log").text)
    finally:
        os.kill(watch, signal.SIGCONT)
    # It makes the change when it goes on.
    eventually(lambda: [one.name for one in stored(place)], lambda names: "Slow?" in names)
    eventually(lambda: begin(admin).status_code, lambda code: code == 303)
