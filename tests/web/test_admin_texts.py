"""Announcements above Home: each member sees them until they dismiss them, which affects only themselves."""

from __future__ import annotations

import pytest

from stormpetrel.model.account import Role
from stormpetrel.web.pages import ANNOUNCEMENTS_SHOWN
from tests.forms import form_to, send


@pytest.fixture
def announce(place):
    """Yield a function that publishes an announcement as an admin and returns its id."""
    chief = place.person("Chief", role=Role.ADMIN)
    browser = place.browser_session(chief)

    def publish(text):
        page = browser.get("/admin/texts")
        assert send(browser, page, "/admin/texts/announce", {"text": text}).status_code == 303
        return chief.get("/api/v1/announcements")[0]["id"]

    yield publish
    for told in chief.get("/api/v1/announcements"):
        page = browser.get("/admin/texts")
        fields = form_to(page, "/admin/texts/withdraw").fields | {"id": told["id"]}
        browser.post("/admin/texts/withdraw", data=fields, headers={"origin": place.base_url})


def test_who_dismisses_one_is_rid_of_it_and_others_are_not(place, announce):
    nino, lomi = place.person("Nino"), place.person("Lomi")
    told = announce("A <b>storm</b> comes, see https://example.org")
    form = f"/announcements/{told}/dismiss"
    reader, other = place.browser_session(nino), place.browser_session(lomi)
    home = reader.get("/")
    assert "A &lt;b&gt;storm&lt;/b&gt; comes" in home.text
    assert "storm" not in place.visitor.get("/").text
    done = send(reader, home, form)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert "storm" not in reader.get("/").text
    assert nino.get("/api/v1/announcements")[0]["read"] is True
    assert "storm" in other.get("/").text
    assert "storm" in reader.get("/about").text


def test_one_that_an_app_dismissed_is_gone_from_home(place, announce):
    nino = place.person("Nino")
    told = announce("The harbour is closed")
    reader = place.browser_session(nino)
    assert "The harbour is closed" in reader.get("/").text
    nino.do(f"/api/v1/announcements/{told}/dismiss")
    assert "The harbour is closed" not in reader.get("/").text


def test_home_shows_the_newest_and_only_on_its_first_page(place, announce):
    nino = place.person("Nino")
    last = nino.post("A post")["id"]
    told = [announce(f"Number {number}") for number in range(ANNOUNCEMENTS_SHOWN + 1)]
    reader = place.browser_session(nino)
    home = reader.get("/").text
    assert [f"/announcements/{one}/dismiss" in home for one in told] == [False, *[True] * ANNOUNCEMENTS_SHOWN]
    assert "/announcements/" not in reader.get("/", params={"max_id": last}).text


def test_dismissing_needs_the_form_and_an_account(place, announce):
    told = announce("Stay")
    reader = place.browser_session(place.person("Nino"))
    assert reader.post(f"/announcements/{told}/dismiss").status_code == 403
    assert "Stay" in reader.get("/").text
    stranger = place.visitor.post(f"/announcements/{told}/dismiss")
    assert stranger.headers["location"].startswith("/auth/sign_in")
