"""The account page: the e-mail address, the sessions, and deletion; only for the owner."""

from __future__ import annotations

import pytest

from stormpetrel.rules import access
from tests.forms import form_to, forms_of, send, sign_in, signed_in_as
from tests.people import PASSWORD, now_ms

PAGE = "/settings/account"


@pytest.fixture
def nino(place):
    return place.person("Nino")


@pytest.mark.parametrize("path", [PAGE, "/settings/delete"])
def test_the_account_pages_are_for_members(place, path):
    with place.client() as browser:
        assert browser.get(path).headers["location"].startswith("/auth/sign_in")


def test_the_page_lists_browsers_and_apps_and_ends_them(place, nino):
    with place.client() as browser, place.client() as other:
        firefox = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"}
        other.headers.update(firefox)
        sign_in(browser, nino.username)
        sign_in(other, nino.username)
        page = browser.get(PAGE)
        assert "Firefox on Linux" in page.text
        assert "(this one)" in page.text
        assert "Command line" in page.text
        own = [form.action for form in forms_of(page) if form.action.startswith("/settings/sessions/")]
        assert len(own) == 2
        # The newest is first, and belongs to the other browser.
        assert send(browser, page, own[0]).status_code == 303
        assert signed_in_as(other) is None
        assert signed_in_as(browser) == nino.username
        (app,) = [form.action for form in forms_of(page) if form.action.startswith("/settings/apps/")]
        assert send(browser, page, app).status_code == 303
        assert nino.http.get("/api/v1/accounts/verify_credentials").status_code == 401
        assert send(browser, page, app).status_code == 404


def test_nobody_ends_somebody_elses_session_or_app(place, nino):
    maia = place.person("Maia")
    with place.client() as browser, place.client() as other:
        sign_in(browser, nino.username)
        sign_in(other, maia.username)
        theirs = next(
            form.action for form in forms_of(other.get(PAGE)) if form.action.startswith("/settings/sessions/")
        )
        page = browser.get(PAGE)
        own = next(form for form in forms_of(page) if form.action.startswith("/settings/sessions/"))
        assert browser.post(theirs, data=own.fields).status_code == 404
        assert browser.post(theirs, data={}).status_code == 403
        assert signed_in_as(other) == maia.username


def test_a_new_address_needs_the_password_and_must_be_free(place, nino):
    maia = place.person("Maia")
    with place.client() as browser:
        sign_in(browser, nino.username)
        for address, password, marked in (
            ("new@example.org", "not the password", "user_current_password_problem"),
            (maia.email.upper(), PASSWORD, "user_email_problem"),
            ("nonsense", PASSWORD, "user_email_problem"),
        ):
            typed = {"user[email]": address, "user[current_password]": password}
            answer = send(browser, browser.get(PAGE), f"{PAGE}/address", typed)
            assert answer.status_code == 422
            assert f'id="{marked}"' in answer.text
        fresh = f"new_{nino.email}"
        typed = {"user[email]": fresh, "user[current_password]": PASSWORD}
        answer = send(browser, browser.get(PAGE), f"{PAGE}/address", typed)
        assert answer.headers["location"] == f"{PAGE}?done=changed"
    with place.client() as browser:
        assert sign_in(browser, nino.email).status_code == 422
        assert sign_in(browser, fresh).status_code == 303


def test_deleting_the_account_needs_the_password_and_is_for_good(place, nino):
    post = nino.post("Farewell")
    with place.client() as browser:
        sign_in(browser, nino.username)
        page = browser.get("/settings/delete")
        wrong = send(browser, page, "/settings/delete", {"user[current_password]": "a guess at it"})
        assert wrong.status_code == 422
        assert place.visitor.get(f"/@{nino.username}").status_code == 200
        assert browser.post("/settings/delete", data={"user[current_password]": PASSWORD}).status_code == 403
        done = send(browser, page, "/settings/delete", {"user[current_password]": PASSWORD})
        assert (done.status_code, done.headers["location"]) == (303, "/auth/sign_in?done=deleted")
        assert signed_in_as(browser) is None
        assert sign_in(browser, nino.username).status_code == 422
    assert place.visitor.get(f"/@{nino.username}").status_code == 404
    assert place.visitor.get(f"/api/v1/statuses/{post['id']}").status_code == 404


def test_a_session_that_still_works_is_listed_however_old(place, nino):
    old_ms = now_ms() - access.SESSION_AGE_S * 1000 + 60_000
    place.write(access.start_session, account_id=nino.id, now_ms=old_ms, browser="Opera on Windows")
    with place.client() as browser:
        sign_in(browser, nino.username)
        page = browser.get(PAGE)
    assert "Opera on Windows" in page.text
    assert form_to(page, f"{PAGE}/address").method == "post"
