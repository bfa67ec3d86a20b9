"""Guessing passwords: which guesses are checked, which are refused, and that owners can always sign in."""

from __future__ import annotations

import asyncio
import threading
import unicodedata

import httpx
import pytest

from stormpetrel.config_loader import load
from stormpetrel.model import quota
from stormpetrel.process import secret
from stormpetrel.process.cpu_worker import hash_password_now
from stormpetrel.rules import accounts
from stormpetrel.shield import canary
from stormpetrel.shield.marks import DEVICE_COOKIE
from tests.forms import form_to, send, sign_in
from tests.guessing import flood
from tests.mailbox import mails_to, next_mail
from tests.people import NO_CERTIFICATES, PASSWORD, now_ms

CHECKED_IN_AN_HOUR = 100


@pytest.fixture
def nino(place):
    return place.person("Nino")


@pytest.fixture
def maia(place):
    return place.person("Maia")


def client_at(place, address):
    """Return a browser at that loopback address."""
    return httpx.Client(
        base_url=place.base_url,
        timeout=20,
        transport=httpx.HTTPTransport(local_address=address, verify=NO_CERTIFICATES),
    )


def guess(browser, login, count):
    """Return the answers to `count` wrong passwords."""
    page = browser.get("/auth/sign_in")
    typed = {"user[email]": login, "user[password]": "a wrong guess"}
    return [send(browser, page, "/auth/sign_in", typed) for _ in range(count)]


