"""Sign in with a code that is texted, then set a PIN, an address and a password, without a script."""

from __future__ import annotations

import re
import time

import pytest

from stormpetrel.rules import accounts, phones
from stormpetrel.web.own_password import PHONE_PROOF_COOKIE
from tests.forms import form_to, send, sign_in, signed_in_as
from tests.gateway.phones import Handset, Texting, new_number, route_settings
from tests.people import PASSWORD, now_ms

PAGE = "/auth/sign_in/phone"
CODE_PAGE = f"{PAGE}/code"
NEW_PASSWORD = "seven grey herons stand still"
_names = iter(range(1, 1000))


@pytest.fixture(scope="module")
def drop_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("drop")


@pytest.fixture(scope="module")
def place_settings(drop_directory):
    return route_settings(drop_directory)


@pytest.fixture(scope="module")
def texting(place, drop_directory):
    return Texting(place, drop_directory)


def joined(texting: Texting) -> tuple[str, Handset]:
    """Return the name of a new account that was made by text message, and its phone."""
    phone, name = texting.phone(), f"joined_{next(_names)}"
    phone.ask("START")
    assert name in phone.ask(name)
    return name, phone


def request_code(browser, number, after=""):
    page = browser.get(PAGE, params={"next": after} if after else None)
    return send(browser, page, PAGE, {"number": number})


def enter_code(browser, code):
    return send(browser, browser.get(CODE_PAGE), CODE_PAGE, {"code": code})


def code_from(phone: Handset) -> str:
    found = re.search(r"code is (\d{8})", phone.next_text())
    assert found is not None
    return found[1]


def account_of(place, name):
    return place.write(accounts.account_named, username=name)


def test_the_code_in_a_text_signs_in_and_leads_on(texting):
    name, phone = joined(texting)
    with texting.place.client() as browser:
        assert f'href="{PAGE}"' in browser.get("/auth/sign_in").text
        asked = request_code(browser, phone.number, "/notifications")
        assert asked.headers["location"] == f"{CODE_PAGE}?next=%2Fnotifications"
        code = code_from(phone)
        assert phone.log("out")[-1]["lane"] == 1
        wrong = enter_code(browser, "00000000" if code != "00000000" else "11111111")
        assert wrong.status_code == 422
        assert "Wrong code" in wrong.text
        with texting.place.client() as other:
            assert other.get(CODE_PAGE).headers["location"] == PAGE, "this browser has requested no code"
        page = browser.get(asked.headers["location"])
        done = send(browser, page, CODE_PAGE, {"code": f"{code[:4]} {code[4:]}"})
        assert done.headers["location"] == "/notifications"
        assert signed_in_as(browser) == name
        assert browser.get(CODE_PAGE).headers["location"] == PAGE, "the code is used"


def test_the_owner_sets_a_pin_an_address_and_a_password_and_signs_in_with_it(texting):
    name, phone = joined(texting)
    place = texting.place
    with place.client() as browser:
        request_code(browser, phone.number)
        enter_code(browser, code_from(phone))
        pin = send(browser, browser.get("/settings/phone"), "/settings/phone/pin", {"pin": "4711"})
        assert pin.headers["location"] == "/settings/phone?done=pin"
        page = browser.get("/settings/account")
        assert "Current address: none" in page.text
        assert "taken.invalid" not in page.text
        assert "Set a password" in page.text
        changed = send(
            browser, page, "/settings/account/address", {"user[email]": f"{name}@people.example.org"}
        )
        assert changed.status_code == 303, changed.text
        page = browser.get("/auth/password")
        assert "user[current_password]" not in form_to(page, "/auth/password").fields
        assert send(browser, page, "/auth/password", {"user[password]": NEW_PASSWORD}).status_code == 303
        # From now on, forms ask for the password.
        page = browser.get("/settings/phone")
        assert "user[current_password]" in form_to(page, "/settings/phone/pin").fields
        refused = send(
            browser, page, "/settings/phone/pin", {"pin": "4712", "user[current_password]": PASSWORD}
        )
        assert refused.status_code == 422
    with place.client() as browser:
        sign_in(browser, name, NEW_PASSWORD)
        assert signed_in_as(browser) == name


