"""Two-factor authentication: an authenticator app and recovery codes, in a browser without scripts."""

from __future__ import annotations

import json
import re
import time
from base64 import urlsafe_b64encode as b64encode
from types import SimpleNamespace

import pyotp
import pytest

from stormpetrel.model import quota
from stormpetrel.model.second_factor import RECOVERY_CODES, STEP_S
from stormpetrel.rules import second_factors
from stormpetrel.storage.engine.statement import sql
from stormpetrel.web import proofs
from tests.forms import send, sign_in, signed_in_as
from tests.http.test_passwords import client_at
from tests.mailbox import link_in, mails_to, next_mail
from tests.people import PASSWORD

OWN = {"user[current_password]": PASSWORD}
STORED = sql("SELECT sealed_secret FROM authenticators WHERE account_id = :account_id")


@pytest.fixture
def nino(place):
    return place.person("Nino")


def set_up_app(browser):
    """Set up an authenticator app. Return the app and the recovery codes that were shown."""
    page = browser.get("/settings/security")
    offered = send(browser, page, "/settings/security/app", OWN)
    assert offered.status_code == 200
    assert "<svg" in offered.text
    key = re.search(r"Key: <code>([A-Z2-7 ]+)</code>", offered.text)[1].replace(" ", "")
    app = pyotp.TOTP(key)
    # Use the previous step, so that the current one is still unused.
    confirmed = send(
        browser, offered, "/settings/security/app/confirm", {"code": app.at(time.time() - STEP_S)}
    )
    assert confirmed.status_code == 200, confirmed.text
    return app, re.findall(r"<code>([a-z0-9-]{19})</code>", confirmed.text)


@pytest.fixture
def protected(place, nino):
    """Return (person, app, recovery codes) of an account with an app."""
    with place.client() as browser:
        sign_in(browser, nino.username)
        app, codes = set_up_app(browser)
    return nino, app, codes


def second_step(browser, code):
    page = browser.get("/auth/sign_in/second")
    return send(browser, page, "/auth/sign_in/second", {"code": code})


def test_with_an_app_signing_in_takes_its_code_and_a_code_works_once(place, protected):
    nino, app, _ = protected
    code = app.now()
    with place.client() as browser, place.client() as other:
        first = sign_in(browser, nino.username, after="/about")
        assert (first.status_code, first.headers["location"]) == (303, "/auth/sign_in/second?next=/about")
        assert signed_in_as(browser) is None
        page = browser.get(first.headers["location"])
        done = send(browser, page, "/auth/sign_in/second", {"code": f"{code[:3]} {code[3:]}"})
        assert (done.status_code, done.headers["location"]) == (303, "/about")
        assert signed_in_as(browser) == nino.username
        sign_in(other, nino.username)
        again = second_step(other, code)
        assert again.status_code == 422
        assert "was already used" in again.text
        assert signed_in_as(other) is None


def test_a_recovery_code_works_once_however_it_is_typed(place, protected):
    nino, _, codes = protected
    assert len(codes) == len(set(codes)) == RECOVERY_CODES
    with place.client() as browser:
        sign_in(browser, nino.username)
        assert second_step(browser, codes[0].upper().replace("-", " ")).status_code == 303
        assert f"{RECOVERY_CODES - 1} left" in browser.get("/settings/security").text
    with place.client() as browser:
        sign_in(browser, nino.username)
        assert second_step(browser, codes[0]).status_code == 422
        assert second_step(browser, codes[1]).status_code == 303


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666", "a" * 19]
)
def test_what_is_no_code_lets_nobody_in(place, protected, code):
    nino, _, _ = protected
    with place.client() as browser:
        sign_in(browser, nino.username)
        assert second_step(browser, code).status_code == 422
        assert signed_in_as(browser) is None


