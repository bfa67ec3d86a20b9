"""Device cookies: set at sign-in, retained after it, and worthless on their own."""

from __future__ import annotations

import time

import pytest

from stormpetrel.config import Config
from stormpetrel.process import secret
from stormpetrel.shield.cookies import read
from stormpetrel.shield.marks import DEVICE_COOKIE, mint_device
from tests.forms import SESSION_COOKIE, send, sign_in, signed_in_as


@pytest.fixture
def nino(place):
    return place.person("Nino")


@pytest.fixture
def maia(place):
    return place.person("Maia")


def sign_out(browser):
    send(browser, browser.get("/about"), "/auth/sign_out")


def secret_of(place):
    """Return the secret with which the running instance signs."""
    return secret.load(Config(data_dir=place.instance.directory / "data"))


def test_a_browser_that_signed_in_is_known_also_when_it_has_signed_out(place, nino):
    with place.client() as browser:
        answer = sign_in(browser, nino.username)
        line = next(v for v in answer.headers.get_list("set-cookie") if v.startswith(DEVICE_COOKIE))
        assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000"} <= set(line.split("; "))
        kept = browser.cookies[DEVICE_COOKIE]
        sign_out(browser)
        assert signed_in_as(browser) is None
        assert browser.cookies[DEVICE_COOKIE] == kept
        # Signing in again does not renew the cookie: its value is its age.
        again = sign_in(browser, nino.username)
        assert not [v for v in again.headers.get_list("set-cookie") if v.startswith(DEVICE_COOKIE)]


def test_a_wrong_password_makes_no_known_device(place, nino):
    with place.client() as browser:
        sign_in(browser, nino.username, "wrong password")
        assert DEVICE_COOKIE not in browser.cookies


def test_another_persons_device_is_known_for_them_from_now_on_only(place, nino, maia):
    with place.client() as browser:
        sign_in(browser, nino.username)
        before = browser.cookies[DEVICE_COOKIE]
        sign_out(browser)
        sign_in(browser, maia.username)
        assert browser.cookies[DEVICE_COOKIE] != before


def test_a_device_cookie_opens_nothing(place, nino):
    with place.client() as browser:
        sign_in(browser, nino.username)
        device = browser.cookies[DEVICE_COOKIE]
    with place.client() as thief:
        thief.cookies.set(DEVICE_COOKIE, device)
        assert signed_in_as(thief) is None
        thief.cookies.set(SESSION_COOKIE, device)
        assert signed_in_as(thief) is None


def test_a_session_begun_on_a_known_device_is_as_old_as_that(place, nino):
    """An account that signs in again during an attack is thereby not mistaken for a part of it."""
    key = secret_of(place)
    for account_id, is_known in ((nino.id, True), (nino.id + 1, False)):
        with place.client() as browser:
            device = mint_device(key, mark_id=5, account_id=account_id, at_s=1_700_000_000)
            old_enough = mint_device(key, mark_id=5, account_id=account_id, at_s=int(time.time()) - 86_400)
            browser.cookies.set(DEVICE_COOKIE, old_enough if is_known else device)
            sign_in(browser, nino.username)
            claims = read(key, browser.cookies[SESSION_COOKIE])
            assert claims is not None
            assert claims.account_id == nino.id
            assert (claims.issued_at_s < time.time() - 80_000) == is_known
