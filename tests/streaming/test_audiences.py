"""List streams: who may listen, what they contain, and how changes to a list take effect at once."""

from __future__ import annotations

import pytest

from stormpetrel.model.event import AllChanged, FiltersChanged
from stormpetrel.storage import lists as stored
from tests.listening import Events, listening


@pytest.fixture
def people(place):
    """Return an owner who follows two friends, the two friends, and a stranger."""
    owner, friend, other = place.person("owner"), place.person("friend"), place.person("other")
    owner.follow(friend)
    owner.follow(other)
    return owner, friend, other, place.person("stranger")


def list_of(owner, *members, **settings):
    """Create a list and return its id."""
    made = owner.do("/api/v1/lists", title="Some", **settings)
    put_in(owner, made["id"], *(member.id for member in (owner, *members)))
    return made["id"]


def put_in(owner, list_id, *member_ids):
    owner.do(f"/api/v1/lists/{list_id}/accounts", account_ids=[str(member_id) for member_id in member_ids])


def told(listener, last):
    """Return (event, id) of each message up to the update about the last post."""
    return [(event, about) for _, event, about in listener.until("update", last["id"])]


def updates(*posts):
    return [("update", post["id"]) for post in posts]


def test_the_stream_holds_what_the_list_holds_and_is_named_by_its_id(place, people):
    owner, friend, other, stranger = people
    list_id = list_of(owner, friend)
    with listening(place.base_url, owner.token, stream="list", list=list_id) as listener:
        first = friend.post("First")
        other.post("Followed, and not in the list")
        friend.post("Half a conversation", in_reply_to_id=stranger.post("A stranger's")["id"])
        friend.post(f"@{stranger.username} not for you", visibility="direct")
        secret = friend.post(f"@{owner.username} for you", visibility="direct")
        boost = friend.do(f"/api/v1/statuses/{first['id']}/reblog")
        last = owner.post("Last", visibility="private")
        assert listener.until("update", last["id"]) == [
            (["list", list_id], "update", one["id"]) for one in (first, secret, boost, last)
        ]
    page = owner.get(f"/api/v1/timelines/list/{list_id}")
    assert [status["id"] for status in page] == [one["id"] for one in (last, boost, secret, first)]


@pytest.mark.parametrize(
    ("policy", "shown"), [("none", ()), ("list", ("list",)), ("followed", ("list", "followed"))]
)
def test_replies_are_shown_as_the_list_wants_them(place, people, policy, shown):
    owner, friend, other, _ = people
    third = place.person("third")
    owner.follow(third)
    list_id = list_of(owner, friend, third, replies_policy=policy)
    in_list, followed = third.post("In the list"), other.post("Only followed")
    with listening(place.base_url, owner.token, stream="list", list=list_id) as listener:
        replies = {
            "list": friend.post("To a member", in_reply_to_id=in_list["id"]),
            "followed": friend.post("To somebody followed", in_reply_to_id=followed["id"]),
        }
        last = friend.post("Last")
        assert told(listener, last) == updates(*(replies[kind] for kind in shown), last)


def test_edits_and_deletes_reach_the_list_and_as_the_owner_sees_the_post(place, people):
    owner, friend, _, stranger = people
    list_id = list_of(owner, friend)
    post = friend.post("Before")
    owner.do(f"/api/v1/statuses/{post['id']}/favourite")
    with Events(place.base_url, f"/api/v1/streaming/list?list={list_id}", token=owner.token) as stream:
        assert (stream.status, stream.line()) == (200, ":)")
        friend.http.put(f"/api/v1/statuses/{post['id']}", json={"status": "After"})
        event, payload = stream.next()
        assert (event, payload) == ("status.update", owner.get(f"/api/v1/statuses/{post['id']}"))
        assert payload["favourited"] is True
        boost = friend.do(f"/api/v1/statuses/{post['id']}/reblog")
        secret = friend.post(f"@{owner.username} psst", visibility="direct")
        others = friend.post(f"@{stranger.username} psst", visibility="direct")
        assert [stream.next()[1]["id"] for _ in range(2)] == [boost["id"], secret["id"]]
        for one in (others, secret, post):
            friend.http.delete(f"/api/v1/statuses/{one['id']}")
        gone = [stream.next() for _ in range(3)]
        assert gone == [("delete", one["id"]) for one in (secret, post, boost)]


