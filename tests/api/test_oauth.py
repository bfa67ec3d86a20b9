"""OAuth 2 as clients use it: who gets a token, with which scopes, and when it expires or is revoked."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import pytest

from stormpetrel.rules import accounts
from tests.forms import send, sign_in
from tests.people import PASSWORD

BACK = "https://app.example/back"
VERIFIER = "a-verifier.of~forty-three_characters-or-more-0"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def nino(place):
    """Return a new account."""
    return place.person("Nino")


def register(client, scopes="read write", name="Test"):
    sent = {"client_name": name, "redirect_uris": BACK, "scopes": scopes}
    return client.post("/api/v1/apps", data=sent).json()


def consent(place, app, person, **asked):
    """Return the code that an app gets when a person approves its request."""
    values = {"response_type": "code", "client_id": app["client_id"], "redirect_uri": BACK} | asked
    with place.client() as browser:
        sign_in(browser, person.username)
        page = browser.get("/oauth/authorize?" + urlencode(values))
        answer = send(browser, page, "/oauth/authorize", {"decision": "approve"})
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def exchange(client, app, code, **changed):
    values = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": app["client_id"],
        "client_secret": app["client_secret"],
        "redirect_uri": BACK,
    }
    return client.post("/oauth/token", data=values | changed)


def own_token(client, app, **changed):
    values = {
        "grant_type": "client_credentials",
        "client_id": app["client_id"],
        "client_secret": app["client_secret"],
    }
    return client.post("/oauth/token", data=values | changed)


def refused(answer, error, status):
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.json()["error"] == error
    assert answer.json()["error_description"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"


# Tokens for people


def test_a_code_becomes_a_token_that_speaks_for_the_person(place, nino):
    with place.client() as client:
        app = register(client)
        code = consent(place, app, nino, scope="read:accounts profile")
        answer = exchange(client, app, code)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        token = answer.json()
        assert set(token) == {"access_token", "token_type", "scope", "created_at"}
        assert (token["token_type"], token["scope"]) == ("Bearer", "read:accounts profile")
        assert 1_700_000_000 < token["created_at"] < 10_000_000_000
        assert len(token["access_token"]) >= 43
    with place.client(token["access_token"]) as known:
        assert known.get("/oauth/userinfo").json()["preferred_username"] == nino.username


def test_what_the_person_allowed_counts_not_what_the_exchange_asks(place, nino):
    with place.client() as client:
        app = register(client)
        answer = exchange(client, app, consent(place, app, nino, scope="read"), scope="read write")
        assert answer.json()["scope"] == "read"


def test_a_public_programs_code_is_bound_to_its_verifier(place, nino):
    asked = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    with place.client() as client:
        app = register(client)
        for wrong in ({}, {"code_verifier": VERIFIER[:-1] + "1"}, {"code_verifier": CHALLENGE}):
            refused(exchange(client, app, consent(place, app, nino, **asked), **wrong), "invalid_grant", 400)
        assert (
            exchange(client, app, consent(place, app, nino, **asked), code_verifier=VERIFIER).status_code
            == 200
        )
        # A code requested without a challenge accepts no verifier.
        refused(
            exchange(client, app, consent(place, app, nino), code_verifier=VERIFIER), "invalid_grant", 400
        )


def test_a_code_works_once(place, nino):
    with place.client() as client:
        app = register(client)
        code = consent(place, app, nino)
        assert exchange(client, app, code).status_code == 200
        refused(exchange(client, app, code), "invalid_grant", 400)


def test_a_code_shown_twice_ends_the_token_that_it_gave(place, nino):
    with place.client() as client:
        app = register(client)
        code, other = consent(place, app, nino), consent(place, app, nino)
        tokens = [exchange(client, app, each).json()["access_token"] for each in (code, other)]
        assert [me(client, token) for token in tokens] == [200, 200]
        refused(exchange(client, app, code), "invalid_grant", 400)
        assert [me(client, token) for token in tokens] == [401, 200]


def me(client, token) -> int:
    """Return the status of verify_credentials with this token."""
    headers = {"authorization": f"Bearer {token}"}
    return client.get("/api/v1/accounts/verify_credentials", headers=headers).status_code


def test_a_code_is_worth_nothing_to_another_app_or_for_another_address(place, nino):
    with place.client() as client:
        app, other = register(client), register(client, name="Other")
        refused(exchange(client, other, consent(place, app, nino)), "invalid_grant", 400)
        for uri in ("https://app.example/other", ""):
            refused(exchange(client, app, consent(place, app, nino), redirect_uri=uri), "invalid_grant", 400)


def test_a_code_of_somebody_suspended_since_is_worth_nothing(place, nino):
    with place.client() as client:
        app = register(client)
        code = consent(place, app, nino)
        place.write(accounts.suspend, account_id=nino.id)
        refused(exchange(client, app, code), "invalid_grant", 400)


@pytest.mark.parametrize("code", ["", "nobody", "\0", "x" * 10_000])
def test_a_code_that_nobody_was_given_is_worth_nothing(place, code):
    with place.client() as client:
        app = register(client)
        refused(exchange(client, app, code), "invalid_grant" if code else "invalid_request", 400)


# Tokens for applications


def test_an_application_gets_a_token_of_its_own(place):
    with place.client() as client:
        app = register(client)
        answer = own_token(client, app)
        assert (answer.status_code, answer.json()["scope"]) == (200, "read")
        assert own_token(client, app, scope="read write").json()["scope"] == "read write"
        refused(own_token(client, app, scope="push"), "invalid_scope", 400)
        refused(own_token(client, app, scope="nonsense"), "invalid_scope", 400)
    with place.client(answer.json()["access_token"]) as known:
        # The token belongs to no account.
        assert known.get("/oauth/userinfo").status_code == 422
        assert known.get("/api/v1/apps/verify_credentials").status_code == 200


@pytest.mark.parametrize("grant_type", ["password", "refresh_token", "implicit", "\0"])
def test_no_other_way_leads_to_a_token(place, nino, grant_type):
    with place.client() as client:
        app = register(client)
        answer = own_token(client, app, grant_type=grant_type, username=nino.username, password=PASSWORD)
        refused(answer, "unsupported_grant_type", 400)


def test_a_request_that_cannot_be_understood_is_refused_in_oauths_words(place):
    with place.client() as client:
        app = register(client)
        refused(client.post("/oauth/token"), "invalid_request", 400)
        refused(own_token(client, app, grant_type=""), "invalid_request", 400)
        json_type = {"content-type": "application/json"}
        refused(client.post("/oauth/token", content="{", headers=json_type), "invalid_request", 400)
        refused(client.post("/oauth/token", content="[]", headers=json_type), "invalid_request", 400)
        refused(client.post("/oauth/token", json={"grant_type": ["x"]}), "invalid_request", 400)
        xml_type = {"content-type": "application/xml"}
        refused(client.post("/oauth/token", content="<a/>", headers=xml_type), "invalid_request", 400)


# Client authentication


def basic(client_id, secret):
    return {"authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


@pytest.mark.parametrize("way", ["form", "json", "multipart", "basic", "encoded basic"])
def test_an_application_says_who_it_is_in_any_of_the_usual_ways(place, way):
    with place.client() as client:
        app = register(client)
        named = {"client_id": app["client_id"], "client_secret": app["client_secret"]}
        grant = {"grant_type": "client_credentials"}
        encoded = [quote_plus(value).replace("-", "%2D").replace("_", "%5F") for value in named.values()]
        sent = {
            "form": {"data": grant | named},
            "json": {"json": grant | named},
            "multipart": {"files": {name: (None, value) for name, value in (grant | named).items()}},
            "basic": {"data": grant | {"client_id": app["client_id"]}, "headers": basic(*named.values())},
            "encoded basic": {"data": grant, "headers": basic(*encoded)},
        }[way]
        assert client.post("/oauth/token", **sent).status_code == 200


def test_an_application_that_is_not_who_it_says_gets_nothing(place, nino):
    with place.client() as client:
        app, other = register(client), register(client, name="Other")
        for changed in (
            {"client_secret": "wrong"},
            {"client_secret": ""},
            {"client_secret": other["client_secret"]},
            {"client_id": "nobody"},
            {"client_id": "\0"},
            {"client_id": "", "client_secret": ""},
        ):
            answer = own_token(client, app, **changed)
            refused(answer, "invalid_client", 401)
            assert answer.headers["www-authenticate"].startswith("Basic ")
        code = consent(place, app, nino)
        refused(exchange(client, app, code, client_secret=""), "invalid_client", 401)
        # The code is still valid: the failed request proved no identity.
        assert exchange(client, app, code).status_code == 200


def test_two_ways_that_say_different_things_are_refused(place):
    with place.client() as client:
        app, other = register(client), register(client, name="Other")
        headers = basic(other["client_id"], other["client_secret"])
        grant = {"grant_type": "client_credentials"}
        for named in ({"client_id": app["client_id"]}, {"client_secret": app["client_secret"]}):
            refused(client.post("/oauth/token", data=grant | named, headers=headers), "invalid_request", 400)
        for broken in ("Basic", "Basic !", "Basic " + base64.b64encode(b"\xff\xfe").decode()):
            answer = client.post("/oauth/token", data=grant, headers={"authorization": broken})
            assert answer.status_code in (400, 401)
            assert answer.json()["error"] in ("invalid_request", "invalid_client")


# Revocation


def revoke(client, app, token, **changed):
    values = {"client_id": app["client_id"], "client_secret": app["client_secret"], "token": token}
    return client.post("/oauth/revoke", data=values | changed)


def test_a_token_that_was_ended_is_worth_nothing_at_once(place, nino):
    with place.client() as client:
        app = register(client)
        token = exchange(client, app, consent(place, app, nino)).json()["access_token"]
        with place.client(token) as known:
            assert known.get("/oauth/userinfo").status_code == 200
            answer = revoke(client, app, token)
            assert (answer.status_code, answer.json()) == (200, {})
            assert known.get("/oauth/userinfo").status_code == 401
        assert revoke(client, app, token).status_code == 200
        assert revoke(client, app, "never was").status_code == 200


def test_only_the_application_it_was_given_to_ends_a_token(place, nino):
    with place.client() as client:
        app, other = register(client), register(client, name="Other")
        token = exchange(client, app, consent(place, app, nino)).json()["access_token"]
        refused(revoke(client, other, token), "unauthorized_client", 403)
        refused(revoke(client, app, token, client_secret="wrong"), "invalid_client", 401)
        refused(revoke(client, app, ""), "unauthorized_client", 403)
        with place.client(token) as known:
            assert known.get("/oauth/userinfo").status_code == 200


# The owner of a token


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_person_is_named_to_the_app_they_let_in(place, nino, method):
    with place.client(place.token(nino.id, scopes="profile")) as app:
        answer = app.request(method, "/oauth/userinfo")
    assert answer.status_code == 200
    base_url = place.base_url
    who = answer.json()
    assert who.pop("picture").startswith(f"{base_url}/")
    assert who.pop("sub").startswith(f"{base_url}/")
    assert who == {
        "iss": f"{base_url}/",
        "name": "",
        "preferred_username": nino.username,
        "profile": f"{base_url}/@{nino.username}",
    }


def test_who_a_token_speaks_for_needs_a_scope_and_a_token(place, nino):
    with place.client(place.token(nino.id, scopes="write")) as app:
        assert app.get("/oauth/userinfo").status_code == 403
    with place.client() as client:
        assert client.get("/oauth/userinfo").status_code == 401
        # A session cookie is no API credential: another site could use it.
        sign_in(client, nino.username)
        assert client.get("/oauth/userinfo").status_code == 401


# Discovery


def test_the_addresses_that_are_announced_are_there(place):
    with place.client() as client:
        answer = client.get("/.well-known/oauth-authorization-server")
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        told = answer.json()
        assert told["issuer"] == f"{place.base_url}/"
        assert told["code_challenge_methods_supported"] == ["S256"]
        assert told["grant_types_supported"] == ["authorization_code", "client_credentials"]
        assert told["response_types_supported"] == ["code"]
        for name, url in told.items():
            if name.endswith("_endpoint"):
                allowed = client.options(url).headers["allow"]
                assert "GET" in allowed or "POST" in allowed, name
