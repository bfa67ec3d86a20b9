"""Filters through the API, with Mastodon.py's types: what they match, and who may change them."""

from __future__ import annotations

import contextlib

import pytest
from mastodon import Mastodon
from mastodon import return_types as types

from tests.api.typed_entities import check


@pytest.fixture
def app(place):
    """Return a person and a Mastodon.py client with their token."""
    person = place.person("reader")
    app = Mastodon(access_token=person.token, api_base_url=place.base_url, ratelimit_method="throw")
    with contextlib.closing(app.session):
        yield person, app


def filtered(person, post):
    return person.get(f"/api/v1/statuses/{post['id']}")["filtered"]


def test_a_filter_is_made_changed_and_deleted(app):
    person, api = app
    made = api.create_filter_v2(
        "Weather",
        ["home", "public"],
        "hide",
        expires_in=3600,
        keywords_attributes=[{"keyword": "rain", "whole_word": True}, {"keyword": "#storm"}],
    )
    check(made, types.FilterV2)
    assert made.context == ["home", "public"]
    assert made.expires_at is not None
    assert [word.keyword for word in made.keywords] == ["rain", "#storm"]
    path = f"/api/v2/filters/{made.id}"
    first, second = made.keywords
    changed = person.http.put(
        path,
        json={
            "title": "Rain",
            "filter_action": "warn",
            "expires_in": None,
            "keywords_attributes": {
                "0": {"id": str(first.id), "keyword": "drizzle"},
                "1": {"id": str(second.id), "_destroy": True},
                "2": {"keyword": "hail"},
            },
        },
    ).json()
    assert (changed["title"], changed["filter_action"], changed["expires_at"]) == ("Rain", "warn", None)
    assert [word["keyword"] for word in changed["keywords"]] == ["drizzle", "hail"]
    check(api.filters_v2(), [types.FilterV2])
    check(api.filter_keywords_v2(made.id), [types.FilterKeyword])
    assert {one["phrase"] for one in person.get("/api/v1/filters")} == {"drizzle", "hail"}
    check(api.filters(), [types.Filter])
    assert person.http.delete(path).json() == {}
    assert person.get("/api/v2/filters") == person.get("/api/v1/filters") == []


def test_the_statuses_that_one_reads_say_which_filters_match(place, app):
    person, api = app
    friend = place.person("friend")
    person.follow(friend)
    posts = [friend.post(text) for text in ("It will Rain", "a brainy one", "sun", "hidden rain")]
    assert [filtered(person, post) for post in posts] == [[]] * 4
    made = person.do(
        "/api/v2/filters",
        title="Weather",
        context=["home"],
        keywords_attributes=[{"keyword": "rain", "whole_word": True}],
    )
    home = api.timeline_home()
    # Mastodon.py casts the filter within a result to a version 1 filter, even if it is none.
    check([status for status in home if not status.filtered], [types.Status])
    said = {str(status.id): status.filtered for status in home}
    assert [bool(said[post["id"]]) for post in posts] == [True, False, False, True]
    result = filtered(person, posts[0])[0]
    assert result["filter"]["title"] == "Weather"
    assert (result["keyword_matches"], result["status_matches"]) == (["Rain"], None)
    assert filtered(friend, posts[0]) == []
    assert "filtered" not in place.visitor.get(f"/api/v1/statuses/{posts[0]['id']}").json()
    boost = friend.do(f"/api/v1/statuses/{posts[0]['id']}/reblog")
    seen = person.get(f"/api/v1/statuses/{boost['id']}")
    assert seen["filtered"] == seen["reblog"]["filtered"] == [result]
    # From here on, the keyword also matches within words.
    word = made["keywords"][0]["id"]
    assert person.http.put(f"/api/v2/filters/keywords/{word}", json={"whole_word": False}).status_code == 200
    assert filtered(person, posts[1])
    named = person.do(f"/api/v2/filters/{made['id']}/statuses", status_id=posts[2]["id"])
    assert filtered(person, posts[2])[0]["status_matches"] == [posts[2]["id"]]
    assert person.get(f"/api/v2/filters/{made['id']}/statuses") == [named]
    assert person.http.delete(f"/api/v2/filters/statuses/{named['id']}").status_code == 200
    assert person.http.delete(f"/api/v2/filters/keywords/{word}").status_code == 200
    assert [filtered(person, post) for post in posts] == [[]] * 4


