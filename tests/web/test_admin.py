"""Who waits to be let in: seen and decided by administrators alone."""

from __future__ import annotations

import pytest

from stormpetrel.model.account import AccountState, Role
from stormpetrel.rules import accounts
from tests.forms import form_to, send
from tests.place import SESSION_COOKIE, running_place, sign_in


@pytest.fixture
def place(database_url, tmp_path):
    with running_place(database_url, tmp_path, registration="approval") as running:
        running.add_person("Chief", role=Role.ADMIN)
        running.add_person("Nino")
        yield running


def wait_at_the_door(place, name, reason="I like birds"):
    return place.add_person(name, registration="approval", reason=reason)


def test_an_admin_sees_who_waits_and_why(place):
    wait_at_the_door(place, "Lomi", "I like <birds>")
    wait_at_the_door(place, "Dato")
    with place.browser() as browser:
        sign_in(browser, "Chief")
        page = browser.get("/admin/sign_ups")
        assert page.status_code == 200
        assert "I like &lt;birds&gt;" in page.text
        assert "Lomi@example.org" in page.text
        assert page.text.index("@Lomi<") < page.text.index("@Dato<")
        assert "@Nino<" not in page.text.partition("<main")[2].partition("</main>")[0]


def test_an_admin_lets_somebody_in(place):
    lomi = wait_at_the_door(place, "Lomi")
    with place.browser() as browser:
        sign_in(browser, "Chief")
        answer = send(browser, browser.get("/admin/sign_ups"), f"/admin/sign_ups/{lomi}/approve")
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin/sign_ups")
        assert "Nobody at the moment" in browser.get("/admin/sign_ups").text
    with place.browser() as browser:
        assert sign_in(browser, "Lomi").status_code == 303


def test_an_admin_turns_somebody_away_whose_name_is_free_again(place):
    lomi = wait_at_the_door(place, "Lomi")
    with place.browser() as browser:
        sign_in(browser, "Chief")
        answer = send(browser, browser.get("/admin/sign_ups"), f"/admin/sign_ups/{lomi}/reject")
        assert answer.status_code == 303
    assert place.change(accounts.user_by_login, login="Lomi") is None
    assert wait_at_the_door(place, "Lomi") != lomi


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_nobody_but_an_admin_sees_or_decides(place, decision):
    lomi = wait_at_the_door(place, "Lomi")
    path = f"/admin/sign_ups/{lomi}/{decision}"
    with place.browser() as browser:
        assert browser.get("/admin/sign_ups").headers["location"] == "/auth/sign_in?next=/admin/sign_ups"
        assert browser.post(path).headers["location"].startswith("/auth/sign_in")
        sign_in(browser, "Nino")
        refused = browser.get("/admin/sign_ups")
        assert refused.status_code == 403
        assert "Lomi" not in refused.text
        csrf = form_to(refused, "/auth/sign_out").fields["csrf"]
        assert browser.post(path, data={"csrf": csrf}).status_code == 403
    assert place.change(accounts.user, account_id=lomi).state is AccountState.PENDING


def test_an_admins_browser_cannot_be_made_to_decide_by_another_site(place):
    lomi = wait_at_the_door(place, "Lomi")
    path = f"/admin/sign_ups/{lomi}/approve"
    with place.browser() as browser:
        sign_in(browser, "Chief")
        assert browser.post(path).status_code == 403
        fields = form_to(browser.get("/admin/sign_ups"), path).fields
        assert browser.post(path, data=fields, headers={"origin": "https://evil.example"}).status_code == 403
    assert place.change(accounts.user, account_id=lomi).state is AccountState.PENDING


def test_an_admins_token_opens_no_page(place):
    chief = place.change(accounts.user_by_login, login="Chief").account_id
    with place.app(place.add_token(chief, "read", "write")) as app:
        assert app.get("/admin/sign_ups").headers["location"].startswith("/auth/sign_in")
        assert SESSION_COOKIE not in app.cookies


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_deciding_about_somebody_who_does_not_wait_is_an_error(place, decision):
    nino = place.change(accounts.user_by_login, login="Nino").account_id
    with place.browser() as browser:
        sign_in(browser, "Chief")
        csrf = form_to(browser.get("/about"), "/auth/sign_out").fields["csrf"]
        for account_id, status in ((nino, 422), (12345, 404), ("nobody", 404)):
            answer = browser.post(f"/admin/sign_ups/{account_id}/{decision}", data={"csrf": csrf})
            assert answer.status_code == status
    assert place.change(accounts.user, account_id=nino).state is AccountState.ACTIVE
