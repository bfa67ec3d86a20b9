"""The control room: its figures, its orders with undo, and that administrators alone see it."""

from __future__ import annotations

import os
import re
import signal
from html import unescape

import pytest

from stormpetrel.control.messages import LoadPoint, PhaseState
from stormpetrel.model.account import Role
from stormpetrel.web.admin_shield import charts, phase_line, state_line
from tests.cli.test_top_screen import a_status
from tests.forms import send, sign_in
from tests.people import PASSWORD, csrf_of
from tests.waiting import eventually

PAGE = "/admin/shield"


@pytest.fixture(scope="module")
def admin(place):
    """Return a browser in which an administrator is signed in."""
    browser = place.client()
    sign_in(browser, place.person("Chief", role=Role.ADMIN).username)
    return browser


def put(admin, **typed):
    fields = {
        "verdict": "deny",
        "kind": "address",
        "who": "192.0.2.0/24",
        "duration": "1h",
        "reason": "scans",
    }
    return send(admin, admin.get(PAGE), f"{PAGE}/rules", fields | typed)


def rules(admin):
    """Return the text of the list of rules."""
    text = unescape(admin.get(PAGE).text)
    return text[text.index("Rules in force") : text.index("New rule")]


def test_it_shows_load_channels_and_classes(admin):
    def seen(text):
        shown = ("Members' reading", "Web pages", "ok, ", '<polyline points="5')
        return all(one in unescape(text) for one in shown)

    text = eventually(lambda: admin.get(PAGE).text, seen)
    assert '<h2 id="load">Calm</h2>' in text
    assert re.search(r"At \d\d:\d\d:\d\d UTC: mode full", text)
    assert "Requests per second" in text


def test_a_rule_is_put_in_force_listed_logged_and_removed(place, admin):
    person = place.person("rude")
    assert put(admin).headers["location"] == f"{PAGE}?done=deny"
    assert put(admin, verdict="allow", kind="account", who=f"@{person.username}").status_code == 303
    listed = rules(admin)
    assert "address 192.0.2.0/24" in listed
    assert f"@{person.username}" in listed
    assert re.search(r'ends in \d+ min: <span dir="auto">scans<', listed)
    assert "address 192.0.2.0/24: scans" in unescape(admin.get("/admin/log").text)
    for kind, value in (("address", "192.0.2.0/24"), ("account", str(person.id))):
        done = send(admin, admin.get(PAGE), f"{PAGE}/rules/end", {"kind": kind, "value": value})
        assert done.headers["location"] == f"{PAGE}?done=undo"
    assert "None." in rules(admin)


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"reason": " "}, "A deny needs a reason"),
        ({"who": ""}, "Name a client."),
        ({"who": "192.0.2.0/99"}, "192.0.2.0/99"),
        ({"who": "0.0.0.0/0"}, "0.0.0.0/0"),
        ({"kind": "account", "who": "@not_here"}, "There is no such account."),
        ({"kind": "token", "who": "ab"}, "Choose a rule, a kind and a duration."),
        ({"verdict": "none"}, "Choose a rule, a kind and a duration."),
        ({"duration": "9999h"}, "Choose a rule, a kind and a duration."),
        ({"who": "127.0.0.0/16"}, "127.0.0.0/16 holds 127.0.0.1"),
        ({"reason": "a" * 201}, "at most 200 characters"),
    ],
)
def test_a_wrong_rule_is_explained_and_changes_nothing(admin, typed, problem):
    answer = put(admin, **typed)
    assert answer.status_code == 422
    assert problem in unescape(answer.text)
    assert "None." in rules(admin)


def test_a_rule_that_is_not_there_cannot_be_removed(admin):
    put(admin)
    page = admin.get(PAGE)
    known = {"kind": "address", "value": "192.0.2.0/24"}
    assert send(admin, page, f"{PAGE}/rules/end", known).status_code == 303
    again = send(admin, page, f"{PAGE}/rules/end", known)
    assert again.status_code == 422
    assert "no rule for address 192.0.2.0/24" in unescape(again.text)
    logged = "address 192.0.2.0/24 (not in force: no rule for address 192.0.2.0/24)"
    assert logged in unescape(admin.get("/admin/log").text)


def test_an_order_of_any_length_that_is_refused_is_in_the_log(admin):
    put(admin, who="192.0.2.1" + "/" * 5000, reason="a" * 5000)
    assert f"address 192.0.2.1{'/' * 400}" in unescape(admin.get("/admin/log").text)


