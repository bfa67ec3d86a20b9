"""`POST /api/v1/accounts` through HTTP, on both stores."""

from __future__ import annotations


def test_an_app_signs_somebody_up_and_gets_their_token(place):
    app = place.client(_application_token(place))
    given = {
        "username": "fresh_face",
        "email": "fresh@example.org",
        "password": "a long enough password",
        "agreement": True,
        "locale": "en",
    }
    try:
        wrong = app.post("/api/v1/accounts", json=given | {"username": "no spaces", "password": "short"})
        assert wrong.status_code == 422
        assert codes(wrong) == {"username": "ERR_INVALID", "password": "ERR_TOO_SHORT"}
        empty = app.post("/api/v1/accounts", json={})
        blank = dict.fromkeys(("username", "email", "password"), "ERR_BLANK")
        assert codes(empty) == blank | {"agreement": "ERR_ACCEPTED"}
        assert codes(app.post("/api/v1/accounts", json=given | {"username": "admin"})) == {
            "username": "ERR_RESERVED"
        }
        long = app.post("/api/v1/accounts", json=given | {"username": "x" * 40, "password": "x" * 200})
        assert codes(long) == {"username": "ERR_TOO_LONG", "password": "ERR_TOO_LONG"}
        answer = app.post("/api/v1/accounts", json=given)
        assert answer.status_code == 200, answer.text
        again = app.post("/api/v1/accounts", json=given)
        assert again.status_code == 422
        assert codes(again) == {"username": "ERR_TAKEN", "email": "ERR_TAKEN"}
    finally:
        app.close()
    fresh = place.client(answer.json()["access_token"])
    assert fresh.get("/api/v1/accounts/verify_credentials").json()["username"] == "fresh_face"
    fresh.close()


def codes(answer):
    """Return the error codes of the answer by field."""
    assert answer.status_code == 422, answer.text
    return {name: one["error"] for name, (one,) in answer.json()["details"].items()}


def _application_token(place):
    created = place.visitor.post(
        "/api/v1/apps",
        json={
            "client_name": "Sign-up app",
            "redirect_uris": "urn:ietf:wg:oauth:2.0:oob",
            "scopes": "read write",
        },
    ).json()
    token = place.visitor.post(
        "/oauth/token",
        data={
            "grant_type": "client_credentials",
            "client_id": created["client_id"],
            "client_secret": created["client_secret"],
            "scope": "read write",
        },
    )
    return token.json()["access_token"]
