"""Permissions, rule by rule, through HTTP, on both stores.

The actors: the owner, a follower, an addressed account, a stranger, a blocked account, a visitor, a token
without the scope, and an application's own token.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import httpx
import pytest

from stormpetrel.api.routes import ROUTES
from stormpetrel.http.routing import Actor


@dataclass
class Cast:
    owner: object
    follower: object
    addressed: object
    stranger: object
    blocked: object


@pytest.fixture(scope="module")
def cast(place):
    """Return an owner and accounts with different relationships to them."""
    owner = place.person("owner")
    people = Cast(owner, *(place.person(name) for name in ("follower", "addressed", "stranger", "blocked")))
    people.follower.follow(owner)
    people.blocked.follow(owner)
    owner.do(f"/api/v1/accounts/{people.blocked.id}/block")
    return people


ROLES = ("owner", "follower", "addressed", "stranger", "blocked", "visitor")
MAY_SEE = {
    "public": {"owner", "follower", "addressed", "stranger", "visitor"},
    "unlisted": {"owner", "follower", "addressed", "stranger", "visitor"},
    "private": {"owner", "follower", "addressed"},
    "direct": {"owner", "addressed"},
}


def http_of(place, cast, role):
    return place.visitor if role == "visitor" else getattr(cast, role).http


def a_post(cast, visibility, text="Words"):
    return cast.owner.post(f"{text} @{cast.addressed.username}", visibility=visibility)


@pytest.mark.parametrize("visibility", MAY_SEE)
def test_who_may_not_see_a_post_is_told_that_there_is_none(place, cast, visibility):
    post_id = a_post(cast, visibility)["id"]
    for role in ROLES:
        http = http_of(place, cast, role)
        wanted = 200 if role in MAY_SEE[visibility] else 404
        for path in ("", "/context", "/favourited_by", "/reblogged_by"):
            answer = http.get(f"/api/v1/statuses/{post_id}{path}")
            assert answer.status_code == wanted, (role, path, answer.text)
        several = http.get("/api/v1/statuses", params={"id[]": post_id}).json()
        assert bool(several) is (wanted == 200), role


@pytest.mark.parametrize("visibility", MAY_SEE)
def test_who_may_not_see_a_post_meets_it_nowhere(place, cast, visibility):
    post_id = a_post(cast, visibility, "#everywhere")["id"]
    for role in ROLES:
        if role in MAY_SEE[visibility]:
            continue
        http = http_of(place, cast, role)
        lists = [
            f"/api/v1/accounts/{cast.owner.id}/statuses",
            "/api/v1/timelines/public",
            "/api/v1/timelines/tag/everywhere",
        ]
        if role != "visitor":
            lists += ["/api/v1/timelines/home", "/api/v1/notifications"]
        for path in lists:
            assert post_id not in http.get(path).text, (role, path)


@pytest.mark.parametrize("verb", ["favourite", "bookmark", "reblog"])
@pytest.mark.parametrize("visibility", MAY_SEE)
def test_who_may_react_to_a_post(place, cast, visibility, verb):
    path = f"/api/v1/statuses/{a_post(cast, visibility)['id']}/{verb}"
    for role in ROLES:
        answer = http_of(place, cast, role).post(path)
        if role == "visitor":
            wanted = 401
        elif role not in MAY_SEE[visibility]:
            wanted = 404
        else:
            wanted = 403 if verb == "reblog" and visibility in ("private", "direct") else 200
        assert answer.status_code == wanted, (role, answer.text)


def test_who_may_reply(place, cast):
    for visibility in MAY_SEE:
        post_id = a_post(cast, visibility)["id"]
        for role in ROLES:
            answer = http_of(place, cast, role).post(
                "/api/v1/statuses",
                json={"status": "Reply", "in_reply_to_id": post_id, "visibility": "direct"},
            )
            wanted = 401 if role == "visitor" else 200 if role in MAY_SEE[visibility] else 404
            assert answer.status_code == wanted, (visibility, role, answer.text)


def test_only_the_owner_deletes_and_reads_the_source(place, cast):
    post_id = a_post(cast, "public")["id"]
    path = f"/api/v1/statuses/{post_id}"
    for role in ROLES[1:]:
        http = http_of(place, cast, role)
        source = {"visitor": 401, "blocked": 404}.get(role, 403)
        assert http.get(f"{path}/source").status_code == source, role
        assert http.delete(path).status_code == (401 if role == "visitor" else 404), role
    assert cast.owner.http.get(f"{path}/source").status_code == 200
    assert cast.owner.http.delete(path).status_code == 200


def test_who_is_blocked_can_neither_follow_nor_address(place, cast):
    answer = cast.blocked.http.post(f"/api/v1/accounts/{cast.owner.id}/follow")
    assert answer.status_code in (403, 404)
    before = cast.owner.http.get("/api/v1/notifications").json()
    cast.blocked.post(f"@{cast.owner.username} let me in")
    assert cast.owner.http.get("/api/v1/notifications").json() == before


def test_nobody_acts_in_anothers_name(place, cast):
    stranger = cast.stranger.http
    follower = cast.follower.id
    assert stranger.post(f"/api/v1/follow_requests/{follower}/authorize").status_code == 404
    assert stranger.post(f"/api/v1/accounts/{follower}/remove_from_followers").status_code == 200
    assert cast.follower.get("/api/v1/accounts/relationships", id=cast.owner.id)[0]["following"] is True


API_ROUTES = [route for route in ROUTES if route.path.startswith("/api/")]
_NAMES = {"id": "1", "name": "x"}


def path_of(route):
    path = route.path
    for name, value in _NAMES.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def ask(http, route, **more):
    """Return the route's answer. Of an open stream, return only the head."""
    with http.stream(route.method, path_of(route), **more) as answer:
        if route.streams and answer.status_code == 200:
            return httpx.Response(200, headers=answer.headers, content=b"")
        answer.read()
        return answer


