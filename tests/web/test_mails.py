"""Links in mails, from the request to the use, for a person with a mailbox and a browser without scripts."""

from __future__ import annotations

import secrets
import time

import httpx
import pytest

from stormpetrel.model import quota
from stormpetrel.model.mail import LIFETIME_MS, Purpose, new_link
from stormpetrel.rules import accounts
from stormpetrel.rules import mail as mail_rules
from tests.forms import SESSION_COOKIE, form_to, send, sign_in, signed_in_as
from tests.mailbox import link_in, link_of, mails_to, next_mail
from tests.people import PASSWORD, now_ms

NEW = "another long password"


@pytest.fixture
def nino(place):
    return place.person("Nino")


def ask(browser, login):
    return send(browser, browser.get("/auth/password/new"), "/auth/password/new", {"user[email]": login})


def test_who_forgot_the_password_chooses_a_new_one_by_a_link_and_everything_else_ends(place, nino):
    with place.client() as browser, place.client() as other:
        sign_in(other, nino.username)
        page = browser.get("/auth/sign_in")
        assert 'href="/auth/password/new"' in page.text
        asked = ask(browser, nino.email)
        assert (asked.status_code, asked.headers["location"]) == (303, "/auth/mail_sent")
        link = link_in(next_mail(place, nino.email), place)
        page = browser.get(link)
        assert page.status_code == 200
        done = send(browser, page, "/auth/password/edit", {"user[password]": NEW})
        assert (done.status_code, done.headers["location"]) == (303, "/auth/sign_in?done=password")
        assert SESSION_COOKIE not in browser.cookies
        assert signed_in_as(other) is None
        assert browser.get(link).status_code == 404
        again = browser.post("/auth/password/edit", data=form_to(page, "/auth/password/edit").fields)
        assert again.status_code == 404
        assert sign_in(browser, nino.username).status_code == 422
        assert sign_in(browser, nino.username, NEW).status_code == 303
    assert nino.http.get("/api/v1/accounts/verify_credentials").status_code == 401
    notice = next_mail(place, nino.email, count=2)
    assert "password was changed" in notice["Subject"]
    assert "token=" not in notice.get_content()


def test_asking_tells_nobody_who_has_an_account(place, nino):
    with place.client() as browser:
        answers = [
            ask(browser, login) for login in (nino.email, nino.username, "nobody@example.org", "Nobody")
        ]
    seen = {(answer.status_code, answer.headers["location"], answer.text) for answer in answers}
    assert seen == {(303, "/auth/mail_sent", "")}
    next_mail(place, nino.email, count=2)
    assert mails_to(place, "nobody@example.org") == []


def test_one_network_asks_for_one_login_a_few_times_and_then_waits(place):
    login = f"nobody_{secrets.token_hex(4)}@example.org"
    with place.client() as browser:
        answers = [ask(browser, login) for _ in range(quota.MAIL_PAIR.burst + 1)]
    assert [answer.status_code for answer in answers] == [303] * quota.MAIL_PAIR.burst + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= quota.MAIL_PAIR.every_s


def test_a_member_asks_for_mails_to_others_no_more_often_than_a_stranger(place, nino):
    """An account's device is known to that account alone, whatever logins are typed on it."""
    most = quota.MAIL_DEVICE.burst + quota.MAIL_NETWORK.burst
    transport = httpx.HTTPTransport(local_address="127.21.1.1")
    with httpx.Client(base_url=place.base_url, timeout=20, transport=transport) as browser:
        sign_in(browser, nino.username)
        send(browser, browser.get("/about"), "/auth/sign_out")
        page = browser.get("/auth/password/new")
        logins = [{"user[email]": f"{secrets.token_hex(4)}@example.org"} for _ in range(most + 1)]
        statuses = [send(browser, page, "/auth/password/new", login).status_code for login in logins]
    assert statuses == [303] * most + [429]


def test_strangers_who_ask_use_up_nothing_of_the_owners(place, nino):
    """Requests from a hundred networks cause few mails, and the owner's own device still gets one."""
    user = place.write(accounts.user, account_id=nino.id)

    def asked(device_of):
        link = new_link(b"x" * 32, secrets.token_hex(24))
        wanted = mail_rules.LinkWanted(
            Purpose.RESET.value, user.username, link.nonce, link.token_hash.hex(), device_of
        )
        place.write(mail_rules.send_wanted, wanted=wanted, user=user, now_ms=now_ms())

    for _ in range(100):
        asked(0)
    next_mail(place, nino.email, quota.MAIL_STRANGERS.burst)
    asked(nino.id + 1)
    asked(nino.id)
    next_mail(place, nino.email, quota.MAIL_STRANGERS.burst + 1)
    time.sleep(0.5)
    assert len(mails_to(place, nino.email)) == quota.MAIL_STRANGERS.burst + 1