def test_a_network_that_guesses_is_refused_after_a_few_with_the_same_words_and_told_when(place, nino):
    with client_at(place, "127.20.1.1") as browser:
        answers = guess(browser, nino.username, quota.GUESS_PAIR[0].burst + 2)
        statuses = [answer.status_code for answer in answers]
        assert statuses == [422] * quota.GUESS_PAIR[0].burst + [429, 429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= quota.GUESS_PAIR[0].every_s
        alert = 'role="alert"'
        words = {answer.text.partition(alert)[2].partition("</div>")[0] for answer in answers}
        assert len(words) == 1
    # Another address of the same network is refused, even with the right password.
    with client_at(place, "127.20.1.200") as browser:
        assert sign_in(browser, nino.username).status_code == 429
    with client_at(place, "127.20.2.1") as browser:
        assert sign_in(browser, nino.username).status_code == 303


def test_a_name_that_nobody_has_is_refused_in_the_same_way(place):
    with client_at(place, "127.20.3.1") as browser:
        answers = guess(browser, "Nobody_at_all", quota.GUESS_PAIR[0].burst + 1)
        statuses = [answer.status_code for answer in answers]
    assert statuses == [422] * quota.GUESS_PAIR[0].burst + [429]


def mark_of_the_watch(place):
    """Return the header by which the instance recognises the test requests of its own watch."""
    key = secret.load(load(environ=place.instance.environ).config)
    return {canary.HEADER.decode(): canary.mark(key, at_epoch_s=now_ms() // 1000)}


def test_the_watch_may_try_to_sign_in_as_often_as_it_likes_and_its_mark_guesses_no_password(place, nino):
    tries = quota.GUESS_NETWORK.burst + 5
    with client_at(place, "127.20.12.1") as watch:
        watch.headers.update(mark_of_the_watch(place))
        assert {answer.status_code for answer in guess(watch, "nobody, a canary", tries)} == {422}
        statuses = [
            answer.status_code for answer in guess(watch, nino.username, quota.GUESS_PAIR[0].burst + 1)
        ]
        assert statuses == [422] * quota.GUESS_PAIR[0].burst + [429]
    # The watch's attempts used nothing of its network's quota.
    with client_at(place, "127.20.12.2") as browser:
        assert sign_in(browser, place.person("Oana").username).status_code == 303


def test_the_waits_grow():
    first, second, third = (one.every_s for one in quota.GUESS_PAIR)
    assert 8 * first <= second
    assert 8 * second <= third


def test_a_right_password_costs_nothing(place, nino):
    for _ in range(quota.GUESS_PAIR[0].burst + 2):
        with client_at(place, "127.20.4.1") as browser:
            assert sign_in(browser, nino.username).status_code == 303
            send(browser, browser.get("/about"), "/auth/sign_out")


def test_the_owner_signs_in_from_a_known_device_from_amid_the_guessers(place, nino):
    with client_at(place, "127.20.5.1") as owner, client_at(place, "127.20.5.2") as thief:
        sign_in(owner, nino.username)
        send(owner, owner.get("/about"), "/auth/sign_out")
        assert 429 in [answer.status_code for answer in guess(thief, nino.username, 12)]
        assert sign_in(owner, nino.username).status_code == 303


def test_a_device_counts_for_its_own_account_only(place, nino, maia):
    """A guesser with an account of their own is a stranger to every other account."""
    with client_at(place, "127.20.6.1") as browser:
        sign_in(browser, maia.username)
        send(browser, browser.get("/about"), "/auth/sign_out")
        assert DEVICE_COOKIE in browser.cookies
        statuses = [answer.status_code for answer in guess(browser, nino.username, 7)]
        assert statuses.count(422) == quota.GUESS_PAIR[0].burst
        sign_in(browser, maia.username)
        # The same while signed in as another account.
        page = browser.get("/auth/sign_in?again=1")
        typed = {"user[email]": nino.username, "user[password]": "a wrong guess"}
        assert send(browser, page, "/auth/sign_in", typed).status_code == 429


def test_a_device_that_was_stolen_has_a_few_guesses_too(place, nino):
    with client_at(place, "127.20.7.1") as browser:
        sign_in(browser, nino.username)
        send(browser, browser.get("/about"), "/auth/sign_out")
        statuses = [answer.status_code for answer in guess(browser, nino.username, 30)]
    own = quota.GUESS_DEVICE.burst + quota.GUESS_PAIR[0].burst
    assert statuses == [422] * own + [429] * (30 - own)


@pytest.mark.parametrize(
    ("page", "action", "typed"),
    [
        ("/auth/password", "/auth/password", {"user[password]": "a wholly different thing"}),
        ("/settings/account", "/settings/account/address", {"user[email]": "other@example.org"}),
        ("/settings/delete", "/settings/delete", {}),
    ],
)
def test_the_forms_that_ask_for_the_password_again_take_as_few_guesses(place, nino, page, action, typed):
    with place.client() as browser, place.client() as other:
        sign_in(browser, nino.username)
        sign_in(other, nino.username)
        shown = browser.get(page)
        typed = typed | {"user[current_password]": "a wrong guess"}
        statuses = [send(browser, shown, action, typed).status_code for _ in range(30)]
        few = quota.GUESS_SESSION.burst
        assert statuses == [422] * few + [429] * (30 - few)
        # The owner's other browser is not affected.
        shown = other.get("/auth/password")
        right = {"user[current_password]": PASSWORD, "user[password]": "a wholly different thing"}
        assert send(other, shown, "/auth/password", right).status_code == 303


def test_the_owner_is_told_once_a_day_by_mail_and_sees_it_on_the_account_page(place, nino):
    with client_at(place, "127.20.8.1") as thief, place.client() as owner:
        guess(thief, nino.username, quota.GUESS_PAIR[0].burst + 3)
        notice = next_mail(place, nino.email)
        assert "failed sign-ins" in notice["Subject"].lower()
        guess(thief, nino.username, 3)
        sign_in(owner, nino.username)
        shown = owner.get("/settings/account").text
        assert f"tried {quota.GUESS_PAIR[0].burst} wrong passwords" in shown
        assert "refused unchecked" in shown
    assert len(mails_to(place, nino.email)) == 1


def test_somebody_who_mistypes_gets_no_mail(place, nino):
    with client_at(place, "127.20.9.1") as browser:
        guess(browser, nino.username, 2)
        sign_in(browser, nino.username)
    assert mails_to(place, nino.email) == []


# Forms of a password


def test_a_password_from_another_keyboard_is_the_same(place, nino):
    written = "Ａ café wall"
    place.write(accounts.set_password, account_id=nino.id, password_hash=hash_password_now(written))
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        with place.client() as browser:
            assert sign_in(browser, nino.username, unicodedata.normalize(form, written)).status_code == 303


def test_a_password_that_was_set_in_another_form_works_on_and_is_hashed_anew(place, nino):
    from stormpetrel.process.cpu_worker import _hasher

    written = unicodedata.normalize("NFD", "café wall by the sea")
    old = _hasher.hash(written)
    place.write(accounts.set_password, account_id=nino.id, password_hash=old)
    with place.client() as browser:
        assert sign_in(browser, nino.username, written).status_code == 303
    assert place.write(accounts.user, account_id=nino.id).password_hash != old
    with place.client() as browser:
        composed = unicodedata.normalize("NFC", written)
        assert sign_in(browser, nino.username, composed).status_code == 303


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "12345678",
        " " * 8,
        "\u3164" * 9,
        "P@ssw0rd",
        "qwertyuiop",
        "aaaaaaaa",
        "NAMENAME",
        "NAME1234",
        "MAILMAIL",
    ],
)
def test_a_password_that_is_easy_to_guess_is_not_taken(place, nino, password):
    password = password.replace("NAME", nino.username).replace("MAIL", nino.email)
    with place.client() as browser:
        sign_in(browser, nino.username)
        typed = {"user[current_password]": PASSWORD, "user[password]": password}
        answer = send(browser, browser.get("/auth/password"), "/auth/password", typed)
        assert answer.status_code == 422
        assert 'id="user_password_problem"' in answer.text


# A flood


def test_under_a_flood_of_guesses_the_owner_gets_in_and_few_are_checked(place, nino):
    require_that_a_flood_finds_nothing(place, nino, seconds=8)


@pytest.mark.prove
@pytest.mark.timeout(400)
def test_under_a_long_flood_of_guesses_the_owner_gets_in_and_few_are_checked(place, nino):
    require_that_a_flood_finds_nothing(place, nino, seconds=120)


def require_that_a_flood_finds_nothing(place, nino, *, seconds):
    with place.client() as owner, place.client() as shown:
        sign_in(owner, nino.username)
        send(owner, owner.get("/about"), "/auth/sign_out")
        page = shown.get("/auth/sign_in")
        form = form_to(page, "/auth/sign_in").fields
        cookie = "; ".join(f"{name}={value}" for name, value in shown.cookies.items())
        port = int(place.base_url.rpartition(":")[2])
        outcomes = []
        flooding = threading.Thread(
            target=lambda: outcomes.append(
                asyncio.run(flood(port, nino.username, form=form, cookie=cookie, per_s=120, seconds=seconds))
            )
        )
        flooding.start()
        answers = []
        while flooding.is_alive():
            answers.append(sign_in(owner, nino.username).status_code)
            if answers[-1] == 303:
                send(owner, owner.get("/about"), "/auth/sign_out")
            flooding.join(1.0)
    (outcome,) = outcomes
    assert set(answers) == {303}
    assert outcome.statuses[422] <= CHECKED_IN_AN_HOUR
    assert outcome.statuses[303] == 0
    assert outcome.statuses[429] + outcome.statuses[503] >= outcome.statuses.total() - CHECKED_IN_AN_HOUR
    counted = place.write(guesses_lately, account_id=nino.id)
    assert counted.wrong <= CHECKED_IN_AN_HOUR


def guesses_lately(connection, *, account_id):
    from stormpetrel.rules.guesses import lately

    return lately(connection, account_id=account_id, now_ms=now_ms())
