"""The pages of subscribers to the status page: for a browser without scripts, a mail program, and a stranger."""

from __future__ import annotations

import itertools
import re
import secrets
from html import unescape

import httpx
import pytest

from stormpetrel.model.quota import STATUS_NETWORK
from stormpetrel.rules import status_subscriptions as rules
from tests.forms import form_to, send
from tests.mailbox import mails_to, next_mail
from tests.markup import Page
from tests.waiting import eventually
from tests.webhook_receiver import webhook_receiver

FORM = "/status/subscribe"
PAGE = "/status/subscription"


@pytest.fixture(scope="module")
def place_settings():
    return {"status_private_webhooks": "true", "web_workers": 1}


NETWORKS = itertools.count(1)


@pytest.fixture
def browser(place):
    """Return a browser in a network of its own, as the limits are for networks."""
    transport = httpx.HTTPTransport(local_address=f"127.31.{next(NETWORKS)}.1")
    with httpx.Client(base_url=place.base_url, timeout=20, transport=transport) as opened:
        yield opened


def new_address():
    return f"{secrets.token_hex(4)}@example.org"


def ask(browser, target, **typed):
    return send(browser, browser.get(FORM), FORM, {"target": target} | typed)


def link_to(place, address):
    (link,) = re.findall(
        rf"{place.base_url}({PAGE}\?token=[0-9a-f]{{48}})", next_mail(place, address).get_content()
    )
    return link


def test_the_short_address_leads_to_the_status_page(place, browser):
    answer = browser.get("/status")
    assert answer.status_code == 303
    assert httpx.get(answer.headers["location"]).text.startswith("<!doctype html>")


def test_a_link_changes_nothing_until_its_button_is_pressed(place, browser):
    address = new_address()
    assert ask(browser, address, channel_apps="on").headers["location"] == "/status/subscribed"
    link = link_to(place, address)
    for _ in range(3):
        page = browser.get(link)
        assert "Confirm your subscription" in page.text
    assert page.headers["referrer-policy"] in ("origin", "strict-origin", "no-referrer")
    assert "no-store" in page.headers["cache-control"]
    assert form_to(page, PAGE).fields.keys() >= {"channel_apps", "token"}
    done = send(browser, page, PAGE)
    shown = browser.get(done.headers["location"])
    assert "Your choice is saved." in shown.text
    changed = send(browser, shown, PAGE, {"channel_web": "on"})
    again = form_to(browser.get(changed.headers["location"]), PAGE).fields
    assert {name for name in again if name.startswith("channel_")} == {"channel_apps", "channel_web"}
    left = send(browser, browser.get(link), f"{PAGE}/leave")
    assert "You are unsubscribed" in browser.get(left.headers["location"]).text
    assert browser.get(link).status_code == 404


def test_the_answer_does_not_tell_whether_an_address_is_known(place, browser):
    known = new_address()
    ask(browser, known)
    send(browser, browser.get(link_to(place, known)), PAGE)
    answers = {
        (answer.status_code, answer.headers["location"], answer.text)
        for answer in (ask(browser, known), ask(browser, new_address()), ask(browser, known.upper()))
    }
    assert answers == {(303, "/status/subscribed", "")}
    assert len(mails_to(place, known)) == 1


@pytest.mark.parametrize(
    ("target", "typed", "problem"),
    [
        ("", {}, "not a valid e-mail address"),
        ("nobody", {}, "not a valid e-mail address"),
        ("<script>@example.org", {}, "not a valid e-mail address"),
        ("ftp://example.org/", {}, "must begin with https://"),
        ("https://user:pass@example.org/", {}, "without user name"),
        ("a@example.org", {"channel_fax": "on"}, "There is no such channel"),
    ],
)
def test_wrong_input_is_explained_and_what_was_typed_stays(browser, target, typed, problem):
    answer = ask(browser, target, channel_media="on", **typed)
    assert answer.status_code == 422
    assert problem in unescape(answer.text)
    fields = form_to(answer, FORM).fields
    assert fields["target"] == target
    assert "channel_media" in fields
    Page(answer.text)


def test_a_webhook_shows_its_key_once_and_is_confirmed_by_its_answer(place, browser):
    with webhook_receiver() as receiver:
        page = ask(browser, receiver.url, channel_apps="on")
        assert page.status_code == 200
        assert "no-store" in page.headers["cache-control"]
        (key,) = re.findall(r'id="key" value="([0-9a-f]{64})"', page.text)
        (link,) = re.findall(rf'href="({PAGE}\?token=[0-9a-f]{{48}})"', unescape(page.text))
        eventually(lambda: browser.get(link).text, lambda text: "Your subscription" in text)
        assert key not in browser.get(link).text
        assert receiver.url in unescape(browser.get(link).text)
        send(browser, browser.get(link), f"{PAGE}/leave")
        assert browser.get(link).status_code == 404


def test_a_webhook_that_does_not_answer_is_told_why_and_tried_again_from_its_page(place, browser):
    with webhook_receiver() as receiver:
        receiver.answers = lambda challenge: b"no"
        page = ask(browser, receiver.url)
        (link,) = re.findall(rf'href="({PAGE}\?token=[0-9a-f]{{48}})"', unescape(page.text))
        eventually(lambda: receiver.calls)
        receiver.answers = str.encode
        again = send(browser, browser.get(link), PAGE)
        assert again.headers["location"] == f"{link}&done=again"
        eventually(lambda: browser.get(link).text, lambda text: "Your subscription" in text)


def test_a_mail_program_ends_a_subscription_with_one_post_and_a_person_gets_the_page(place, browser):
    address = new_address()
    ask(browser, address)
    link = link_to(place, address)
    leave = link.replace(PAGE, "/status/leave")
    shown = browser.get(leave)
    assert (shown.status_code, shown.headers["location"]) == (303, link)
    assert browser.get(link).status_code == 200
    with place.client() as program:
        for _ in range(2):
            answer = program.post(leave, data={"List-Unsubscribe": "One-Click"})
            assert answer.status_code == 200
    assert browser.get(link).status_code == 404
    assert place.visitor.post("/status/leave").status_code == 200


def test_no_form_is_taken_without_its_token(place, browser):
    address = new_address()
    ask(browser, address)
    link = link_to(place, address)
    token = link.partition("=")[2]
    with place.client() as stranger:
        for path in (FORM, PAGE, f"{PAGE}/leave"):
            assert stranger.post(path, data={"token": token, "target": address}).status_code == 403
    assert "Confirm your subscription" in browser.get(link).text


@pytest.mark.parametrize("token", ["", "x", "0" * 48, "'; --", "%00", "é"])
def test_a_link_that_does_not_exist_is_a_clear_error(browser, token):
    answer = browser.get(PAGE, params={"token": token})
    assert answer.status_code == 404
    assert "no such subscription" in unescape(answer.text)


def test_one_network_asks_a_few_times_and_then_waits(place, browser):
    page = browser.get(FORM)
    for _ in range(STATUS_NETWORK.burst + 1):
        answer = send(browser, page, FORM, {"target": new_address()})
        if answer.status_code != 303:
            break
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert rules.ENOUGH in unescape(answer.text)