def test_a_filter_is_there_for_its_owner_only(place):
    owner, stranger = place.person("owner"), place.person("stranger")
    hidden = owner.post("for nobody", visibility="direct")
    made = owner.do("/api/v2/filters", title="x", context=["home"], keywords_attributes=[{"keyword": "word"}])
    named = owner.do(f"/api/v2/filters/{made['id']}/statuses", status_id=hidden["id"])
    keyword = made["keywords"][0]["id"]
    for method, path in (
        *((method, f"/api/v2/filters/{made['id']}") for method in ("GET", "PUT", "DELETE")),
        *((method, f"/api/v2/filters/keywords/{keyword}") for method in ("GET", "PUT", "DELETE")),
        *((method, f"/api/v2/filters/statuses/{named['id']}") for method in ("GET", "DELETE")),
        ("GET", f"/api/v2/filters/{made['id']}/keywords"),
        ("GET", f"/api/v2/filters/{made['id']}/statuses"),
        ("GET", f"/api/v1/filters/{keyword}"),
    ):
        assert stranger.http.request(method, path).status_code == 404, (method, path)
        assert place.visitor.request(method, path).status_code == 401, (method, path)
    theirs = stranger.do("/api/v2/filters", title="y", context=["home"])
    for body in ({"status_id": hidden["id"]}, {"status_id": "1"}):
        answer = stranger.http.post(f"/api/v2/filters/{theirs['id']}/statuses", json=body)
        assert answer.status_code == 404
    steal = {"keywords_attributes": [{"id": keyword, "_destroy": True}]}
    assert stranger.http.put(f"/api/v2/filters/{theirs['id']}", json=steal).status_code == 404
    assert owner.get(f"/api/v2/filters/{made['id']}/keywords") == made["keywords"]


@pytest.mark.parametrize(
    "given",
    [
        {"context": ["home"]},
        {"title": "x"},
        {"title": "x", "context": ["somewhere"]},
        {"title": "x", "context": ["home"], "filter_action": "explode"},
        {"title": "x", "context": ["home"], "expires_in": -1},
        {"title": "x", "context": ["home"], "expires_in": "soon"},
        {"title": "x", "context": ["home"], "keywords_attributes": [{"keyword": " "}]},
    ],
)
def test_a_filter_that_cannot_be_is_refused_with_a_reason(place, given):
    person = place.person("person")
    answer = person.http.post("/api/v2/filters", json=given)
    assert answer.status_code == 422
    assert answer.json()["details"]
    assert person.get("/api/v2/filters") == []


def test_older_apps_make_change_and_delete_filters_of_one_phrase(place, app):
    person, api = app
    made = api.filter_create("rain", ["home", "public"], irreversible=True, whole_word=False, expires_in=3600)
    check(made, types.Filter)
    assert (made.phrase, made.irreversible, made.whole_word) == ("rain", True, False)
    (whole,) = person.get("/api/v2/filters")
    assert (whole["title"], whole["filter_action"]) == ("rain", "hide")
    assert [word["id"] for word in whole["keywords"]] == [str(made.id)]
    path = f"/api/v1/filters/{made.id}"
    changed = person.http.put(
        path, json={"phrase": "hail", "context": ["thread"], "irreversible": False, "expires_in": None}
    )
    assert changed.json() == {
        "id": str(made.id),
        "phrase": "hail",
        "context": ["thread"],
        "whole_word": False,
        "expires_at": None,
        "irreversible": False,
    }
    assert person.get("/api/v2/filters")[0]["title"] == "hail"
    stranger = place.person("stranger")
    assert stranger.http.put(path, json={"phrase": "x"}).status_code == 404
    assert stranger.http.delete(path).status_code == 404
    assert place.visitor.post("/api/v1/filters", json={"phrase": "x"}).status_code == 401
    reads = place.client(place.token(person.id, scopes="read"))
    assert reads.delete(path).status_code == 403
    assert person.http.delete(path).json() == {}
    assert person.get("/api/v2/filters") == []
    for wrong in ({}, {"phrase": "x"}, {"phrase": "x", "context": ["there"]}, {"context": ["home"]}):
        assert person.http.post("/api/v1/filters", json=wrong).status_code == 422, wrong


def test_older_apps_do_not_change_a_filter_of_several_phrases_unawares(app):
    person, _ = app
    made = person.do(
        "/api/v2/filters",
        title="Weather",
        context=["home"],
        keywords_attributes=[{"keyword": "rain"}, {"keyword": "hail"}],
    )
    path = f"/api/v1/filters/{made['keywords'][0]['id']}"
    assert person.http.put(path, json={"phrase": "snow", "context": ["public"]}).status_code == 422
    changed = person.http.put(path, json={"phrase": "snow", "context": ["home"]})
    assert changed.json()["phrase"] == "snow"
    assert person.http.delete(path).json() == {}
    left = person.get(f"/api/v2/filters/{made['id']}")
    assert (left["title"], [word["keyword"] for word in left["keywords"]]) == ("Weather", ["hail"])
    person.http.delete(f"/api/v2/filters/{made['id']}")
