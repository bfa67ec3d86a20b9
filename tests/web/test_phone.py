"""The settings of a phone: linking, switches, times, the PIN, accounts, and unlinking; only for its owner."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from stormpetrel.model.phone import PIN_TRIES
from stormpetrel.rules import phones
from stormpetrel.storage import phones as stored_phones
from stormpetrel.storage.sms_spool import outbox, state
from stormpetrel.storage.sms_spool.file import open_spool
from stormpetrel.storage.sms_spool.panel import reading
from tests.forms import form_to, forms_of, send, sign_in
from tests.gateway.phones import TO, Texting, route_settings
from tests.mailbox import mails_to, next_mail
from tests.people import PASSWORD, now_ms
from tests.waiting import eventually

PAGE = "/settings/phone"
FORMS = ("", "/code", "/posting", "/stop", "/start", "/pin", "/unlink", "/accounts/1/off")


@pytest.fixture(scope="module")
def drop_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("drop")


@pytest.fixture(scope="module")
def place_settings(drop_directory, tmp_path_factory):
    """Return a route that trusts senders, and one that does not."""
    return route_settings(drop_directory) | {
        "sms_route_open_provider": "file",
        "sms_route_open_directory": tmp_path_factory.mktemp("open"),
        "sms_route_open_sender": "50505",
    }


@pytest.fixture(scope="module")
def texting(place, drop_directory):
    return Texting(place, drop_directory)


@pytest.fixture
def owner(texting):
    """Return a member with a phone, the phone, and a browser in which the member is signed in."""
    person, phone = texting.member("Nino")
    browser = texting.place.client()
    sign_in(browser, person.username)
    return person, phone, browser


def done(answer):
    """Return what a form reports after its redirect."""
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].removeprefix(f"{PAGE}?done=")


def setting(place, person):
    """Return the person's phone as it is stored."""
    return place.write(phones.own_phone, account_id=person.id)


def log(texting, phone, direction):
    """Return the records of `stormpetrel sms log` of a phone, without running the command."""
    with reading(Path(texting.place.instance.environ["STORMPETREL_DATA_DIR"])) as db:
        found = state.log(db, direction=direction, number=phone.number, since_ms=0, limit=100)
    return [record for *_, record in found]


def effect(texting, phone, text):
    """Send a text and return its record, as soon as it has had its effect."""
    before = len(log(texting, phone, "in"))
    phone.write(text)
    return eventually(
        lambda: log(texting, phone, "in")[before:], lambda found: found and found[0]["state"] == "done"
    )[0]


def ways(page):
    """Return the targets of the page's forms."""
    return {form.action for form in forms_of(page)}


def test_the_page_is_for_members(place):
    with place.client() as browser:
        assert browser.get(PAGE).headers["location"].startswith("/auth/sign_in")
        for form in FORMS:
            assert browser.post(PAGE + form).headers["location"].startswith("/auth/sign_in"), form


def test_no_form_works_for_another_site_or_without_a_phone(place):
    maia = place.person("Maia")
    with place.client() as browser:
        sign_in(browser, maia.username)
        csrf = form_to(browser.get("/about"), "/auth/sign_out").fields["csrf"]
        for form in FORMS:
            assert browser.post(PAGE + form, data={}).status_code == 403, form
            elsewhere = {"origin": "https://evil.example"}
            assert browser.post(PAGE + form, data={"csrf": csrf}, headers=elsewhere).status_code == 403, form
        for form in ("", "/posting", "/stop", "/start", "/unlink"):
            assert browser.post(PAGE + form, data={"csrf": csrf}).status_code == 404, form


def test_a_phone_is_linked_by_the_code_that_the_page_shows(texting):
    maia, phone = texting.place.person("Maia"), texting.phone()
    with texting.place.client() as browser:
        sign_in(browser, maia.username)
        page = browser.get(PAGE)
        assert TO in page.text
        shown = send(browser, page, f"{PAGE}/code")
        assert 'Text <b class="nobreak">GO' in shown.text
        assert f"{TO}</b> or <b" in shown.text
        first = re.search(r"GO (\d{6})", shown.text)[1]
        # Also true of a page that stays open.
        assert re.search(
            r"within 10 minutes, until <time [^>]*>\d+ \w+ \d+, \d\d:\d\d UTC</time>", shown.text
        )
        second = re.search(r"GO (\d{6})<", send(browser, shown, f"{PAGE}/code").text)[1]
        assert effect(texting, phone, f"GO {first}")["error"] == "code-wrong"
        long = re.search(r"GO (\d{10})<", send(browser, shown, f"{PAGE}/code", {"long": "1"}).text)[1]
        assert effect(texting, phone, f"GO {second}")["error"] == "code-wrong"
        effect(texting, phone, f"GO {long}")
        page = browser.get(PAGE)
    assert "Posting by SMS:</b> on" in page.text
    assert f"+995…{phone.number[-2:]}" in page.text
    assert phone.number not in page.text
    assert "phone" in next_mail(texting.place, maia.email)["Subject"]


