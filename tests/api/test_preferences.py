"""`GET /api/v1/preferences` through HTTP, on both stores."""

from __future__ import annotations


def test_preferences_are_those_of_the_account(place):
    ann = place.person("ann")
    assert ann.get("/api/v1/preferences")["posting:default:visibility"] == "public"
    ann.http.patch(
        "/api/v1/accounts/update_credentials", json={"source": {"privacy": "private", "language": "nl"}}
    )
    preferences = ann.get("/api/v1/preferences")
    assert preferences["posting:default:visibility"] == "private"
    assert preferences["posting:default:language"] == "nl"
    assert preferences["reading:expand:media"] == "default"
