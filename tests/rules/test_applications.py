"""OAuth applications: what they may register, and how consent becomes a token, once and only for them."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.errors import Invalid, NotFound
from stormpetrel.model.access import OUT_OF_BAND, Application, secret_hash
from stormpetrel.model.ids import IdMaker
from stormpetrel.rules import access, accounts, applications
from stormpetrel.rules.applications import OAuthRefusal, redirect_uri_problem
from stormpetrel.storage.engine.connection import connect, transaction

NOW_MS = 1_800_000_000_000
BACK = "https://app.example/back"
VERIFIER = "a-verifier.of~forty-three_characters-or-more-0"


@pytest.fixture
def connection(database_url):
    opened = connect(database_url, ids=IdMaker(1))
    with transaction(opened):
        yield opened
    opened.close()


def challenge(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def register(connection, **changed):
    values = {
        "name": "App",
        "redirect_uris": [BACK],
        "scopes": "read write",
        "website": "",
        "client_id": "client",
        "client_secret_hash": secret_hash("secret"),
        "now_ms": NOW_MS,
    }
    return applications.register(connection, **(values | changed))


def add_account(connection, name="Nino"):
    return accounts.sign_up(
        connection,
        username=name,
        email=f"{name}@example.org",
        password_hash="$argon2id$…",
        reason="",
        locale="en",
        registration="open",
        now_ms=NOW_MS,
    ).id


def give_code(connection, client, account_id, code="code", **changed):
    values = {"redirect_uri": BACK, "scopes": ("read",), "code_challenge": ""}
    applications.create_code(
        connection,
        application_id=client.id,
        account_id=account_id,
        consent=applications.Consent(**(values | changed)),
        code_hash=secret_hash(code),
        now_ms=NOW_MS,
    )


def exchange(connection, client, code="code", **changed):
    values = {"redirect_uri": BACK, "code_verifier": "", "now_ms": NOW_MS}
    return applications.exchange_code(
        connection,
        application_id=client.id,
        code_hash=secret_hash(code),
        token_hash=secret_hash("token"),
        **(values | changed),
    )


# Registration


def test_an_application_is_kept_as_it_registered(connection):
    uris = ["com.app.x:/callback", OUT_OF_BAND, BACK, BACK]
    client = register(connection, redirect_uris=uris, website=" https://app.example ", name=" App ")
    assert client.redirect_uris == ("com.app.x:/callback", OUT_OF_BAND, BACK)
    assert (client.name, client.website, client.scopes) == ("App", "https://app.example", ("read", "write"))
    assert applications.application(connection, application_id=client.id) == client
    assert applications.application_by_client_id(connection, client_id="client") == client


def test_an_application_that_names_no_scopes_may_read(connection):
    assert register(connection, scopes=" ").scopes == ("read",)


def test_there_is_no_application_that_nobody_registered(connection):
    assert applications.application_by_client_id(connection, client_id="no\0body") is None
    with pytest.raises(NotFound):
        applications.application(connection, application_id=5)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("client_name", {"name": " "}),
        ("client_name", {"name": "x" * 61}),
        ("client_name", {"name": "Trusted \u202eppA"}),
        ("client_name", {"name": "nul\0"}),
        ("website", {"website": "javascript:alert(1)"}),
        ("website", {"website": "app.example"}),
        ("website", {"website": "https://app.example/" + "x" * 2000}),
        ("website", {"website": "https://[broken"}),
        ("scopes", {"scopes": "read admin:everything"}),
        ("scopes", {"scopes": "+"}),
        ("redirect_uris", {"redirect_uris": []}),
        ("redirect_uris", {"redirect_uris": [BACK, "/relative"]}),
        ("redirect_uris", {"redirect_uris": [f"{BACK}/{number}" for number in range(21)]}),
    ],
)
def test_what_cannot_be_registered_is_named(connection, field, values):
    with pytest.raises(Invalid, match="Validation failed: ") as refused:
        register(connection, **values)
    assert list(refused.value.fields) == [field]
    assert applications.application_by_client_id(connection, client_id="client") is None


def test_all_that_is_wrong_is_said_at_once(connection):
    with pytest.raises(Invalid) as refused:
        register(connection, name="", redirect_uris=[], scopes="nonsense", website="x")
    assert set(refused.value.fields) == {"client_name", "redirect_uris", "scopes", "website"}


@pytest.mark.parametrize(
    "uri",
    [
        OUT_OF_BAND,
        "https://app.example",
        "https://app.example/back?kept=1&more=%20",
        "http://app.example:8080/",
        "http://127.0.0.1/back",
        "http://[::1]:5000/back",
        "com.app.x:/callback",
        "mastodon://oauth",
        "icecubesapp://",
        "dev.app+beta-2.x:callback",
        "exp://127.0.0.1:19000/--/",
    ],
)
def test_an_address_that_apps_really_use_is_taken(uri):
    assert redirect_uri_problem(uri) is None


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/callback",
        "//app.example/callback",
        "app.example/callback",
        "https://",
        "https:///callback",
        "https://app.example/#fragment",
        "com.app.x:/callback#",
        "https://user:word@app.example/",
        "https://app.example:99999/",
        "https://app.example:port/",
        "https://[::1/",
        "https://app.example/with space",
        "https://app.example/\r\nSet-Cookie:x=1",
        "https://app.example\\@elsewhere.example/",
        "https://b\u00fccher.example/",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "about:blank",
        "file:///etc/passwd",
        "blob:https://app.example/x",
        "view-source:https://app.example/",
        "urn:ietf:wg:oauth:2.0:oob:auto",
        "scheme:",
        "1scheme:/x",
        "https://app.example/" + "x" * 2000,
    ],
)
def test_an_address_nobody_should_be_sent_to_is_refused(uri):
    assert redirect_uri_problem(uri)


@given(st.text(max_size=60))
def test_whatever_is_taken_as_an_address_cannot_break_a_header(text):
    if redirect_uri_problem(text) is None:
        assert text.isascii()
        assert text.isprintable()
        assert " " not in text


# Redirects


def client_with(*uris):
    return Application(1, "client", b"", "App", "", uris, ("read", "write:statuses"), NOW_MS)


@pytest.mark.parametrize(
    ("registered", "asked", "fits"),
    [
        (BACK, BACK, True),
        (BACK, f"{BACK}/", False),
        (BACK, f"{BACK}?x=1", False),
        (BACK, "https://app.example.evil.example/back", False),
        (BACK, "https://APP.example/back", False),
        (BACK, "http://app.example/back", False),
        (BACK, OUT_OF_BAND, False),
        (BACK, "", False),
        ("com.app.x:/callback", "com.app.x:/callback2", False),
        ("http://127.0.0.1/back", "http://127.0.0.1:53124/back", True),
        ("http://127.0.0.1:8080/back", "http://127.0.0.1:53124/back", True),
        ("http://[::1]/back", "http://[::1]:53124/back", True),
        ("http://127.0.0.1/back", "http://127.0.0.1:53124/other", False),
        ("http://127.0.0.1/back", "http://127.0.0.1:53124@evil.example/back", False),
        ("http://localhost/back", "http://localhost:53124/back", False),
        ("https://127.0.0.1/back", "https://127.0.0.1:53124/back", False),
    ],
)
def test_a_redirect_goes_only_where_the_app_registered(registered, asked, fits):
    assert applications.redirect_uri_fits(client_with(registered), asked) is fits


# Requested scopes


def want(**changed):
    values = {
        "response_type": "code",
        "redirect_uri": BACK,
        "scope": "read",
        "code_challenge": "",
        "code_challenge_method": "",
    }
    return applications.consent_wanted(client_with(BACK), **(values | changed))


def test_an_app_may_ask_for_less_than_it_registered_for():
    assert want(scope="read:accounts write:statuses").scopes == ("read:accounts", "write:statuses")
    assert want(scope="").scopes == ("read",)
    asked = want(code_challenge=challenge(VERIFIER), code_challenge_method="S256")
    assert asked.code_challenge == challenge(VERIFIER)


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        ("unsupported_response_type", {"response_type": "token"}),
        ("unsupported_response_type", {"response_type": ""}),
        ("invalid_scope", {"scope": "write"}),
        ("invalid_scope", {"scope": "read nonsense"}),
        ("invalid_scope", {"scope": "push"}),
        ("invalid_request", {"code_challenge": VERIFIER, "code_challenge_method": "plain"}),
        ("invalid_request", {"code_challenge": challenge(VERIFIER)}),
        ("invalid_request", {"code_challenge": "short", "code_challenge_method": "S256"}),
    ],
)
def test_what_an_app_cannot_ask_for_is_refused_in_oauths_words(error, changed):
    with pytest.raises(OAuthRefusal) as refused:
        want(**changed)
    assert refused.value.error == error


# Codes


def test_a_code_becomes_a_token_of_what_was_consented_to(connection):
    client, nino = register(connection), add_account(connection)
    give_code(connection, client, nino, scopes=("read", "write"))
    assert exchange(connection, client) == applications.Granted(nino, ("read", "write"))
    found = access.access_by_token(connection, token_hash=secret_hash("token"))
    assert found is not None
    assert (found.account_id, found.application_id, found.scopes) == (nino, client.id, ("read", "write"))


def test_a_code_is_good_once(connection):
    client, nino = register(connection), add_account(connection)
    give_code(connection, client, nino)
    assert exchange(connection, client) is not None
    assert exchange(connection, client) is None


def test_the_verifier_must_be_the_one_behind_the_challenge(connection):
    client, nino = register(connection), add_account(connection)
    for verifier in ("", VERIFIER[:-1] + "1", challenge(VERIFIER), "short", "x" * 129, VERIFIER + "\u00e9"):
        give_code(connection, client, nino, code_challenge=challenge(VERIFIER))
        assert exchange(connection, client, code_verifier=verifier) is None, verifier
    give_code(connection, client, nino, code_challenge=challenge(VERIFIER))
    assert exchange(connection, client, code_verifier=VERIFIER) is not None


def test_a_verifier_without_a_challenge_is_a_challenge_taken_away(connection):
    client, nino = register(connection), add_account(connection)
    give_code(connection, client, nino)
    assert exchange(connection, client, code_verifier=VERIFIER) is None


def test_a_code_is_bound_to_its_client_its_address_and_its_ten_minutes(connection):
    client, nino = register(connection), add_account(connection)
    other = register(connection, client_id="other")
    give_code(connection, client, nino)
    assert exchange(connection, other) is None
    give_code(connection, client, nino)
    assert exchange(connection, client, redirect_uri="https://app.example/other") is None
    give_code(connection, client, nino)
    assert exchange(connection, client, now_ms=NOW_MS + 600_000) is None
    give_code(connection, client, nino)
    assert exchange(connection, client, now_ms=NOW_MS + 599_999) is not None


def test_a_code_shown_wrongly_is_spent(connection):
    client, nino = register(connection), add_account(connection)
    give_code(connection, client, nino)
    assert exchange(connection, client, redirect_uri="https://app.example/other") is None
    assert exchange(connection, client) is None


def test_a_code_of_somebody_suspended_since_gives_nothing(connection):
    client, nino = register(connection), add_account(connection)
    give_code(connection, client, nino)
    accounts.suspend(connection, account_id=nino)
    assert exchange(connection, client) is None


# Clients


def test_a_client_is_who_knows_its_secret(connection):
    client = register(connection)
    assert applications.authenticate(connection, client_id="client", client_secret="secret") == client
    for client_id, secret in (("client", "wrong"), ("client", ""), ("nobody", "secret"), ("", "")):
        with pytest.raises(OAuthRefusal) as refused:
            applications.authenticate(connection, client_id=client_id, client_secret=secret)
        assert (refused.value.error, refused.value.status) == ("invalid_client", 401)


def test_an_applications_own_token_allows_no_more_than_it_registered_for(connection):
    client = register(connection, scopes="read")
    granted = applications.grant_client_credentials(
        connection, client, scope="", token_hash=secret_hash("t"), network=1, now_ms=NOW_MS
    )
    assert granted == applications.Granted(None, ("read",))
    with pytest.raises(OAuthRefusal) as refused:
        applications.grant_client_credentials(
            connection, client, scope="write", token_hash=secret_hash("u"), network=1, now_ms=NOW_MS
        )
    assert refused.value.error == "invalid_scope"
