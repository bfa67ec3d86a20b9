"""`/api/v1/profile` through HTTP, on both stores."""

from __future__ import annotations

import pytest

from tests.media_files import png

PATH = "/api/v1/profile"


def test_a_profile_comes_as_its_owner_wrote_it(place):
    ann = place.person("ann")
    ann.do("/api/v1/featured_tags", name="harbour")
    ann.http.patch(
        "/api/v1/accounts/update_credentials",
        json={
            "display_name": "Ann",
            "note": "Sails & <oars>",
            "fields_attributes": [{"name": "Boat", "value": "https://boat.example"}],
            "locked": True,
            "indexable": False,
        },
    )
    profile = ann.get(PATH)
    assert profile["id"] == str(ann.id)
    assert profile["note"] == "Sails & <oars>"
    assert profile["fields"] == [{"name": "Boat", "value": "https://boat.example", "verified_at": None}]
    assert (profile["display_name"], profile["locked"], profile["indexable"]) == ("Ann", True, False)
    assert [tag["name"] for tag in profile["featured_tags"]] == ["harbour"]
    assert {profile[name] for name in ("avatar", "avatar_static", "header", "header_static")} == {None}


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_change_is_answered_with_the_profile_and_leaves_the_rest(place, method):
    ann = place.person("ann")
    first = ann.http.request(method, PATH, json={"note": "Here", "bot": True})
    assert first.status_code == 200, first.text
    second = ann.http.request(
        method,
        PATH,
        data={"display_name": "Ann", "fields_attributes[0][name]": "a", "fields_attributes[0][value]": "b"},
        files={"avatar": ("a.png", png(), "image/png")},
    ).json()
    assert (second["note"], second["bot"], second["display_name"]) == ("Here", True, "Ann")
    assert second["fields"][0]["value"] == "b"
    assert second["avatar"].startswith(f"{place.base_url}/media/")
    assert second["header"] is None
    assert ann.get(PATH) == second
    account = place.visitor.get(f"/api/v1/accounts/{ann.id}").json()
    assert (account["display_name"], account["avatar"]) == ("Ann", second["avatar"])


def test_a_change_that_breaks_a_rule_changes_nothing(place):
    ann = place.person("ann")
    answer = ann.http.patch(PATH, json={"display_name": "x" * 31, "note": "New"})
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert ann.get(PATH)["note"] == ""


def test_a_token_that_only_reads_shows_the_profile_and_cannot_change_it(place):
    for scopes in ("profile", "read:accounts"):
        reader = place.person("reader", scopes=scopes)
        assert reader.get(PATH)["id"] == str(reader.id)
        assert reader.http.patch(PATH, json={"note": "No"}).status_code == 403
        assert reader.get(PATH)["note"] == ""
    assert place.visitor.get(PATH).status_code == 401
    assert place.visitor.patch(PATH, json={"note": "No"}).status_code == 401


def test_a_profile_may_come_with_pictures_larger_than_other_requests(place):
    ann = place.person("ann")
    large = png() + b"\0" * 100_000
    answer = ann.http.patch(PATH, files={"header": ("h.png", large, "image/png")})
    assert answer.status_code == 200, answer.text
    assert answer.json()["header"]
