"""The page on which people authorise an app: its content, its answers to the app, and its redirects."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from stormpetrel.model.access import OUT_OF_BAND, SCOPES
from stormpetrel.web.consent import SCOPE_WORDS, permissions
from tests.forms import form_to, send, sign_in, signed_in_as
from tests.markup import Page, checked
from tests.people import PASSWORD

BACK = "https://app.example/back?kept=1"
PRIVATE = "com.app.x:/callback"


@pytest.fixture
def nino(place):
    """Create an account and return its username."""
    return place.person("Nino").username


@pytest.fixture
def maia(place):
    """Create another account and return its username."""
    return place.person("Maia").username


def register(browser, *uris, scopes="read write push", **more):
    answer = browser.post(
        "/api/v1/apps",
        json={"client_name": "Little <App>", "redirect_uris": list(uris), "scopes": scopes} | more,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask(app, uri=BACK, **changed):
    values = {"response_type": "code", "client_id": app["client_id"], "redirect_uri": uri, "scope": "read"}
    values |= changed
    return "/oauth/authorize?" + urlencode(
        {name: value for name, value in values.items() if value is not None}
    )


def answered(response):
    """Return (address without its query, parameters) of a redirect to an app."""
    assert response.status_code == 303, response.text
    uri, _, query = response.headers["location"].partition("?")
    return uri, dict(parse_qsl(query, keep_blank_values=True))


def test_every_scope_has_words():
    assert set(SCOPE_WORDS) == set(SCOPES)


def test_a_visitor_signs_in_first_and_then_decides(place, nino):
    with place.client() as browser:
        app = register(browser, BACK, website="https://app.example")
        here = ask(app, state="a b&c=d/\u00e9", scope="read:accounts write")
        sent = browser.get(here)
        assert sent.status_code == 303
        login = browser.get(sent.headers["location"])
        answer = send(browser, login, "/auth/sign_in", {"user[email]": nino, "user[password]": PASSWORD})
        page = browser.get(answer.headers["location"])
        assert page.status_code == 200
        for shown in ("Little &lt;App&gt;", f"@{nino}@", "app.example", SCOPE_WORDS["read:accounts"]):
            assert shown in page.text, shown
        assert SCOPE_WORDS["push"] not in page.text
        done = send(browser, page, "/oauth/authorize", {"decision": "approve"})
        uri, told = answered(done)
        assert uri == "https://app.example/back"
        assert set(told) == {"kept", "code", "state"}
        assert told["state"] == "a b&c=d/\u00e9"
        assert len(told["code"]) >= 32


def targets_of(page):
    """Return the targets of the page's links and forms, except those in its head."""
    body = page.text.partition("<body>")[2]
    return [unescape(one) for one in re.findall(r'(?<!use )(?:href|action|formaction)="([^"]+)"', body)]


def test_the_question_stands_alone_with_nothing_but_its_answers(place, nino):
    with place.client() as browser:
        app = register(browser, BACK, website="https://name:secret@app.ex\u00e4mple:8443/about?x#y")
        sign_in(browser, nino)
        page = browser.get(ask(app, scope="read write"))
        parsed = checked_consent(page)
        assert parsed.landmarks == ["main"]
        switch, form = targets_of(page)
        assert switch.startswith("/auth/sign_in?next=%2Foauth%2Fauthorize")
        assert form == "/oauth/authorize"
        assert "<bdi>app.xn--exmple-cua</bdi>" in page.text
        assert "secret" not in page.text


def checked_consent(page):
    """Return the parsed page. Of the rules for every page, the one about form targets is left out."""
    assert page.status_code == 200
    parsed = Page(page.text)
    assert (parsed.handlers, parsed.headings[0], parsed.headings.count(1)) == ([], 1, 1)
    return parsed


def test_permissions_are_said_in_words_and_each_once():
    read, write = SCOPE_WORDS["read"], SCOPE_WORDS["write"]
    assert permissions(("write:statuses", "read", "read:accounts", "profile", "write")) == [read, write]
    assert permissions(("profile",)) == [SCOPE_WORDS["profile"]]
    assert permissions(("read:accounts", "follow")) == [SCOPE_WORDS["read:accounts"], SCOPE_WORDS["follow"]]