def test_a_list_is_not_found_by_anybody_but_its_owner(place, people):
    owner, friend, _, stranger = people
    list_id = list_of(owner, friend)
    for who in (friend, stranger):
        with listening(place.base_url, who.token, stream="list", list=list_id) as listener:
            refusal = listener.raw()
            assert refusal["status"] == 404
            listener.say(type="subscribe", stream="list", list=list_id)
            assert listener.raw() == refusal
            listener.say(type="subscribe", stream="list", list="1")
            assert listener.raw() == refusal
            listener.say(type="subscribe", stream="list", list="no number")
            assert listener.raw() == refusal
            listener.say(type="subscribe", stream="list")
            assert listener.raw() == {"error": "Missing list name parameter", "status": 400}
            # The refused list stream delivers nothing.
            listener.say(type="subscribe", stream="public")
            listener.settled()
            post = friend.post("In the list, and public")
            assert listener.until("update", post["id"]) == [(["public"], "update", post["id"])]
    for path, token, status in (
        (f"list?list={list_id}", stranger.token, 404),
        (f"list?list={list_id}", None, 401),
        (f"list?list={list_id}", place.token(owner.id, scopes="read:notifications"), 403),
        (f"list?list={list_id}", place.token(None, scopes="read"), 422),
        ("list?list=1", owner.token, 404),
        ("list?list=x", owner.token, 404),
        ("list", owner.token, 400),
    ):
        with Events(place.base_url, f"/api/v1/streaming/{path}", token=token) as answer:
            assert answer.status == status, path
            assert b'"error"' in answer.body()
    with listening(place.base_url) as visitor:
        visitor.say(type="subscribe", stream="list", list=list_id)
        assert visitor.raw() == {"error": "Missing access token", "status": 401}


def test_members_come_and_go_at_once(place, people):
    owner, friend, other, _ = people
    list_id = list_of(owner, other)
    with listening(place.base_url, owner.token, stream="list", list=list_id) as listener:
        friend.post("Not yet a member")
        put_in(owner, list_id, friend.id)
        first = friend.post("A member")
        owner.http.request(
            "DELETE", f"/api/v1/lists/{list_id}/accounts", json={"account_ids": [str(friend.id)]}
        )
        friend.post("No member any more")
        last = other.post("Last")
        assert told(listener, last) == updates(first, last)


@pytest.mark.parametrize("act", ["unfollow", "block", "mute", "be blocked"])
def test_who_is_not_followed_or_is_hidden_leaves_the_list_at_once(place, people, act):
    owner, friend, other, _ = people
    list_id = list_of(owner, friend, other)
    with listening(place.base_url, owner.token, stream="list", list=list_id) as listener:
        first = friend.post("Before")
        if act == "be blocked":
            friend.do(f"/api/v1/accounts/{owner.id}/block")
        else:
            owner.do(f"/api/v1/accounts/{friend.id}/{act}")
        friend.post("After")
        last = other.post("Last")
        assert told(listener, last) == updates(first, last)


def test_a_deleted_list_falls_silent_and_the_connection_lives_on(place, people):
    owner, friend, _, _ = people
    list_id, kept_id = list_of(owner, friend), list_of(owner, friend)
    with listening(place.base_url, owner.token, stream="list", list=list_id) as listener:
        listener.say(type="subscribe", stream="list", list=kept_id)
        listener.settled()
        first = friend.post("In both")
        assert sorted(listener.next()[0] for _ in range(2)) == sorted([["list", list_id], ["list", kept_id]])
        owner.http.delete(f"/api/v1/lists/{list_id}")
        last = friend.post("In one")
        assert listener.next()[::2] == (["list", kept_id], owner.get(f"/api/v1/statuses/{last['id']}"))
        listener.say(type="unsubscribe", stream="list", list=list_id)
        listener.say(type="subscribe", stream="list", list=list_id)
        assert listener.raw()["status"] == 404
        listener.say(type="unsubscribe", stream="list", list=kept_id)
        listener.say(type="subscribe", stream="user")
        listener.settled()
        end = friend.post("At home only")
        assert listener.until("update", end["id"]) == [(["user"], "update", end["id"])]
        assert first["id"] != last["id"]


def test_after_a_gap_in_the_bus_lists_are_read_anew(place, people):
    owner, friend, other, _ = people
    list_id = list_of(owner, other)
    with listening(place.base_url, owner.token, stream="list", list=list_id) as listener:
        listener.say(type="subscribe", stream="user")
        listener.settled()
        place.write(_put_in_unheard, owner_id=owner.id, list_id=int(list_id), member_id=friend.id)
        assert listener.next()[1] == "filters_changed"
        post = friend.post("Heard twice")
        heard = [listener.next() for _ in range(2)]
        assert sorted(stream for stream, _, _ in heard) == [["list", list_id], ["user"]]
        assert {payload["id"] for _, _, payload in heard} == {post["id"]}


def _put_in_unheard(connection, *, owner_id, list_id, member_id):
    """Add a member without an event for it: publish only AllChanged, and then an event to wait for."""
    stored.add_members(connection, list_id=list_id, member_ids=[member_id])
    connection.tell(AllChanged())
    connection.tell(FiltersChanged(owner_id))