def test_without_a_recent_code_an_account_without_a_password_cannot_be_changed(texting):
    _name, phone = joined(texting)
    with texting.place.client() as browser:
        request_code(browser, phone.number)
        enter_code(browser, code_from(phone))
        proof = browser.cookies.get(PHONE_PROOF_COOKIE)
        browser.cookies.delete(PHONE_PROOF_COOKIE)
        for path, action in (
            ("/settings/phone", "/settings/phone/pin"),
            ("/settings/account", "/settings/account/address"),
            ("/auth/password", "/auth/password"),
            ("/settings/delete", "/settings/delete"),
            ("/settings/security", "/settings/security/app"),
        ):
            page = browser.get(path)
            assert f'href="{PAGE}"' in page.text, path
            typed = {
                "pin": "4711", "user[email]": "a@b.example.org", "user[password]": NEW_PASSWORD,
                "user[current_password]": "!",
            }  # fmt: skip
            assert send(browser, page, action, typed).status_code == 422, path
    # A proof is that of one account.
    name, phone = joined(texting)
    with texting.place.client() as browser:
        request_code(browser, phone.number)
        enter_code(browser, code_from(phone))
        browser.cookies.delete(PHONE_PROOF_COOKIE)
        browser.cookies.set(PHONE_PROOF_COOKIE, proof)
        assert f'href="{PAGE}"' in browser.get("/settings/phone").text
        assert signed_in_as(browser) == name


@pytest.mark.parametrize("word", ["LOCK", "STOP"])
def test_a_text_that_ends_the_power_of_a_phone_ends_a_proof_that_it_gave_before(texting, word):
    # Another person may have signed in with the phone, or with a code that its owner was tricked into telling.
    _name, phone = joined(texting)
    with texting.place.client() as browser:
        request_code(browser, phone.number)
        enter_code(browser, code_from(phone))
        page = browser.get("/auth/password")
        assert form_to(page, "/auth/password")
        phone.ask(word)
        assert f'href="{PAGE}"' in browser.get("/auth/password").text
        assert send(browser, page, "/auth/password", {"user[password]": NEW_PASSWORD}).status_code == 422


def test_unknown_stopped_and_locked_numbers_get_the_same_pages_and_no_code(texting):
    _, stopped = joined(texting)
    stopped.ask("STOP")
    _, locked = joined(texting)
    locked.ask("LOCK")
    _, linked = texting.member()
    _, known = joined(texting)
    answers = []
    for number in (known.number, new_number(), stopped.number, locked.number, linked.number):
        with texting.place.client() as browser:
            asked = request_code(browser, number)
            shown = browser.get(CODE_PAGE)
            wrong = enter_code(browser, "x")
            pages = [re.sub(r'value="[^"]*"', "", page.text) for page in (shown, wrong)]
            answers.append((asked.status_code, asked.headers["location"], wrong.status_code, *pages))
    assert answers == [answers[0]] * len(answers)
    code_from(known)
    time.sleep(0.7)  # the role has looked again: it would have sent the others too
    sent = [len(phone.log("out")) for phone in (stopped, locked, linked)]
    assert sent == [3, 3, 0], "only what the phones got before"


def test_a_second_factor_is_still_asked_for(texting):
    name, phone = joined(texting)
    place = texting.place
    account_id = account_of(place, name).id
    from stormpetrel.rules import second_factors

    place.write(
        second_factors.enable_totp, account_id=account_id, sealed="x", step=1, recovery_hashes=[b"h" * 32],
        now_ms=now_ms(),
    )  # fmt: skip
    with place.client() as browser:
        request_code(browser, phone.number)
        done = enter_code(browser, code_from(phone))
        assert done.headers["location"].startswith("/auth/sign_in/second")
        assert signed_in_as(browser) is None


def test_a_number_that_is_none_and_too_many_requests_are_refused(texting):
    number = new_number()
    with texting.place.client() as browser:
        for typed in ("12", "nino", "0599123456", "+995 1"):
            refused = request_code(browser, typed)
            assert refused.status_code == 422, typed
            assert "country code" in refused.text
        answers = [request_code(browser, number) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [303] * 4 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


def test_the_forms_are_refused_from_another_site(texting):
    with texting.place.client() as browser:
        browser.get(PAGE)
        for path in (PAGE, CODE_PAGE):
            assert browser.post(path, data={"number": "+995599123456", "code": "1"}).status_code == 403, path


def test_a_code_for_a_phone_that_was_linked_elsewhere_since_signs_in_to_neither(texting):
    name, phone = joined(texting)
    place = texting.place
    with place.client() as browser:
        request_code(browser, phone.number)
        code = code_from(phone)
        other = place.person("other")
        place.write(
            phones.link, account_id=other.id, number=phone.number, route="drop", keys=texting.keys, zone="UTC",
            language="en", now_ms=now_ms(),
        )  # fmt: skip
        assert enter_code(browser, code).status_code == 422
        assert signed_in_as(browser) is None
    assert account_of(place, name).username == name
