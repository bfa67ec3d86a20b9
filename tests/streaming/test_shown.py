"""Streams under moderation: silenced authors, hidden posts, and which streams receive the events."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from stormpetrel.model.account import Role
from stormpetrel.rules import moderation
from tests.listening import listening
from tests.people import now_ms
from tests.waiting import eventually


@pytest.fixture
def people(place):
    """Return an author, a follower of theirs, and a stranger who follows a hashtag."""
    author, follower, stranger = place.person("author"), place.person("follower"), place.person("stranger")
    follower.follow(author)
    stranger.do("/api/v1/tags/reef/follow")
    return author, follower, stranger


def act(place, verb, **target_ids):
    """Run a moderator's action in the database. Running servers learn of it through the outbox, a moment
    later.
    """
    person = place.person("moderator", role=Role.MODERATOR)
    place.write(_act, person.id, verb, target_ids)


def _act(connection, moderator_id, verb, target_ids):
    actor = moderation.moderator(connection, account_id=moderator_id)
    getattr(moderation, verb)(connection, actor, reason="rule 2", now_ms=now_ms(), **target_ids)


STREAMS = (
    {"stream": "user"},
    {"stream": "public"},
    {"stream": "public:local"},
    {"stream": "hashtag", "tag": "reef"},
    {"stream": "hashtag:local", "tag": "reef"},
)


def listen(stack_of, place, token=None):
    """Return a connection subscribed to all streams that it may have, and their number."""
    listener = stack_of.enter_context(listening(place.base_url, token))
    wishes = STREAMS if token else STREAMS[1:]
    for wish in wishes:
        listener.say(type="subscribe", **wish)
    listener.settled()
    return listener, len(wishes)


def rounds(listener, count):
    """Return the next message of each stream as (stream, event, id), sorted.

    Notifications are left out: they arrive when the courier gets to them.
    """
    seen = []
    while len(seen) < count:
        message = listener.next()
        if message[1] != "notification":
            seen.append(message)
    return sorted(
        (stream[0], event, about if event == "delete" else about["id"]) for stream, event, about in seen
    )


def home_of(person):
    return [status["id"] for status in person.get("/api/v1/timelines/home")]


def everywhere(event, post, count):
    names = [wish["stream"] for wish in STREAMS[-count:]]
    return sorted((name, event, post["id"]) for name in names)


def test_posts_of_silenced_authors_reach_their_followers_and_themselves_alone(place, people):
    author, follower, stranger = people
    before = author.post("Before #reef")
    act(place, "silence", account_id=author.id)
    with ExitStack() as stack:
        visitor, strangers, followers, own = (
            listen(stack, place, token) for token in (None, stranger.token, follower.token, author.token)
        )
        post = author.post("Silenced #reef")
        author.http.put(f"/api/v1/statuses/{before['id']}", json={"status": "Edited #reef"})
        last = follower.post("From somebody else #reef")
        for listener, count in (followers, own):
            assert rounds(listener, count) == everywhere("update", post, count)
            assert rounds(listener, count) == everywhere("status.update", before, count)
        for listener, count in (visitor, strangers):
            assert rounds(listener, count) == everywhere("update", last, count)
        # The stream and the timeline agree on the posts of a followed hashtag.
        assert home_of(stranger) == [last["id"]]
        act(place, "unsilence", account_id=author.id)
        again = author.post("Heard again #reef")
        assert rounds(*visitor) == everywhere("update", again, visitor[1])
        assert rounds(*strangers) == everywhere("update", again, strangers[1])
    # Servers learn of changes made directly in the database a little later.
    wanted = [one["id"] for one in (again, last, post, before)]
    assert eventually(lambda: home_of(stranger), lambda ids: ids == wanted)


def test_hiding_is_a_delete_for_all_but_the_author_and_no_edit_brings_it_back(place, people):
    author, follower, stranger = people
    with ExitStack() as stack:
        visitor, strangers, followers, own = (
            listen(stack, place, token) for token in (None, stranger.token, follower.token, author.token)
        )
        post = author.post("To be hidden #reef")
        for one in (visitor, strangers, followers, own):
            assert rounds(*one) == everywhere("update", post, one[1])
        act(place, "hide", post_id=int(post["id"]))
        for one in (visitor, strangers, followers):
            assert rounds(*one) == everywhere("delete", post, one[1])
        author.http.put(f"/api/v1/statuses/{post['id']}", json={"status": "Hidden, and edited #reef"})
        last = author.post("Last #reef")
        for one in (visitor, strangers, followers):
            assert rounds(*one) == everywhere("update", last, one[1])
        told = [own[0].next() for _ in range(1 + 2 * own[1])]
        by_event = {
            name: sorted(stream[0] for stream, event, _ in told if event == name)
            for name in ("notification", "status.update", "update", "delete")
        }
        names = sorted(wish["stream"] for wish in STREAMS)
        assert by_event == {"notification": ["user"], "status.update": names, "update": names, "delete": []}


def test_hiding_takes_boosts_back_and_private_words_from_whom_they_were_for(place, people):
    author, follower, stranger = people
    booster = place.person("booster")
    stranger.follow(booster)
    with (
        listening(place.base_url, stranger.token, stream="user") as home,
        listening(place.base_url, stranger.token, stream="direct") as direct,
        listening(place.base_url, follower.token, stream="user") as others,
    ):
        post = author.post("To be boosted", visibility="unlisted")
        boost = booster.do(f"/api/v1/statuses/{post['id']}/reblog")
        assert home.next()[2]["id"] == boost["id"]
        act(place, "hide", post_id=int(post["id"]))
        assert home.next() == (["user"], "delete", boost["id"])
        secret = author.post(f"@{stranger.username} psst", visibility="direct")
        assert direct.next()[2]["last_status"]["id"] == secret["id"]
        act(place, "hide", post_id=int(secret["id"]))
        assert direct.next() == (["direct"], "delete", secret["id"])
        last = follower.post("Last")
        assert [(event, about) for _, event, about in others.until("update", last["id"])] == [
            ("update", post["id"]),
            ("delete", post["id"]),
            ("update", last["id"]),
        ]