def test_the_second_step_alone_leads_back_to_the_first(place, protected):
    nino, app, _ = protected
    with place.client() as browser:
        assert browser.get("/auth/sign_in/second").headers["location"] == "/auth/sign_in"
        page = browser.get("/auth/sign_in")
        from tests.forms import form_to

        csrf = form_to(page, "/auth/sign_in").fields["csrf"]
        answer = browser.post("/auth/sign_in/second", data={"csrf": csrf, "code": app.now()})
        assert (answer.status_code, answer.headers["location"]) == (303, "/auth/sign_in")
        assert sign_in(browser, nino.username, "a wrong one").status_code == 422
        assert browser.get("/auth/sign_in/second").status_code == 303


def test_a_first_step_with_the_old_password_leads_nowhere(place, protected):
    from stormpetrel.process.cpu_worker import hash_password_now
    from stormpetrel.rules import accounts

    nino, _, codes = protected
    with place.client() as browser:
        sign_in(browser, nino.username)
        page = browser.get("/auth/sign_in/second")
        place.write(
            accounts.set_password, account_id=nino.id, password_hash=hash_password_now("another one here")
        )
        answer = send(browser, page, "/auth/sign_in/second", {"code": codes[0]})
        assert answer.headers["location"] == "/auth/sign_in"
        assert signed_in_as(browser) is None


def test_codes_cannot_be_guessed(place, protected):
    nino, _, codes = protected
    with client_at(place, "127.30.1.1") as thief, place.client() as owner:
        sign_in(thief, nino.username)
        statuses = [second_step(thief, f"{number:06}").status_code for number in range(12)]
        assert statuses.count(422) <= quota.GUESS_PAIR[0].burst
        assert statuses[-1] == 429
        # The owner's own device is not affected.
        sign_in(owner, nino.username)
        assert second_step(owner, codes[3]).status_code == 303


def test_a_link_in_a_mail_does_not_pass_the_second_step(place, protected):
    nino, _, codes = protected
    next_mail(place, nino.email)
    with place.client() as browser:
        page = browser.get("/auth/sign_in/mail")
        send(browser, page, "/auth/sign_in/mail", {"user[email]": nino.username})
        link = link_in(next_mail(place, nino.email, count=2), place)
        done = send(browser, browser.get(link), "/auth/sign_in/link")
        assert done.headers["location"] == "/auth/sign_in/second?next=/"
        assert second_step(browser, codes[0]).status_code == 303


def test_removing_the_app_takes_password_and_code_and_the_owner_hears_of_it(place, protected):
    nino, app, codes = protected
    assert "two-factor authentication was changed" in next_mail(place, nino.email)["Subject"]
    with place.client() as browser:
        sign_in(browser, nino.username)
        second_step(browser, app.now())
        for typed in (OWN, OWN | {"code": "000000"}, {"user[current_password]": "wrong", "code": codes[0]}):
            page = browser.get("/settings/security")
            assert send(browser, page, "/settings/security/app/remove", typed).status_code == 422
        page = browser.get("/settings/security")
        typed = OWN | {"code": codes[1]}
        assert send(browser, page, "/settings/security/app/remove", typed).status_code == 303
    with place.client() as browser:
        assert sign_in(browser, nino.username).headers["location"] == "/"
    assert place.write(second_factors.factors, account_id=nino.id).recovery_codes == 0
    next_mail(place, nino.email, count=2)


def test_new_recovery_codes_end_the_old_ones(place, protected):
    nino, app, codes = protected
    with place.client() as browser:
        sign_in(browser, nino.username)
        second_step(browser, codes[0])
        page = browser.get("/settings/security")
        typed = OWN | {"code": app.now()}
        shown = send(browser, page, "/settings/security/recovery_codes", typed)
        new = re.findall(r"<code>([a-z0-9-]{19})</code>", shown.text)
        assert len(new) == RECOVERY_CODES
        assert not set(new) & set(codes)
    with place.client() as browser:
        sign_in(browser, nino.username)
        assert second_step(browser, codes[1]).status_code == 422
        assert second_step(browser, new[0]).status_code == 303


