"""Signing in, up and out, and changing a password, in a browser without scripts."""

from __future__ import annotations

import re
import secrets

import pytest

from stormpetrel.rules import accounts
from tests.forms import SESSION_COOKIE, form_to, send, sign_in, signed_in_as
from tests.instance import running_instance
from tests.people import PASSWORD, place_of


@pytest.fixture
def nino(place):
    """Create an account."""
    return place.person("Nino")


@pytest.fixture
def maia(place):
    """Create another account."""
    return place.person("Maia")


# Signing in


@pytest.mark.parametrize(
    "way",
    [str, str.lower, "@{}".format, "{}@example.org".format, " {}@EXAMPLE.ORG ".format],
    ids=["name", "small letters", "handle", "address", "shouted address"],
)
def test_a_person_signs_in_by_name_or_address_in_any_case(place, nino, way):
    with place.client() as browser:
        answer = sign_in(browser, way(nino.username))
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert signed_in_as(browser) == nino.username


def test_the_form_has_the_fields_that_tools_look_for(place):
    with place.client() as browser:
        page = browser.get("/auth/sign_in")
    for wanted in ('id="user_email"', 'name="user[email]"', 'id="user_password"', 'name="user[password]"'):
        assert wanted in page.text


def test_the_session_cookie_is_for_the_site_alone(place, nino):
    with place.client() as browser:
        cookie = next(
            value
            for value in sign_in(browser, nino.username).headers.get_list("set-cookie")
            if value.startswith(SESSION_COOKIE)
        )
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"} <= set(cookie.split("; "))


def test_a_place_reached_by_https_sends_its_cookies_only_so(database_url, tmp_path):
    with (
        running_instance(tmp_path, database_url, public_url="https://birds.example") as instance,
        place_of(instance, database_url) as place,
        place.client() as browser,
    ):
        nino = place.person("Nino")
        page = browser.get("/auth/sign_in")
        assert "Secure" in page.headers["set-cookie"].split("; ")
        kept = page.headers["set-cookie"].partition(";")[0]
        typed = {"user[email]": nino.username, "user[password]": PASSWORD}
        form = kept.removeprefix("__Host-")
        sent = {form: 403, f"a=b,{form}": 403, f"\xa0{form}": 403, f"a=b,c; {kept}": 303}
        for cookie, status in sent.items():
            browser.cookies.clear()
            answer = browser.post(
                "/auth/sign_in",
                data=form_to(page, "/auth/sign_in").fields | typed,
                headers={"cookie": cookie.encode("latin-1"), "origin": "https://birds.example"},
            )
            assert answer.status_code == status, cookie
        cookies = [line.split("; ") for line in answer.headers.get_list("set-cookie")]
        assert all("Secure" in cookie and cookie[0].startswith("__Host-") for cookie in cookies)
        session = next(cookie[0] for cookie in cookies if SESSION_COOKIE in cookie[0])
        browser.cookies.clear()
        asked = {
            session: 200,
            # An attacker on the path of a request without TLS, or on a sibling domain, can set a cookie like
            # this.
            session.removeprefix("__Host-"): 303,
            f"{session.removeprefix('__Host-')}; {session}": 200,
        }
        for cookie, status in asked.items():
            assert browser.get("/notifications", headers={"cookie": cookie}).status_code == status


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(place, nino):
    with place.client() as browser:
        wrong = sign_in(browser, nino.username, "not the password")
        unknown = sign_in(browser, "Nobody", "not the password")
        nonsense = sign_in(browser, "Ma\0ia", "")
        assert SESSION_COOKIE not in browser.cookies
    assert wrong.status_code == unknown.status_code == nonsense.status_code == 422
    texts = [re.sub(r'name="csrf" value="[^"]*"', "", answer.text) for answer in (wrong, unknown)]
    assert texts[0].replace(nino.username, "Nobody") == texts[1]
    assert 'role="alert"' in wrong.text
    assert f'value="{nino.username}"' in wrong.text
    assert "not the password" not in wrong.text


