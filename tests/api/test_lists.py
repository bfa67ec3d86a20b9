"""Lists and followed hashtags through the API, with Mastodon.py's types: permissions and content."""

from __future__ import annotations

import contextlib

import pytest
from mastodon import Mastodon, MastodonNotFoundError
from mastodon import return_types as types

from tests.api.typed_entities import check


@pytest.fixture
def app(place):
    """Return a person and a Mastodon.py client with their token."""
    person = place.person("lister")
    app = Mastodon(access_token=person.token, api_base_url=place.base_url, ratelimit_method="throw")
    with contextlib.closing(app.session):
        yield person, app


def ids(statuses):
    return [str(status["id"]) for status in statuses]


def test_a_list_is_made_filled_read_changed_and_deleted(place, app):
    person, api = app
    friend, other = place.person("friend"), place.person("other")
    person.follow(friend)
    person.follow(other)
    made = api.list_create("Close friends", replies_policy="none")
    check(made, types.UserList)
    assert (made.title, made.replies_policy, made.exclusive) == ("Close friends", "none", False)
    api.list_accounts_add(made.id, [friend.id])
    members = api.list_accounts(made.id)
    check(members, [types.Account])
    assert ids(members) == [str(friend.id)]
    post = friend.post("in the list")
    other.post("not in the list")
    timeline = api.timeline_list(made.id)
    check(timeline, [types.Status])
    assert ids(timeline) == [post["id"]]
    assert ids(api.account_lists(friend.id)) == [str(made.id)]
    assert api.account_lists(other.id) == []
    changed = api.list_update(made.id, "Friends", replies_policy="none", exclusive=True)
    assert (changed.title, changed.replies_policy, changed.exclusive) == ("Friends", "none", True)
    assert post["id"] not in ids(api.timeline_home())
    api.list_accounts_delete(made.id, [friend.id])
    assert api.list_accounts(made.id) == []
    assert api.timeline_list(made.id) == []
    assert post["id"] in ids(api.timeline_home())
    api.list_delete(made.id)
    assert api.lists() == []
    with pytest.raises(MastodonNotFoundError):
        api.list(made.id)


def test_a_list_is_there_for_its_owner_only(place):
    owner, stranger = place.person("owner"), place.person("stranger")
    owner.follow(stranger)
    made = owner.do("/api/v1/lists", title="Mine")
    path = f"/api/v1/lists/{made['id']}"
    for method, where, body in (
        ("GET", path, None),
        ("PUT", path, {"title": "Theirs"}),
        ("DELETE", path, None),
        ("GET", f"{path}/accounts", None),
        ("POST", f"{path}/accounts", {"account_ids": [str(stranger.id)]}),
        ("DELETE", f"{path}/accounts", {"account_ids": [str(stranger.id)]}),
        ("GET", f"/api/v1/timelines/list/{made['id']}", None),
    ):
        assert stranger.http.request(method, where, json=body).status_code == 404, (method, where)
        assert place.visitor.request(method, where, json=body).status_code == 401, (method, where)
    assert owner.get(path) == made
    assert stranger.get("/api/v1/lists") == []


def test_only_whom_one_follows_can_be_in_a_list_once_and_as_long_as_one_does(place):
    owner, friend, stranger = place.person("owner"), place.person("friend"), place.person("stranger")
    owner.follow(friend)
    path = f"/api/v1/lists/{owner.do('/api/v1/lists', title='Mine')['id']}/accounts"
    both = {"account_ids": [str(friend.id), str(stranger.id)]}
    assert owner.http.post(path, json=both).status_code == 404
    assert owner.get(path) == []
    owner.do(path, account_ids=[str(friend.id), str(owner.id)])
    assert owner.http.post(path, json={"account_ids": [str(friend.id)]}).status_code == 422
    assert ids(owner.get(path, limit=0)) == [str(friend.id), str(owner.id)]
    owner.do(f"/api/v1/accounts/{friend.id}/unfollow")
    assert ids(owner.get(path)) == [str(owner.id)]


@pytest.mark.parametrize(
    "given", [{}, {"title": "  "}, {"title": "x" * 256}, {"title": "x", "replies_policy": "some"}]
)
def test_a_list_that_cannot_be_is_refused_with_a_reason(place, given):
    answer = place.person("owner").http.post("/api/v1/lists", json=given)
    assert answer.status_code == 422
    assert answer.json()["details"]


def test_a_followed_hashtag_brings_public_posts_home_until_it_is_followed_no_longer(place, app):
    person, api = app
    stranger = place.person("stranger")
    assert not api.tag("Gale").following
    assert person.get("/api/v1/timelines/home") == []
    followed = api.tag_follow("Gale")
    check(followed, types.Tag)
    assert followed.following
    check(api.followed_tags(), [types.Tag])
    assert [tag.name for tag in api.followed_tags()] == ["gale"]
    post = stranger.post("A #gale is coming")
    stranger.post("not for everybody #gale", visibility="unlisted")
    assert ids(person.get("/api/v1/timelines/home")) == [post["id"]]
    assert not api.tag_unfollow("gale").following
    assert person.get("/api/v1/timelines/home") == []
    assert api.followed_tags() == []
    assert person.http.post("/api/v1/tags/1/follow").status_code == 404


def test_notes_endorsements_and_languages_are_in_the_relationship(place, app):
    person, api = app
    friend = place.person("friend")
    assert person.http.post(f"/api/v1/accounts/{friend.id}/endorse").status_code == 422
    followed = person.do(f"/api/v1/accounts/{friend.id}/follow", languages=["en", "de"])
    assert followed["languages"] == ["en", "de"]
    noted = api.account_note_set(friend.id, "met at sea")
    check(noted, types.Relationship)
    assert noted.note == "met at sea"
    assert api.account_pin(friend.id).endorsed
    assert ids(api.endorsements()) == [str(friend.id)]
    assert ids(place.visitor.get(f"/api/v1/accounts/{person.id}/endorsements").json()) == [str(friend.id)]
    seen = friend.get("/api/v1/accounts/relationships", id=person.id)[0]
    assert (seen["note"], seen["endorsed"]) == ("", False)
    assert not api.account_unpin(friend.id).endorsed
    assert api.account_note_set(friend.id, "").note == ""
    api.account_pin(friend.id)
    api.account_unfollow(friend.id)
    assert api.endorsements() == []
    muted = person.do(f"/api/v1/accounts/{friend.id}/mute", duration=60)
    assert muted["muting_expires_at"].endswith("Z")