def test_everything_about_signing_in_on_the_way_stands_alone_and_keeps_the_way(place, nino):
    with place.client() as browser:
        app = register(browser, BACK)
        login = browser.get(browser.get(ask(app)).headers["location"])
        after = form_to(login, "/auth/sign_in").fields["next"]
        assert after.startswith("/oauth/authorize?")
        ways = {path.partition("?")[0]: path for path in targets_of(login)}
        assert set(ways) == {"/auth/sign_in", "/auth/password/new", "/auth/sign_in/mail", "/auth/sign_up"}
        wrong = send(browser, login, "/auth/sign_in", {"user[email]": nino, "user[password]": "not it"})
        for page in (login, wrong):
            assert Page(page.text).landmarks == ["main"]
            assert form_to(page, "/auth/sign_in").fields["next"] == after
        for path in ("/auth/password/new", "/auth/sign_in/mail", "/auth/sign_up"):
            page = browser.get(ways[path])
            assert checked(page).landmarks == ["main"]
            assert form_to(page, path).fields["next"] == after
        page = browser.get(ways["/auth/sign_in/mail"])
        sent = browser.get(
            send(browser, page, "/auth/sign_in/mail", {"user[email]": nino}).headers["location"]
        )
        assert checked(sent).landmarks == ["main"]
        assert targets_of(sent) == [after]
        # Other pages have the site's frame, and continue to the front page.
        for path in ("/auth/sign_in", "/auth/password/new", "/auth/sign_in/mail", "/auth/mail_sent"):
            assert "nav" in checked(browser.get(path)).landmarks
        assert targets_of(browser.get("/auth/mail_sent?next=//evil.example"))[-1] != "//evil.example"


def test_a_long_state_survives_signing_in(place, nino):
    with place.client() as browser:
        app = register(browser, BACK)
        login = browser.get(browser.get(ask(app, state="s" * 4_000)).headers["location"])
        typed = {"user[email]": nino, "user[password]": PASSWORD}
        page = browser.get(send(browser, login, "/auth/sign_in", typed).headers["location"])
        assert form_to(page, "/oauth/authorize").fields["state"] == "s" * 4_000


def test_a_private_scheme_is_answered_and_the_page_does_not_forbid_it(place, nino):
    with place.client() as browser:
        app = register(browser, PRIVATE)
        sign_in(browser, nino)
        page = browser.get(ask(app, PRIVATE))
        policy = page.headers["content-security-policy"]
        assert "form-action" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "no-store" in page.headers["cache-control"]
        uri, told = answered(send(browser, page, "/oauth/authorize", {"decision": "approve"}))
        assert (uri, set(told)) == (PRIVATE, {"code"})


def test_out_of_band_shows_the_code(place, nino):
    with place.client() as browser:
        app = register(browser, OUT_OF_BAND)
        sign_in(browser, nino)
        page = send(browser, browser.get(ask(app, OUT_OF_BAND)), "/oauth/authorize", {"decision": "approve"})
        assert page.status_code == 200
        assert "no-store" in page.headers["cache-control"]
        code = page.text.partition('id="code" value="')[2].partition('"')[0]
        token = browser.post(
            "/oauth/token",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "client_id": app["client_id"],
                "client_secret": app["client_secret"],
                "redirect_uri": OUT_OF_BAND,
            },
        )
        assert token.status_code == 200


def test_the_address_may_end_with_a_slash(place, nino):
    with place.client() as browser:
        app = register(browser, OUT_OF_BAND)
        sign_in(browser, nino)
        page = browser.get(ask(app, OUT_OF_BAND).replace("/authorize?", "/authorize/?"))
        assert form_to(page, "/oauth/authorize").fields["client_id"] == app["client_id"]


