"""Conversations through HTTP, on both stores. Their content is tested with the rules."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.parts import NODE, require


@pytest.fixture
def two(place):
    return place.person("ann"), place.person("bob")


def say(author, *to, **more):
    names = " ".join(f"@{person.username}" for person in to)
    return author.post(f"{names} psst", visibility="direct", **more)


def test_a_conversation_has_who_it_is_with_and_what_was_said_last(two):
    ann, bob = two
    first = say(ann, bob)
    answer = say(bob, ann, in_reply_to_id=first["id"])
    (mine,) = ann.get("/api/v1/conversations")
    assert set(mine) == {"id", "unread", "accounts", "last_status"}
    assert isinstance(mine["id"], str)
    assert mine["unread"] is True
    assert mine["accounts"] == [ann.get(f"/api/v1/accounts/{bob.id}")]
    assert mine["last_status"] == ann.get(f"/api/v1/statuses/{answer['id']}")
    (theirs,) = bob.get("/api/v1/conversations")
    assert (theirs["unread"], theirs["last_status"]["id"]) == (False, answer["id"])


def test_conversations_are_read_and_removed(two):
    ann, bob = two
    first = say(ann, bob)
    (told,) = bob.get("/api/v1/conversations")
    path = f"/api/v1/conversations/{told['id']}"
    read = bob.do(f"{path}/read")
    assert read == told | {"unread": False}
    assert bob.get("/api/v1/conversations") == [read]
    for _ in range(2):
        assert bob.do(f"{path}/unread") == told
    assert bob.get("/api/v1/conversations") == [told]
    (own,) = ann.get("/api/v1/conversations")
    # Your own post is never unread.
    assert ann.do(f"/api/v1/conversations/{own['id']}/unread") == own
    assert bob.http.delete(path).json() == {}
    assert bob.get("/api/v1/conversations") == []
    assert bob.http.delete(path).status_code == 404
    assert bob.http.post(f"{path}/read").status_code == 404
    assert bob.http.post(f"{path}/unread").status_code == 404
    say(ann, bob, in_reply_to_id=first["id"])
    assert [one["unread"] for one in bob.get("/api/v1/conversations")] == [True]


def test_conversations_are_ones_own_and_need_their_scopes(place, two):
    ann, bob = two
    stranger = place.person("stranger")
    post = say(ann, bob)
    path = f"/api/v1/conversations/{post['id']}"
    for answer in (stranger.http.post(f"{path}/read"), stranger.http.delete(path)):
        assert answer.status_code == 404
    for answer in (
        place.visitor.get("/api/v1/conversations"),
        place.visitor.post(f"{path}/read"),
        place.visitor.delete(path),
    ):
        assert answer.status_code == 401
    reads = place.client(place.token(bob.id, scopes="read:statuses"))
    assert reads.get("/api/v1/conversations").status_code == 200
    assert reads.delete(path).status_code == reads.post(f"{path}/read").status_code == 403
    writes = place.client(place.token(bob.id, scopes="write:conversations"))
    assert writes.get("/api/v1/conversations").status_code == 403
    assert writes.post(f"{path}/read").status_code == 200
    for wrong in ("0", "x", "99999999999999999999"):
        assert bob.http.delete(f"/api/v1/conversations/{wrong}").status_code == 404


def test_conversations_are_paged_by_links(two):
    ann, bob = two
    posts = [say(ann, bob)["id"] for _ in range(3)]
    answer = bob.http.get("/api/v1/conversations", params={"limit": 2})
    assert [one["last_status"]["id"] for one in answer.json()] == posts[:0:-1]
    older = bob.http.get(answer.links["next"]["url"])
    assert [one["last_status"]["id"] for one in older.json()] == posts[:1]
    newer = bob.http.get(older.links["prev"]["url"])
    assert newer.json() == answer.json()
    assert bob.http.get("/api/v1/conversations", params={"max_id": "x"}).status_code == 422
    assert len(bob.get("/api/v1/conversations", limit=-1)) == 1


def test_masto_js_hears_of_a_conversation_reads_and_removes_it(place, two):
    require("node")
    ann, bob = two
    done = subprocess.run(
        ["node", "conversations.mjs", place.base_url, bob.token, ann.token, bob.username],
        cwd=NODE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["heard"] == [
        {"stream": ["direct"], "event": "conversation", "unread": True, "by": [str(ann.id)]},
        {"stream": ["direct"], "event": "conversation", "unread": False, "by": [str(ann.id)]},
    ]
    assert seen["listed"] == [True]
    assert seen["read"] is False
    assert seen["left"] == 0