def test_setting_an_app_up_needs_the_password_and_a_right_code(place, nino):
    with place.client() as browser:
        sign_in(browser, nino.username)
        page = browser.get("/settings/security")
        wrong = send(browser, page, "/settings/security/app", {"user[current_password]": "a wrong one"})
        assert wrong.status_code == 422
        offered = send(browser, page, "/settings/security/app", OWN)
        again = send(browser, offered, "/settings/security/app/confirm", {"code": "000000"})
        assert again.status_code == 422
        # The page offers the same key again, so that the app that was set up still matches.
        key = re.search(r"Key: <code>[A-Z2-7 ]+</code>", offered.text)[0]
        assert key in again.text
        forged = send(browser, offered, "/settings/security/app/confirm", {"code": "000000", "token": "x"})
        assert forged.status_code == 422
    assert not place.write(second_factors.factors, account_id=nino.id).any
    assert mails_to(place, nino.email) == []


def test_an_offer_to_somebody_else_is_worth_nothing(place, nino):
    maia = place.person("Maia")
    with place.client() as browser, place.client() as other:
        sign_in(browser, nino.username)
        sign_in(other, maia.username)
        offered = send(browser, browser.get("/settings/security"), "/settings/security/app", OWN)
        own = send(other, other.get("/settings/security"), "/settings/security/app", OWN)
        from tests.forms import form_to

        fields = form_to(offered, "/settings/security/app/confirm").fields
        key = re.search(r"Key: <code>([A-Z2-7 ]+)</code>", offered.text)[1].replace(" ", "")
        typed = {"token": fields["token"], "code": pyotp.TOTP(key).now()}
        assert send(other, own, "/settings/security/app/confirm", typed).status_code == 422


def test_neither_secret_nor_codes_are_stored_readably(place, protected):
    nino, app, _ = protected
    row = place.write(lambda connection: connection.one(STORED, account_id=nino.id))
    assert app.secret not in row[0]
    assert app.secret not in place.instance.log


def test_the_operator_removes_what_a_member_lost(place, protected):
    nino, _, _ = protected
    shown = place.instance.run_cli("user", "second-factor", nino.username)
    assert "an authenticator app" in shown.stdout
    place.instance.run_cli("user", "second-factor", nino.username, "--remove", "--yes")
    with place.client() as browser:
        assert sign_in(browser, nino.username).headers["location"] == "/"
    place.instance.run_cli("user", "second-factor", nino.username, "--remove", "--yes", expect_exit=2)


def test_without_a_name_there_are_no_passkeys(place, nino):
    """Browsers bind passkeys to a name, and this instance has only an IP address."""
    with place.client() as browser:
        sign_in(browser, nino.username)
        page = browser.get("/settings/security")
        assert "Passkeys need a server with a domain name" in page.text
        typed = OWN | {"csrf": page.text.partition('name="csrf" value="')[2].partition('"')[0]}
        assert browser.post("/settings/security/passkeys", data=typed).status_code == 403


def test_a_passkey_answer_that_no_browser_sends_is_refused_before_it_becomes_a_job():
    request = SimpleNamespace(site=SimpleNamespace(secret=b"s" * 32), now_ms=1_800_000_000_000)

    def answer(padding: str) -> str | None:
        made = proofs.challenge(request, account_id=1, purpose=proofs.ADD)  # type: ignore[arg-type]  # two fields
        encoded = b64encode(made.encode()).decode()
        client = b64encode(json.dumps({"challenge": encoded}).encode()).decode()
        credential = json.dumps({"response": {"clientDataJSON": client}, "x": padding}, ensure_ascii=False)
        return proofs.signed_challenge(request, credential, account_id=1, purpose=proofs.ADD)  # type: ignore[arg-type]  # the same

    assert answer("x" * 4_000) is not None
    # Within the limit of characters, but four bytes each.
    assert answer("\N{PILE OF POO}" * 4_000) is None
    assert answer("x" * 9_000) is None
