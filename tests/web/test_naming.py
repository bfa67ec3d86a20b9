"""The account behind a hot page gets a private question; the public report names it only after its yes."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import httpx
import pytest

from stormpetrel.model.account import Role
from stormpetrel.storage.attack_record import AttackRecord
from tests.forms import forms_of, send, sign_in
from tests.insight import recorded
from tests.mailbox import next_mail
from tests.waiting import eventually

PAGE = "/settings/naming"


@pytest.fixture(scope="module")
def place_settings():
    return {"mail_transport": "file"}


@pytest.fixture(scope="module")
def marta(place):
    """Return the account whose page was hot in an attack, and its browser, once it was asked."""
    person = place.person("marta")
    moments = [
        replace(one, pages={f"/@{person.username}": one.sampled // 2, "/": 7}) for one in recorded.moments(60)
    ]
    record = AttackRecord(Path(place.instance.environ["STORMPETREL_DATA_DIR"]) / "attacks.sqlite")
    record.write(attack=3, moments=moments, phases=[recorded.CROWD], spans=[recorded.SPAN])
    record.close()
    browser = place.client()
    sign_in(browser, person.username)
    eventually(lambda: browser.get(PAGE).text, lambda text: "Name me" in text)
    return person, browser


def answer(browser, chosen):
    (form,) = [form for form in forms_of(browser.get(PAGE)) if form.action.startswith(f"{PAGE}/")]
    return browser.post(
        form.action,
        data=form.fields | {"answer": chosen},
        headers={"Origin": str(browser.base_url).rstrip("/")},
    )


def public(place, form="md"):
    return httpx.get(f"{place.instance.status_url}/insight/3.{form}", trust_env=False)


def test_the_owner_gets_a_mail_and_sees_the_question_on_the_account_and_notifications_pages(place, marta):
    person, browser = marta
    mail = next_mail(place, person.email)
    assert f"@{person.username}" in mail.get_content()
    assert f"{place.base_url}{PAGE}" in mail.get_content()
    for path in ("/settings/account", "/notifications"):
        assert f'<a href="{PAGE}">see when it was' in browser.get(path).text
    assert "You have not answered: a public report does not name you" in browser.get(PAGE).text


def test_each_button_has_a_short_text_and_a_name_that_says_which_report(marta):
    _, browser = marta
    buttons = re.findall(
        r'<button [^<>]*aria-label="([^"<>]*)"[^<>]*>([^<>]*)</button>', browser.get(PAGE).text
    )
    found = {text: name for name, text in buttons}
    for text in ("Name me", "Do not name me"):
        assert re.fullmatch(rf"{text} in the report about \d+ \w+ \d{{4}}, \d\d:\d\d UTC", found[text])


def test_others_neither_see_nor_answer_the_question(place, marta):
    _, browser = marta
    (form,) = [form for form in forms_of(browser.get(PAGE)) if form.action.startswith(f"{PAGE}/")]
    stranger = place.client()
    assert stranger.get(PAGE).headers["location"].startswith("/auth/sign_in")
    other = place.client()
    sign_in(other, place.person("other").username)
    assert "No report asks to name you" in other.get(PAGE).text
    fields = {"csrf": form_csrf(other), "answer": "agree"}
    origin = {"Origin": str(other.base_url).rstrip("/")}
    assert other.post(form.action, data=fields, headers=origin).status_code == 404
    assert browser.post(form.action, data={"answer": "agree"}).status_code == 403
    assert answer(browser, "perhaps").status_code == 422


def form_csrf(browser):
    return forms_of(browser.get("/settings/account"))[0].fields["csrf"]


def test_the_public_report_names_the_account_after_its_yes_until_its_no(place, marta):
    person, browser = marta
    name = person.username.replace("_", "\\_")
    admin = place.client()
    sign_in(admin, place.person("Chief", role=Role.ADMIN).username)
    assert "no answer yet" in unescape(admin.get("/admin/insight").text)
    send(admin, admin.get("/admin/insight"), "/admin/insight/3/publish", {})
    eventually(lambda: public(place).status_code == 200)
    assert name not in public(place).text
    assert answer(browser, "agree").headers["location"] == f"{PAGE}?done=agree"
    eventually(lambda: name in public(place).text)
    assert public(place, "json").json()["accounts"][0]["name"] == person.username
    assert "see when it was" not in browser.get("/notifications").text
    internal = admin.get("/admin/insight/3-internal.html").text
    assert "agreed to be named in public" in internal
    answer(browser, "decline")
    eventually(lambda: name not in public(place).text)
    assert "declined to be named in public" in unescape(admin.get("/admin/insight").text)
    listed = place.instance.run_cli("insight", "accounts").stdout
    assert f"@{person.username}" in listed
    assert "declined" in listed
