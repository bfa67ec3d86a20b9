"""Apps register, in every form that real apps use, and verify their credentials."""

from __future__ import annotations

import json

import httpx
import pytest

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


def test_an_application_gets_its_credentials_and_every_field_that_clients_read(place):
    with place.client() as client:
        answer = client.post(
            "/api/v1/apps",
            json={
                "client_name": "Test",
                "redirect_uris": ["https://app.example/back", "com.app.x:/callback"],
                "scopes": "read write push",
                "website": "https://app.example",
            },
        )
    assert answer.status_code == 200
    given = answer.json()
    assert given["id"].isdigit()
    assert len(given.pop("client_id")) >= 43
    assert len(given.pop("client_secret")) >= 43
    assert given == {
        "id": given["id"],
        "name": "Test",
        "website": "https://app.example",
        "scopes": ["read", "write", "push"],
        "redirect_uri": "https://app.example/back\ncom.app.x:/callback",
        "redirect_uris": ["https://app.example/back", "com.app.x:/callback"],
        "client_secret_expires_at": 0,
        "vapid_key": "",
    }


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"client_name": "Test", "redirect_uris": f"{OUT_OF_BAND}\r\napp.x:/cb"}},
        {"json": {"client_name": "Test", "redirect_uris": [OUT_OF_BAND, "app.x:/cb"], "website": None}},
        {"data": {"client_name": "Test", "redirect_uris": f"{OUT_OF_BAND}\napp.x:/cb", "website": ""}},
        {"data": {"client_name": "Test", "redirect_uris[]": [OUT_OF_BAND, "app.x:/cb"]}},
        {"files": {"client_name": (None, "Test"), "redirect_uris": (None, f"{OUT_OF_BAND} app.x:/cb")}},
        {"content": f"client_name=Test&redirect_uris={OUT_OF_BAND}%0Aapp.x:/cb"},
        {"content": json.dumps({"client_name": "Test", "redirect_uris": f"{OUT_OF_BAND}\napp.x:/cb"})},
        {"params": {"client_name": "Test", "redirect_uris": f"{OUT_OF_BAND}\napp.x:/cb"}},
    ],
    ids=["json text", "json list", "form", "form list", "multipart", "untyped form", "untyped json", "query"],
)
def test_it_may_register_in_any_of_the_ways_in_which_apps_do(place, sent):
    with place.client() as client:
        answer = client.post("/api/v1/apps", **sent)
    assert answer.status_code == 200, answer.text
    assert answer.json()["redirect_uris"] == [OUT_OF_BAND, "app.x:/cb"]
    assert answer.json()["scopes"] == ["read"]
    assert answer.json()["website"] is None


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"client_name": "", "redirect_uris": OUT_OF_BAND},
        {"client_name": "Test"},
        {"client_name": "Test", "redirect_uris": "javascript:alert(1)"},
        {"client_name": "Test", "redirect_uris": "/back"},
        {"client_name": "Test", "redirect_uris": OUT_OF_BAND, "scopes": "everything"},
        {"client_name": "Test", "redirect_uris": OUT_OF_BAND, "website": "javascript:alert(1)"},
        {"client_name": "T\0", "redirect_uris": OUT_OF_BAND},
        {"client_name": ["Test"], "redirect_uris": OUT_OF_BAND},
        {"client_name": "Test", "redirect_uris": {"a": "b"}},
        {"client_name": "Test", "redirect_uris": [[OUT_OF_BAND]]},
    ],
)
def test_what_cannot_be_registered_is_refused_with_a_reason(place, sent):
    with place.client() as client:
        answer = client.post("/api/v1/apps", json=sent)
    assert answer.status_code == 422
    assert isinstance(answer.json()["error"], str)
    assert answer.json()["error"]


def token_of(client, app):
    answer = client.post(
        "/oauth/token",
        data={
            "grant_type": "client_credentials",
            "client_id": app["client_id"],
            "client_secret": app["client_secret"],
        },
    )
    return answer.json()["access_token"]


def test_one_address_may_be_repeated_and_thousands_are_refused(place):
    with place.client() as client:
        same = client.post(
            "/api/v1/apps", json={"client_name": "T", "redirect_uris": " ".join(["a.b:/c"] * 900)}
        )
        assert same.json()["redirect_uris"] == ["a.b:/c"]
        many = client.post("/api/v1/apps", data={"client_name": "T", "redirect_uris": "\u4e00 " * 5_000})
        assert many.status_code == 422
        assert "Redirect URI" in many.json()["error"]


def test_an_application_finds_out_that_its_token_works(place):
    with place.client() as client:
        app = client.post("/api/v1/apps", data={"client_name": "Test", "redirect_uris": OUT_OF_BAND}).json()
        with place.client(token_of(client, app)) as known:
            answer = known.get("/api/v1/apps/verify_credentials")
    assert answer.status_code == 200
    assert answer.json() == {
        name: app[name]
        for name in ("id", "name", "website", "scopes", "redirect_uri", "redirect_uris", "vapid_key")
    }


def test_a_persons_token_finds_its_application_too(place):
    nino = place.person("Nino")
    with place.client(place.token(nino.id, scopes="profile")) as app:
        answer = app.get("/api/v1/apps/verify_credentials")
    assert answer.status_code == 200
    assert answer.json()["name"] == "Command line"


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer nobody", "Basic bm9ib2R5", "nonsense"])
def test_without_a_valid_token_there_is_nothing_to_verify(place, authorization):
    headers = {"authorization": authorization} if authorization else {}
    with httpx.Client(base_url=place.base_url, trust_env=False, headers=headers) as client:
        answer = client.get("/api/v1/apps/verify_credentials")
    assert answer.status_code == 401
    assert answer.json() == {"error": "The access token is invalid"}