def test_denies_are_turned_off_and_on_again(admin):
    assert send(admin, admin.get(PAGE), f"{PAGE}/pause", {"duration": "10m"}).status_code == 303
    assert "Denies and demotions are off for" in admin.get(PAGE).text
    assert send(admin, admin.get(PAGE), f"{PAGE}/pause", {"duration": "0"}).status_code == 303
    assert "Denies and demotions are off for" not in admin.get(PAGE).text
    assert send(admin, admin.get(PAGE), f"{PAGE}/pause", {"duration": "9d"}).status_code == 422


@pytest.mark.parametrize("role", [Role.MEMBER, Role.MODERATOR])
def test_only_administrators_see_and_change_it(place, admin, role):
    browser = place.client()
    sign_in(browser, place.person("other", role=role).username)
    assert browser.get(PAGE).status_code == 403
    fields = {"verdict": "allow", "kind": "address", "who": "192.0.2.1", "duration": "10m"}
    fields |= {"csrf": csrf_of(browser.get("/settings/profile").text), "value": "192.0.2.1"}
    for path in (f"{PAGE}/rules", f"{PAGE}/rules/end", f"{PAGE}/pause"):
        assert browser.post(path, data=fields).status_code == 403
    assert place.visitor.get(PAGE).status_code in (302, 303)
    assert "None." in rules(admin)


def test_without_a_watch_it_says_so_and_orders_are_refused(place, admin):
    page = admin.get(PAGE)
    watch = watch_of(place.instance.pid)
    os.kill(watch, signal.SIGSTOP)
    try:
        assert "there are no figures" in admin.get(PAGE).text
        answer = send(admin, page, f"{PAGE}/pause", {"duration": "10m"})
        assert answer.status_code == 422
        assert "has the order and has not answered" in answer.text
        logged = "off for 600 s (the watch has not answered: it may be in force)"
        assert logged in unescape(admin.get("/admin/log").text)
    finally:
        os.kill(watch, signal.SIGCONT)
    # The watch carries the order out when it goes on.
    eventually(lambda: admin.get(PAGE).text, lambda text: "Denies and demotions are off for" in text)
    assert send(admin, admin.get(PAGE), f"{PAGE}/pause", {"duration": "0"}).status_code == 303


def watch_of(supervisor):
    """Return the pid of the supervisor's watch."""
    with open(f"/proc/{supervisor}/task/{supervisor}/children", encoding="ascii") as file:
        for pid in map(int, file.read().split()):
            with open(f"/proc/{pid}/comm", encoding="utf-8") as name:
                if name.read().strip() == "petrel-watch":
                    return pid
    raise AssertionError("no watch runs")


def test_the_present_phase_is_one_line_and_calm_has_none():
    phase = PhaseState(1_900_000_000.0, "crowd", 0.0, (), "many people at once")
    assert phase_line(a_status(phase=phase)) == "Since 17:46:40 UTC: many people at once"
    assert phase_line(a_status()) == ""


def test_the_state_has_a_time_that_is_true_however_old_the_page_is():
    assert state_line(a_status(overload_since_epoch_s=1_900_000_000.0)) == "Overloaded since 17:46:40 UTC"
    assert state_line(a_status(overload_since_epoch_s=0.0)) == "Recovering"
    assert state_line(a_status(overload_since_epoch_s=0.0, onset_epoch_s=0.0)) == "Calm"


def test_charts_end_at_the_right_and_reach_the_top():
    load = (LoadPoint(0, 0, 0.0), LoadPoint(50, 0, 2.0), LoadPoint(100, 5, 1.0))
    requests = charts(a_status(load=load))[0]
    assert requests.points == "597,100.0 598,51.0 599,2.0"
    assert (requests.now, requests.most) == ("100", "100")
    assert charts(a_status(load=()))[0].points == ""


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_figures_stay_fresh_until_they_are_paused(browser, place):
    chief = place.person("Chief", role=Role.ADMIN)
    context = browser.new_context(viewport={"width": 390, "height": 800})
    try:
        page = context.new_page()
        page.goto(f"{place.base_url}/auth/sign_in")
        page.fill('input[name="user[email]"]', chief.username)
        page.fill('input[name="user[password]"]', PASSWORD)
        page.click('main button[type="submit"]')
        page.wait_for_url(f"{place.base_url}/")
        page.goto(f"{place.base_url}{PAGE}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        before = page.inner_text("#live")
        page.wait_for_function("before => document.getElementById('live').innerText !== before", arg=before)
        page.click("#live-toggle")
        assert page.inner_text("#live-toggle") == "Resume updates"
    finally:
        context.close()
