"""Pending sign-ups: only administrators see and decide them."""

from __future__ import annotations

import secrets

import pytest

from stormpetrel.model.account import AccountState, Role
from stormpetrel.rules import accounts
from tests.forms import SESSION_COOKIE, form_to, send, sign_in
from tests.people import now_ms, password_hash

PAGE = "/admin/sign_ups"


@pytest.fixture
def chief(place):
    """Create an administrator."""
    return place.person("Chief", role=Role.ADMIN)


@pytest.fixture
def nino(place):
    """Create a member."""
    return place.person("Nino")


@pytest.fixture
def name():
    """Return a unique username."""
    return f"Lomi_{secrets.token_hex(4)}"


def test_the_overview_names_the_tasks_that_its_reader_has(place, chief):
    for person, said in (
        (chief, "Reports, sign-ups and the operation of the server"),
        (place.person("Moderator", role=Role.MODERATOR), "Reports and the audit log"),
    ):
        browser = place.client()
        sign_in(browser, person.username)
        page = browser.get("/admin").text
        assert f'<p class="sub">{said}</p>' in page
        assert ("/admin/sign_ups" in page) == (person is chief)


def wait_at_the_door(place, name, reason="I like birds"):
    """Sign up an account that waits for approval. Return its id."""
    return place.write(
        accounts.sign_up,
        username=name,
        email=f"{name}@example.org",
        password_hash=password_hash(),
        reason=reason,
        locale="en",
        registration="approval",
        now_ms=now_ms(),
    ).id


def test_an_admin_sees_who_waits_and_why(place, chief, nino, name):
    wait_at_the_door(place, name, "I like <birds>")
    wait_at_the_door(place, f"{name}_2")
    with place.client() as browser:
        sign_in(browser, chief.username)
        page = browser.get(PAGE)
        assert page.status_code == 200
        assert "I like &lt;birds&gt;" in page.text
        assert f"{name}@example.org" in page.text
        assert '<a href="/admin">Moderation</a> · oldest first' in page.text
        assert page.text.index(f"@{name}<") < page.text.index(f"@{name}_2<")
        assert f"@{nino.username}<" not in page.text.partition("<main")[2].partition("</main>")[0]


def test_an_admin_lets_somebody_in(place, chief, name):
    lomi = wait_at_the_door(place, name)
    with place.client() as browser:
        sign_in(browser, chief.username)
        answer = send(browser, browser.get(PAGE), f"/admin/sign_ups/{lomi}/approve")
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
        assert name not in browser.get(PAGE).text
    with place.client() as browser:
        assert sign_in(browser, name).status_code == 303


def test_an_admin_turns_somebody_away_whose_name_is_free_again(place, chief, name):
    lomi = wait_at_the_door(place, name)
    with place.client() as browser:
        sign_in(browser, chief.username)
        answer = send(browser, browser.get(PAGE), f"/admin/sign_ups/{lomi}/reject")
        assert answer.status_code == 303
    assert place.write(accounts.user_by_login, login=name) is None
    assert wait_at_the_door(place, name) != lomi


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_nobody_but_an_admin_sees_or_decides(place, nino, name, decision):
    lomi = wait_at_the_door(place, name)
    path = f"/admin/sign_ups/{lomi}/{decision}"
    with place.client() as browser:
        assert browser.get(PAGE).headers["location"] == "/auth/sign_in?next=/admin/sign_ups"
        assert browser.post(path).headers["location"].startswith("/auth/sign_in")
        sign_in(browser, nino.username)
        refused = browser.get(PAGE)
        assert refused.status_code == 403
        assert name not in refused.text
        csrf = form_to(refused, "/auth/sign_out").fields["csrf"]
        assert browser.post(path, data={"csrf": csrf}).status_code == 403
    assert place.write(accounts.user, account_id=lomi).state is AccountState.PENDING


def test_an_admins_browser_cannot_be_made_to_decide_by_another_site(place, chief, name):
    lomi = wait_at_the_door(place, name)
    path = f"/admin/sign_ups/{lomi}/approve"
    with place.client() as browser:
        sign_in(browser, chief.username)
        assert browser.post(path).status_code == 403
        fields = form_to(browser.get(PAGE), path).fields
        assert browser.post(path, data=fields, headers={"origin": "https://evil.example"}).status_code == 403
    assert place.write(accounts.user, account_id=lomi).state is AccountState.PENDING


def test_an_admins_token_opens_no_page(place, chief):
    with place.client(chief.token) as app:
        assert app.get(PAGE).headers["location"].startswith("/auth/sign_in")
        assert SESSION_COOKIE not in app.cookies


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_deciding_about_somebody_who_does_not_wait_is_an_error(place, chief, nino, decision):
    with place.client() as browser:
        sign_in(browser, chief.username)
        csrf = form_to(browser.get("/about"), "/auth/sign_out").fields["csrf"]
        for account_id, status in ((nino.id, 422), (12345, 404), ("nobody", 404)):
            answer = browser.post(f"/admin/sign_ups/{account_id}/{decision}", data={"csrf": csrf})
            assert answer.status_code == status
    assert place.write(accounts.user, account_id=nino.id).state is AccountState.ACTIVE