def test_a_mailbox_that_strangers_have_mails_sent_to_always_holds_a_link_that_works():
    assert quota.MAIL_STRANGERS.every_ms < min(LIFETIME_MS[Purpose.RESET], LIFETIME_MS[Purpose.SIGN_IN])


def test_a_link_in_a_mail_signs_in_once_and_the_password_stays(place, nino):
    with place.client() as browser, place.client() as other:
        page = browser.get("/auth/sign_in")
        assert 'href="/auth/sign_in/mail"' in page.text
        page = browser.get("/auth/sign_in/mail")
        asked = send(browser, page, "/auth/sign_in/mail", {"user[email]": nino.username})
        assert (asked.status_code, asked.headers["location"]) == (303, "/auth/mail_sent")
        link = link_in(next_mail(place, nino.email), place)
        page = browser.get(link)
        assert signed_in_as(browser) is None
        done = send(browser, page, "/auth/sign_in/link")
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert signed_in_as(browser) == nino.username
        assert other.get(link).status_code == 404
        assert sign_in(other, nino.username).status_code == 303


@pytest.mark.parametrize("login", ["", " ", "a\0b"])
def test_asking_for_nothing_is_refused(place, login):
    with place.client() as browser:
        assert ask(browser, login).status_code == 422


def test_a_page_with_a_link_in_its_address_tells_it_to_nobody(place, nino):
    token = link_of(place, nino.id)
    with place.client() as browser:
        page = browser.get(f"/auth/password/edit?token={token}")
    assert page.headers.get_list("referrer-policy") == ["strict-origin"]
    assert "no-store" in page.headers["cache-control"]
    # Once, in the form.
    assert page.text.count(token) == 1
    assert token not in place.instance.log


def test_a_link_that_does_not_work_is_the_same_404_whatever_is_wrong(place, nino):
    used, confirming = link_of(place, nino.id), "0" * 48
    with place.client() as browser:
        page = browser.get(f"/auth/password/edit?token={used}")
        send(browser, page, "/auth/password/edit", {"user[password]": NEW})
        for token in (used, confirming, "", "x" * 5000, "%00", "\u00e9"):
            for path in ("/auth/password/edit", "/auth/confirm"):
                assert browser.get(path, params={"token": token}).status_code == 404, (path, token)


def test_a_password_too_short_does_not_use_the_link_up(place, nino):
    token = link_of(place, nino.id)
    with place.client() as browser:
        page = browser.get(f"/auth/password/edit?token={token}")
        short = send(browser, page, "/auth/password/edit", {"user[password]": "short"})
        assert short.status_code == 422
        assert 'id="user_password_problem"' in short.text
        assert send(browser, short, "/auth/password/edit", {"user[password]": NEW}).status_code == 303


@pytest.mark.parametrize(
    "path", ["/auth/password/new", "/auth/password/edit", "/auth/confirm", "/auth/confirmation"]
)
def test_no_form_around_mails_works_without_its_token(place, path):
    with place.client() as browser:
        assert browser.post(path, data={"user[email]": "x", "token": "x"}).status_code == 403


def test_changing_the_password_ends_links_and_is_told(place, nino):
    token = link_of(place, nino.id)
    with place.client() as browser:
        sign_in(browser, nino.username)
        typed = {"user[current_password]": PASSWORD, "user[password]": NEW}
        assert send(browser, browser.get("/auth/password"), "/auth/password", typed).status_code == 303
        assert browser.get(f"/auth/password/edit?token={token}").status_code == 404
    assert "changed" in next_mail(place, nino.email, count=2)["Subject"]


@pytest.mark.parametrize(
    "path", ["/auth/mail_sent", "/auth/password/new", "/auth/sign_in/mail", "/status/subscribed"]
)
def test_a_place_that_sends_no_mails_says_so_where_one_is_asked_for(place, path):
    page = place.visitor.get(path).text
    assert "does not send e-mail at the moment" in page
    assert "we sent an e-mail" not in page.lower()
    assert "we will e-mail" not in page.lower()
    assert "check your inbox" not in page.lower()


@pytest.mark.parametrize("path", ["/status/subscribe", "/status/subscribed"])
def test_without_mail_the_page_says_what_else_brings_updates(place, path):
    page = place.visitor.get(path).text
    assert "does not send e-mail at the moment" in page
    assert "URL of a webhook" in page
    assert 'href="/status"' in page
    assert "Ask the admins" not in page