def test_a_suspended_person_is_told_so_after_the_right_password_only(place, nino):
    place.write(accounts.suspend, account_id=nino.id)
    with place.client() as browser:
        right, wrong = sign_in(browser, nino.username), sign_in(browser, nino.username, "wrong password")
        assert SESSION_COOKIE not in browser.cookies
    assert (right.status_code, wrong.status_code) == (403, 422)
    assert "suspended" in right.text
    assert "suspended" not in wrong.text


def test_a_session_is_worth_nothing_once_its_account_is_suspended(place, nino):
    with place.client() as browser:
        sign_in(browser, nino.username)
        place.write(accounts.suspend, account_id=nino.id)
        assert signed_in_as(browser) is None


def test_signing_in_changes_the_session_so_that_nobody_can_plant_one(place, nino, maia):
    with place.client() as browser:
        sign_in(browser, nino.username)
        planted = browser.cookies[SESSION_COOKIE]
        page = browser.get("/auth/sign_in?again=1")
        send(browser, page, "/auth/sign_in", {"user[email]": maia.username, "user[password]": PASSWORD})
        assert browser.cookies[SESSION_COOKIE] != planted
        assert signed_in_as(browser) == maia.username
    with place.client() as attacker:
        attacker.cookies.set(SESSION_COOKIE, planted)
        assert signed_in_as(attacker) is None


def test_who_is_signed_in_goes_on_without_a_form(place, nino):
    with place.client() as browser:
        sign_in(browser, nino.username)
        answer = browser.get("/auth/sign_in?next=/about")
        assert (answer.status_code, answer.headers["location"]) == (303, "/about")
        answer = browser.get("/auth/sign_up?next=/about")
        assert (answer.status_code, answer.headers["location"]) == (303, "/about")


def test_signing_in_leads_back_to_where_it_was_needed(place, nino):
    with place.client() as browser:
        sent = browser.get("/auth/password?a=1&b=%26")
        assert sent.status_code == 303
        page = browser.get(sent.headers["location"])
        answer = send(
            browser, page, "/auth/sign_in", {"user[email]": nino.username, "user[password]": PASSWORD}
        )
        assert answer.headers["location"] == "/auth/password?a=1&b=%26"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/\t/evil.example/",
        "/\n/evil.example/",
        "/\r\nSet-Cookie: a=b",
        " //evil.example/",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/" + "x" * 60_000,
    ],
)
def test_signing_in_never_leads_to_another_site(place, nino, elsewhere):
    with place.client() as browser:
        page = browser.get("/auth/sign_in")
        typed = {"user[email]": nino.username, "user[password]": PASSWORD, "next": elsewhere}
        answer = send(browser, page, "/auth/sign_in", typed)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


# Forms of other sites


@pytest.mark.parametrize(
    ("changed", "headers"),
    [
        ({"csrf": ""}, {}),
        ({"csrf": "0" * 36}, {}),
        ({"csrf": "\u00e9"}, {}),
        ({}, {"origin": "https://evil.example"}),
        ({}, {"origin": "null"}),
        ({}, {"sec-fetch-site": "cross-site"}),
    ],
)
def test_a_form_that_another_site_made_is_refused(place, nino, changed, headers):
    with place.client() as browser:
        fields = form_to(browser.get("/auth/sign_in"), "/auth/sign_in").fields | changed
        answer = browser.post(
            "/auth/sign_in",
            data=fields | {"user[email]": nino.username, "user[password]": PASSWORD},
            headers=headers,
        )
        assert answer.status_code == 403
        assert SESSION_COOKIE not in browser.cookies


def test_a_form_is_refused_in_a_browser_that_was_not_shown_it(place, nino):
    with place.client() as shown, place.client() as other:
        fields = form_to(shown.get("/auth/sign_in"), "/auth/sign_in").fields
        other.get("/auth/sign_in")
        answer = other.post(
            "/auth/sign_in", data=fields | {"user[email]": nino.username, "user[password]": PASSWORD}
        )
        assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/auth/sign_in", "/auth/sign_up", "/auth/sign_out"])
def test_no_form_works_without_its_token(place, nino, path):
    with place.client() as browser:
        assert browser.post(path, data={"user[email]": nino.username}).status_code == 403


