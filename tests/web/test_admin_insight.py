"""Insight reports in a running server: made by the watch by itself, read by administrators, published by order."""

from __future__ import annotations

import json
import sqlite3
from html import unescape
from pathlib import Path

import httpx
import pytest

from stormpetrel.model.account import Role
from tests.forms import send, sign_in
from tests.insight import recorded
from tests.people import csrf_of
from tests.waiting import eventually

PAGE = "/admin/insight"


@pytest.fixture(scope="module")
def admin(place):
    """Return an administrator's browser, after an attack was recorded and its report was made."""
    data_dir = Path(place.instance.environ["STORMPETREL_DATA_DIR"])
    recorded.write_record(data_dir, seconds=60)
    browser = place.client()
    sign_in(browser, place.person("Chief", role=Role.ADMIN).username)
    eventually(lambda: browser.get(PAGE).text, lambda text: "Attack 3:" in text)
    return browser


def status(place, path):
    return httpx.get(f"{place.instance.status_url}{path}", trust_env=False)


def test_the_watch_makes_the_report_and_administrators_read_every_form(place, admin):
    text = unescape(admin.get(PAGE).text)
    assert "came under unusual traffic that lasted 10 min" in text
    for edition in ("internal", "public"):
        for form in ("html", "md", "json", "csv"):
            answer = admin.get(f"{PAGE}/3-{edition}.{form}")
            assert answer.status_code == 200
            assert answer.headers["content-security-policy"].endswith("sandbox")
            assert answer.headers["cache-control"] == "private, no-store"
            assert ("marta" in answer.text) is (edition == "internal"), (edition, form)


@pytest.mark.parametrize("name", ["4-internal.html", "3-secret.html", "3-public.exe", "x"])
def test_other_names_are_not_found(admin, name):
    assert admin.get(f"{PAGE}/{name}").status_code == 404


def order(browser, what):
    """Send an order that the page has no form for."""
    fields = {"csrf": csrf_of(browser.get(PAGE).text)}
    return browser.post(f"{PAGE}/{what}", data=fields, headers={"Origin": str(browser.base_url).rstrip("/")})


def test_others_see_nothing(place, admin):
    member = place.client()
    sign_in(member, place.person("member").username)
    for path in (PAGE, f"{PAGE}/3-public.html"):
        assert member.get(path).status_code == 403
        assert place.client().get(path).status_code in (302, 303, 401)
    assert status(place, "/insight/3").status_code == 404


def test_a_published_report_is_on_the_status_page_until_it_is_withdrawn(place, admin):
    done = send(admin, admin.get(PAGE), f"{PAGE}/3/publish", {})
    assert done.headers["location"] == f"{PAGE}?done=publish"
    eventually(lambda: status(place, "/insight/3").status_code == 200)
    assert "default-src 'none'" in status(place, "/insight/3").headers["content-security-policy"]
    assert json.loads(status(place, "/insight/3.json").text)["edition"] == "public"
    assert '<a href="insight/3">' in status(place, "/").text
    assert "insight report 3" in unescape(admin.get("/admin/log").text)
    send(admin, admin.get(PAGE), f"{PAGE}/3/withdraw", {})
    eventually(lambda: status(place, "/insight/3").status_code == 404)


def test_a_report_that_names_anyone_is_not_published_and_the_page_says_why(place, admin):
    path = Path(place.instance.environ["STORMPETREL_DATA_DIR"]) / "insight" / "attack-3-public.md"
    before = path.read_text()
    path.write_text(before + "\nHackers.\n")
    answer = send(admin, admin.get(PAGE), f"{PAGE}/3/publish", {})
    path.write_text(before)
    assert answer.status_code == 422
    assert "'Hackers' names an actor" in unescape(answer.text)
    assert order(admin, "9/publish").status_code == 422
    assert order(admin, "9/withdraw").status_code == 422
    assert order(admin, "3/burn").status_code == 404
    assert order(admin, "x/publish").status_code == 404


def test_an_operators_incident_is_in_the_journal_for_the_report(place):
    place.instance.run_cli("incident", "start", "Slow pages", "--text", "We look into it.")
    raw = sqlite3.connect(Path(place.instance.environ["STORMPETREL_DATA_DIR"]) / "journal.sqlite")
    statement = "SELECT text, because FROM entries WHERE kind = 'incident'"
    eventually(lambda: raw.execute(statement).fetchall() == [("Slow pages", "start")])
    raw.close()


def test_the_journal_says_that_the_report_was_written(place, admin):
    raw = sqlite3.connect(Path(place.instance.environ["STORMPETREL_DATA_DIR"]) / "journal.sqlite")

    def texts():
        return [row[0] for row in raw.execute("SELECT text FROM entries WHERE kind = 'watch'")]

    eventually(lambda: "the report about attack 3 was written" in texts())
    raw.close()