def test_who_refuses_tells_the_app_so(place, nino):
    with place.client() as browser:
        app = register(browser, BACK, OUT_OF_BAND)
        sign_in(browser, nino)
        page = browser.get(ask(app, state=""))
        uri, told = answered(send(browser, page, "/oauth/authorize", {"decision": "deny"}))
        assert uri == "https://app.example/back"
        assert (told["error"], told["state"]) == ("access_denied", "")
        assert "code" not in told
        # A form sent without a button is not consent either.
        assert answered(send(browser, page, "/oauth/authorize"))[1]["error"] == "access_denied"
        page = browser.get(ask(app, OUT_OF_BAND))
        assert send(browser, page, "/oauth/authorize", {"decision": "deny"}).headers["location"] == "/"


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        ("unsupported_response_type", {"response_type": "token"}),
        ("unsupported_response_type", {"response_type": None}),
        ("invalid_scope", {"scope": "read follow nonsense"}),
        ("invalid_scope", {"scope": "follow"}),
        ("invalid_request", {"code_challenge": "x" * 43, "code_challenge_method": "plain"}),
        ("invalid_request", {"code_challenge": "x" * 43}),
    ],
)
def test_what_an_app_asks_wrongly_the_app_is_told(place, error, changed):
    with place.client() as browser:
        app = register(browser, BACK, OUT_OF_BAND)
        uri, told = answered(browser.get(ask(app, state="s", **changed)))
        assert (uri, told["error"], told["state"]) == ("https://app.example/back", error, "s")
        assert told["error_description"]
        # Out of band, only the person can be notified.
        assert browser.get(ask(app, OUT_OF_BAND, **changed)).status_code == 400


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/",
        "https://app.example/back",
        "https://app.example/back?kept=1&more=1",
        "https://app.example.evil.example/back?kept=1",
        "javascript:alert(1)",
        "//evil.example",
        "/about",
        "",
        OUT_OF_BAND,
        None,
    ],
)
def test_nobody_is_ever_sent_to_an_address_that_the_app_did_not_register(place, nino, uri):
    with place.client() as browser:
        app = register(browser, BACK)
        sign_in(browser, nino)
        for changed in ({}, {"response_type": "token"}, {"scope": "nonsense"}):
            answer = browser.get(ask(app, uri, **changed))
            assert answer.status_code == 400
            assert "location" not in answer.headers
        fields = form_to(browser.get(ask(app)), "/oauth/authorize").fields
        answer = browser.post(
            "/oauth/authorize", data=fields | {"redirect_uri": uri or "", "decision": "approve"}
        )
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_an_app_that_nobody_registered_is_shown_to_the_person_only(place, nino):
    with place.client() as browser:
        sign_in(browser, nino)
        for client_id in ("nobody", "", "\0", "command-line"):
            answer = browser.get(ask({"client_id": client_id}))
            assert answer.status_code == 400
            assert "location" not in answer.headers


def test_consent_needs_the_forms_token_and_the_person_who_was_asked(place, nino, maia):
    with place.client() as browser, place.client() as other:
        app = register(browser, BACK)
        sign_in(browser, nino)
        sign_in(other, maia)
        fields = form_to(browser.get(ask(app)), "/oauth/authorize").fields | {"decision": "approve"}
        without = {name: value for name, value in fields.items() if name != "csrf"}
        assert browser.post("/oauth/authorize", data=without).status_code == 403
        assert browser.post("/oauth/authorize", data=fields | {"csrf": "0" * 36}).status_code == 403
        assert other.post("/oauth/authorize", data=fields).status_code == 403
        evil = {"origin": "https://evil.example"}
        assert browser.post("/oauth/authorize", data=fields, headers=evil).status_code == 403
        with place.client() as visitor:
            visitor.get("/auth/sign_in")
            assert visitor.post("/oauth/authorize", data=fields).status_code == 403


def test_the_form_cannot_be_made_to_ask_for_more_than_the_app_registered(place, nino):
    with place.client() as browser:
        app = register(browser, BACK, scopes="read")
        sign_in(browser, nino)
        fields = form_to(browser.get(ask(app)), "/oauth/authorize").fields
        answer = browser.post(
            "/oauth/authorize", data=fields | {"scope": "read write", "decision": "approve"}
        )
        assert answered(answer)[1]["error"] == "invalid_scope"


@pytest.mark.parametrize("force", ["true", "True", "1"])
def test_an_app_can_have_somebody_sign_in_again_and_only_once(place, nino, maia, force):
    with place.client() as browser:
        app = register(browser, BACK)
        sign_in(browser, nino)
        sent = browser.get(ask(app, force_login=force, state="s"))
        login = browser.get(sent.headers["location"])
        answer = send(browser, login, "/auth/sign_in", {"user[email]": maia, "user[password]": PASSWORD})
        page = browser.get(answer.headers["location"])
        assert f"@{maia}@" in page.text
        assert form_to(page, "/oauth/authorize").fields["state"] == "s"
        assert signed_in_as(browser) == maia


def test_who_is_signed_in_need_not_sign_in_again_but_may(place, nino):
    with place.client() as browser:
        app = register(browser, BACK)
        sign_in(browser, nino)
        page = browser.get(ask(app, force_login="False", lang="de"))
        assert page.status_code == 200
        switch = unescape(page.text.partition(">Use another account<")[0].rpartition('href="')[2].rstrip('"'))
        login = browser.get(switch)
        assert login.status_code == 200
        assert form_to(login, "/auth/sign_in").fields["next"].startswith("/oauth/authorize?")


def test_a_loopback_program_may_listen_on_any_port(place, nino):
    with place.client() as browser:
        app = register(browser, "http://127.0.0.1/back")
        sign_in(browser, nino)
        page = browser.get(ask(app, "http://127.0.0.1:53124/back"))
        answer = send(browser, page, "/oauth/authorize", {"decision": "approve"})
        parts = urlsplit(answer.headers["location"])
        assert (parts.netloc, parts.path) == ("127.0.0.1:53124", "/back")
        assert set(parse_qs(parts.query)) == {"code"}