def test_without_a_token_everything_for_accounts_is_401(place):
    for route in API_ROUTES:
        if route.actor is Actor.ANYONE:
            continue
        answer = ask(place.visitor, route)
        assert answer.status_code == 401, (route.method, route.path, answer.text)
        assert set(answer.json()) == {"error"}


def test_a_token_without_the_scope_is_403_with_it_is_not(place):
    person = place.person("scoped")
    scopes = {route.scope for route in API_ROUTES if route.scope}
    for scope in sorted(scopes):
        without = "write" if scope == "profile" or scope.partition(":")[0] == "read" else "read"
        lacking = place.client(place.token(person.id, scopes=without))
        having = place.client(place.token(person.id, scopes=scope))
        for route in API_ROUTES:
            if route.scope != scope or (route.method == "POST" and route.path == "/api/v1/accounts"):
                continue
            refused = ask(lacking, route)
            assert refused.status_code == 403, (scope, route.method, route.path, refused.text)
            assert "scope" in refused.json()["error"]
            allowed = ask(having, route)
            assert "scope" not in allowed.text or allowed.status_code != 403, (scope, route.path)
        lacking.close()
        having.close()


def test_old_and_broad_scopes_imply_the_granular_ones(place):
    person, other = place.person("scoped"), place.person("other")
    follow = place.client(place.token(person.id, scopes="follow"))
    assert follow.post(f"/api/v1/accounts/{other.id}/follow").status_code == 200
    assert follow.post("/api/v1/statuses", json={"status": "x"}).status_code == 403
    read_accounts = place.client(place.token(person.id, scopes="read:accounts"))
    assert read_accounts.get("/api/v1/accounts/verify_credentials").status_code == 200
    profile = place.client(place.token(person.id, scopes="profile"))
    assert profile.get("/api/v1/accounts/verify_credentials").status_code == 200
    assert profile.get("/api/v1/timelines/home").status_code == 403
    for http in (follow, read_accounts, profile):
        http.close()


def test_an_applications_own_token_acts_for_nobody(place):
    http = place.client(place.token(None))
    for route in API_ROUTES:
        answer = ask(http, route)
        if route.actor is Actor.ACCOUNT:
            assert answer.status_code == 422, (route.method, route.path, answer.text)
            assert "authenticated user" in answer.json()["error"]
        else:
            assert answer.status_code < 500, route.path
    assert http.get("/api/v1/timelines/public").status_code == 200
    http.close()


def test_a_suspended_account_is_shut_out_and_not_there(place):
    from stormpetrel.rules import accounts

    person = place.person("bad")
    post = person.post("Something")
    place.write(accounts.suspend, account_id=person.id)
    fresh = place.client(person.token)
    # The other process notifies the running one through the outbox, which takes a moment.
    for _ in itertools.islice(itertools.count(), 2000):
        if fresh.get("/api/v1/accounts/verify_credentials").status_code == 401:
            break
    assert fresh.get("/api/v1/timelines/home").status_code == 401
    fresh.close()
    for path in (f"/api/v1/accounts/{person.id}", f"/api/v1/statuses/{post['id']}"):
        for _ in range(2000):
            if place.visitor.get(path).status_code == 404:
                break
        assert place.visitor.get(path).status_code == 404