def test_changing_the_password_needs_the_forms_token(place, nino):
    with place.client() as browser:
        sign_in(browser, nino.username)
        typed = {"user[current_password]": PASSWORD, "user[password]": "another password"}
        assert browser.post("/auth/password", data=typed).status_code == 403
    with place.client() as browser:
        assert sign_in(browser, nino.username).status_code == 303


# Signing out


def test_signing_out_ends_the_session_itself_not_only_the_cookie(place, nino):
    with place.client() as browser, place.client() as other:
        sign_in(browser, nino.username)
        kept = browser.cookies[SESSION_COOKIE]
        answer = send(browser, browser.get("/about"), "/auth/sign_out")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert SESSION_COOKIE not in browser.cookies
        other.cookies.set(SESSION_COOKIE, kept)
        assert signed_in_as(other) is None


def test_signing_out_leaves_ones_other_browsers(place, nino):
    with place.client() as browser, place.client() as other:
        sign_in(browser, nino.username)
        sign_in(other, nino.username)
        send(browser, browser.get("/about"), "/auth/sign_out")
        assert signed_in_as(other) == nino.username


def test_a_session_cookie_that_was_changed_is_worth_nothing(place, nino):
    with place.client() as browser:
        sign_in(browser, nino.username)
        kept = browser.cookies[SESSION_COOKIE]
        for spoilt in (kept[:-1] + ("A" if kept[-1] != "A" else "B"), "B" + kept[1:], kept[:-1], "", "\\"):
            with place.client() as other:
                assert (
                    "/auth/sign_in"
                    in other.get("/profile", headers={"cookie": f"{SESSION_COOKIE}={spoilt}"}).headers[
                        "location"
                    ]
                )


# Signing up


@pytest.fixture
def typed():
    """Return the fields of a sign-up form, with a unique name."""
    name = f"Lomi_{secrets.token_hex(4)}"
    return {
        "user[username]": name,
        "user[email]": f"{name}@example.org",
        "user[password]": PASSWORD,
        "user[agreement]": "1",
    }


def test_in_an_open_place_who_signs_up_is_in(place, typed):
    with place.client() as browser:
        answer = send(browser, browser.get("/auth/sign_up?next=/about"), "/auth/sign_up", typed)
        assert (answer.status_code, answer.headers["location"]) == (303, "/about")
        assert signed_in_as(browser) == typed["user[username]"]
    with place.client() as browser:
        assert sign_in(browser, typed["user[email]"]).status_code == 303


@pytest.mark.parametrize(
    ("changed", "marked"),
    [
        ({"user[username]": ""}, "username"),
        ({"user[username]": "with space"}, "username"),
        ({"user[username]": "x" * 31}, "username"),
        ({"user[username]": "admin"}, "username"),
        ({"user[email]": "nobody"}, "email"),
        ({"user[email]": "a\0b@example.org"}, "email"),
        ({"user[password]": "short"}, "password"),
        ({"user[password]": "x" * 129}, "password"),
        ({"user[agreement]": ""}, "agreement"),
    ],
)
def test_what_is_wrong_in_a_sign_up_is_marked_where_it_is(place, typed, changed, marked):
    typed |= changed
    with place.client() as browser:
        answer = send(browser, browser.get("/auth/sign_up"), "/auth/sign_up", typed)
        assert answer.status_code == 422
        assert f'id="user_{marked}_problem"' in answer.text
        assert answer.text.count('class="problem" id=') == 1
        assert f"user_{marked}_problem" in answer.text.partition(f'id="user_{marked}"')[2].partition(">")[0]
        kept = form_to(answer, "/auth/sign_up").fields
        if "\0" not in typed["user[email]"]:
            assert kept["user[email]"] == typed["user[email]"]
        assert kept["user[username]"] == typed["user[username]"]
        assert kept["user[password]"] == ""
        assert SESSION_COOKIE not in browser.cookies


def test_a_name_or_an_address_that_somebody_has_is_taken(place, nino, typed):
    with place.client() as browser:
        for field, value in (("username", nino.username.swapcase()), ("email", nino.email.upper())):
            page = browser.get("/auth/sign_up")
            answer = send(browser, page, "/auth/sign_up", typed | {f"user[{field}]": value})
            assert answer.status_code == 422
            assert "already been taken" in answer.text.partition(f'id="user_{field}_problem"')[2]