def test_times_and_lengths_are_saved_and_mistakes_are_named(owner, place):
    person, _, browser = owner
    typed = {"quiet": "22 - 7", "digest": "18", "zone": "Asia/Tbilisi", "language": "ka", "segments": "3"}
    assert done(send(browser, browser.get(PAGE), PAGE, typed)) == "saved"
    saved = setting(place, person)
    assert (saved.quiet, saved.digest, saved.zone) == ("22-7", "18:00", "Asia/Tbilisi")
    assert (saved.language, saved.segments, saved.delivers) == ("ka", 3, True)
    for field, wrong in (("quiet", "late"), ("digest", "25:00"), ("zone", "Mars/Base"), ("zone", "")):
        answer = send(browser, browser.get(PAGE), PAGE, typed | {field: wrong})
        assert answer.status_code == 422, field
        assert f'id="{field}_problem"' in answer.text
        assert form_to(answer, PAGE).fields[field] == wrong
    # Values that no browser sends are ignored.
    send(browser, browser.get(PAGE), PAGE, typed | {"language": "xx", "segments": "99"})
    saved = setting(place, person)
    assert (saved.language, saved.segments) == ("ka", 3)
    form = form_to(browser.get(PAGE), PAGE)
    assert form.fields["zone"] == "Asia/Tbilisi"
    off = {name: value for name, value in form.fields.items() if name != "delivers"}
    assert browser.post(PAGE, data=off).status_code == 303
    assert setting(place, person).delivers is False


def test_a_language_without_texts_is_shown_as_the_one_that_is_used(owner, place):
    person, _, browser = owner
    place.write(store_language, account_id=person.id, language="de-AT")
    assert '<option value="en" lang="en" selected>' in browser.get(PAGE).text


def store_language(connection, *, account_id, language):
    """Store a language as `stormpetrel sms link` does, which takes it from the account."""
    phone = phones.own_phone(connection, account_id=account_id)
    stored_phones.put(connection, replace(phone, language=language))


def test_stop_now_ends_texts_and_posts_at_once_until_they_are_allowed_again(owner, texting):
    person, phone, browser = owner
    other = texting.place.person("Other")
    assert done(send(browser, browser.get(PAGE), f"{PAGE}/stop")) == "stopped"
    effect(texting, phone, "Nothing of this is published")
    other.post(f"@{person.username} are you there?")
    page = browser.get(PAGE)
    assert "Texts to you:</b> stopped" in page.text
    assert "Posting by SMS:</b> off" in page.text
    assert f"{PAGE}/stop" not in ways(page)
    assert person.get(f"/api/v1/accounts/{person.id}/statuses") == []
    assert done(send(browser, page, f"{PAGE}/start")) == "started"
    assert done(send(browser, browser.get(PAGE), f"{PAGE}/posting")) == "posting"
    assert effect(texting, phone, "This is")["effect"] == "post"
    other.post(f"@{person.username} and now?")
    assert "and now?" in phone.next_text()
    assert done(send(browser, browser.get(PAGE), f"{PAGE}/posting")) == "no-posting"
    assert setting(texting.place, person).posts is False


def test_texts_that_wait_are_dropped_when_the_page_stops_the_phone(owner, texting):
    _, phone, browser = owner
    data_dir = Path(texting.place.instance.environ["STORMPETREL_DATA_DIR"])
    with open_spool(data_dir) as spool, spool.transaction() as db:
        outbox.put(
            db, key=phone.number, route="none", number=phone.number, text="Too late", kind="sent",
            lane=outbox.POSTS, segments=1, now_ms=now_ms(), expires_ms=now_ms() + 60_000,
        )  # fmt: skip
    send(browser, browser.get(PAGE), f"{PAGE}/stop")
    eventually(lambda: [one["state"] for one in log(texting, phone, "out")] == ["dropped"])