def test_where_approval_is_needed_somebody_waits_until_they_are_let_in(database_url, tmp_path, typed):
    name = typed["user[username]"]
    with (
        running_instance(tmp_path, database_url, registration="approval") as instance,
        place_of(instance, database_url) as place,
        place.client() as browser,
    ):
        page = browser.get("/auth/sign_up")
        assert 'name="user[reason]"' in page.text
        empty = send(browser, page, "/auth/sign_up", typed)
        assert empty.status_code == 422
        assert 'id="user_reason_problem"' in empty.text
        answer = send(browser, page, "/auth/sign_up", typed | {"user[reason]": "I like birds <b>"})
        assert answer.status_code == 200
        assert f"@{name}" in answer.text
        assert SESSION_COOKIE not in browser.cookies
        waiting = sign_in(browser, name)
        assert waiting.status_code == 403
        assert "approval" in waiting.text
        lomi = place.write(accounts.user_by_login, login=name)
        assert lomi is not None
        assert lomi.sign_up_reason == "I like birds <b>"
        place.write(accounts.approve, account_id=lomi.account_id)
        assert sign_in(browser, name).status_code == 303


def test_a_closed_place_takes_nobody_and_says_so(database_url, tmp_path, typed):
    with (
        running_instance(tmp_path, database_url, registration="closed") as instance,
        place_of(instance, database_url) as place,
        place.client() as browser,
    ):
        page = browser.get("/auth/sign_up")
        assert page.status_code == 200
        assert "is not accepting new members" in page.text
        fields = form_to(browser.get("/auth/sign_in"), "/auth/sign_in").fields
        assert browser.post("/auth/sign_up", data=fields | typed).status_code == 403
        assert sign_in(browser, typed["user[username]"]).status_code == 422
        assert sign_in(browser, place.person("Nino").username).status_code == 303


# Changing the password


def test_a_new_password_needs_the_old_one(place, nino):
    with place.client() as browser:
        sign_in(browser, nino.username)
        page = browser.get("/auth/password")
        typed = {"user[current_password]": "a guess at it", "user[password]": "another password"}
        answer = send(browser, page, "/auth/password", typed)
        assert answer.status_code == 422
        assert 'id="user_current_password_problem"' in answer.text
        short = {"user[current_password]": PASSWORD, "user[password]": "short"}
        answer = send(browser, page, "/auth/password", short)
        assert answer.status_code == 422
        assert 'id="user_password_problem"' in answer.text
    with place.client() as browser:
        assert sign_in(browser, nino.username).status_code == 303


@pytest.mark.parametrize("apps", [False, True])
def test_a_new_password_signs_other_browsers_out_and_apps_if_wanted(place, nino, apps):
    bearer = {"authorization": f"Bearer {nino.token}"}
    with place.client() as browser, place.client() as other:
        sign_in(browser, nino.username)
        sign_in(other, nino.username)
        assert browser.get("/oauth/userinfo", headers=bearer).status_code == 200
        typed = {"user[current_password]": PASSWORD, "user[password]": "another password"}
        typed |= {"user[revoke_apps]": "1"} if apps else {}
        answer = send(browser, browser.get("/auth/password"), "/auth/password", typed)
        assert (answer.status_code, answer.headers["location"]) == (303, "/auth/password?changed=1")
        assert 'role="status"' in browser.get("/auth/password?changed=1").text
        assert signed_in_as(browser) == nino.username
        assert signed_in_as(other) is None
        assert browser.get("/oauth/userinfo", headers=bearer).status_code == (401 if apps else 200)
    with place.client() as browser:
        assert sign_in(browser, nino.username).status_code == 422
        assert sign_in(browser, nino.username, "another password").status_code == 303


def test_the_password_page_is_for_members(place):
    with place.client() as browser:
        answer = browser.get("/auth/password")
        assert answer.headers["location"] == "/auth/sign_in?next=/auth/password"


def test_pages_with_forms_are_never_stored_and_never_framed(place):
    with place.client() as browser:
        for path in ("/auth/sign_in", "/auth/sign_up"):
            headers = browser.get(path).headers
            assert "no-store" in headers["cache-control"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "form-action 'self'" in headers["content-security-policy"]