def test_the_pin_needs_the_password(owner, place):
    person, _, browser = owner
    password = {"user[current_password]": PASSWORD}
    for typed, problem in (
        ({"pin": "4711", "user[current_password]": "a guess at it"}, "current_password"),
        ({"pin": "47 11"} | password, "pin"),
        ({"pin": "123"} | password, "pin"),
        ({"pin": ""} | password, "pin"),
    ):
        answer = send(browser, browser.get(PAGE), f"{PAGE}/pin", typed)
        assert answer.status_code == 422
        assert f'id="{problem}_problem"' in answer.text
    assert setting(place, person).pin_hash is None
    assert done(send(browser, browser.get(PAGE), f"{PAGE}/pin", {"pin": "4711"} | password)) == "pin"
    assert setting(place, person).pin_hash is not None
    assert "4711" not in browser.get(PAGE).text.replace("“4711 Hello”", "")
    wrong = send(browser, browser.get(PAGE), f"{PAGE}/pin", {"remove": "yes"})
    assert wrong.status_code == 422
    assert done(send(browser, browser.get(PAGE), f"{PAGE}/pin", {"remove": "yes"} | password)) == "no-pin"
    assert setting(place, person).pin_hash is None


def test_the_page_says_that_a_route_needs_a_pin_and_when_wrong_ones_have_locked_it(place, texting):
    maia, phone = place.person("Maia"), texting.phone()
    place.write(
        phones.link, account_id=maia.id, number=phone.number, route="open", keys=texting.keys, zone="UTC",
        language="en", now_ms=now_ms(),
    )  # fmt: skip
    with place.client() as browser:
        sign_in(browser, maia.username)
        page = browser.get(PAGE)
        assert "this route needs one" in page.text
        assert "50505" in page.text
        send(browser, page, f"{PAGE}/pin", {"pin": "4711", "user[current_password]": PASSWORD})
        for _ in range(PIN_TRIES):
            own = setting(place, maia)
            place.write(phones.check_pin, phone=own, proof=b"wrong", trust="aggregator", now_ms=now_ms())
        page = browser.get(PAGE)
        assert "locked after wrong PINs" in page.text
        assert done(send(browser, page, f"{PAGE}/posting")) == "posting"
        assert "Posting by SMS:</b> on" in browser.get(PAGE).text


def test_accounts_that_are_texted_are_listed_and_turned_off_one_by_one(owner, place):
    person, _, browser = owner
    town, other = place.person("Town"), place.person("Harbour")
    person.follow(other)
    person.do(f"/api/v1/accounts/{town.id}/follow", notify=True)
    page = browser.get(PAGE)
    off = f"{PAGE}/accounts/{town.id}/off"
    assert [one for one in sorted(ways(page)) if one.endswith("/off")] == [off]
    assert done(send(browser, page, off)) == "off"
    relationship = person.get("/api/v1/accounts/relationships", id=town.id)[0]
    assert (relationship["following"], relationship["notifying"]) == (True, False)
    person.do(f"/api/v1/accounts/{town.id}/unfollow")
    assert done(send(browser, page, off)) == "off"
    assert person.get("/api/v1/accounts/relationships", id=town.id)[0]["following"] is False
    assert off not in ways(browser.get(PAGE))


def test_unlinking_is_told_by_mail_and_forgets_the_phone(owner, texting):
    person, phone, browser = owner
    before = len(mails_to(texting.place, person.email))
    next_mail(texting.place, person.email, max(before, 1))
    page = browser.get(PAGE)
    assert done(send(browser, page, f"{PAGE}/unlink")) == "unlinked"
    assert "Link a phone" in browser.get(PAGE).text
    assert send(browser, page, f"{PAGE}/unlink").status_code == 404
    mail = next_mail(texting.place, person.email, 2)
    assert f"{texting.place.base_url}{PAGE}" in mail.get_content()
    assert effect(texting, phone, "Hello?")["effect"] != "post"


def test_a_number_that_moves_to_another_account_is_told_to_both_owners(owner, texting):
    person, phone, _ = owner
    maia = texting.place.person("Maia")
    texting.place.write(
        phones.link, account_id=maia.id, number=phone.number, route="drop", keys=texting.keys, zone="UTC",
        language="en", now_ms=now_ms(),
    )  # fmt: skip
    next_mail(texting.place, person.email, 2)
    next_mail(texting.place, maia.email, 1)
