"""The home stream delivers what the home timeline shows: followed hashtags, languages, exclusive lists."""

from __future__ import annotations

import pytest

from tests.listening import listening


@pytest.fixture
def people(place):
    """Return a reader, an author followed by the reader, and a stranger."""
    reader, author, stranger = place.person("reader"), place.person("author"), place.person("stranger")
    reader.follow(author)
    return reader, author, stranger


def told(listener, last):
    """Return (event, id) of each message up to the update about the last post."""
    return [(event, about) for _, event, about in listener.until("update", last["id"])]


def updates(*posts):
    return [("update", post["id"]) for post in posts]


def wait(home, reader):
    """Return when the stream has come to a post of the reader, and has given nothing else meanwhile.

    The stream reads the reader's choices when it handles a post. A change right after the post may be stored by then.
    """
    post = reader.post("Now")
    assert told(home, post) == updates(post)


def home_since(reader, post):
    """Return the home timeline after that post, oldest first, as updates."""
    page = reader.get("/api/v1/timelines/home", since_id=post["id"], limit=40)
    return [("update", status["id"]) for status in reversed(page)]


def test_public_posts_with_a_followed_hashtag_come_home_from_anybody(place, people):
    reader, author, stranger = people
    before = reader.post("Before")
    with listening(place.base_url, reader.token, stream="user") as home:
        stranger.post("Too early #Seabirds")
        wait(home, reader)
        reader.do("/api/v1/tags/seabirds/follow")
        wanted = stranger.post("About #SeaBirds and #terns")
        stranger.post("Not listed #seabirds", visibility="unlisted")
        reply = stranger.post("In answer #seabirds", in_reply_to_id=wanted["id"])
        author.do(f"/api/v1/statuses/{wanted['id']}/reblog")
        both = author.post("Once, though both are followed #seabirds")
        # A boost of a post that home already shows is left out.
        assert told(home, both) == updates(wanted, reply, both)
        stranger.http.put(f"/api/v1/statuses/{wanted['id']}", json={"status": "Now about #terns alone"})
        stranger.http.delete(f"/api/v1/statuses/{reply['id']}")
        last = reader.post("Last")
        assert told(home, last) == [
            ("status.update", wanted["id"]),
            ("delete", reply["id"]),
            *updates(last),
        ]
        reader.do("/api/v1/tags/seabirds/unfollow")
        stranger.post("Too late #seabirds")
        end = reader.post("End")
        assert told(home, end) == updates(end)
    reader.do("/api/v1/tags/seabirds/follow")
    assert ("update", both["id"]) in home_since(reader, before)


def test_a_followed_hashtag_brings_nobody_home_who_is_hidden(place, people):
    reader, _, stranger = people
    reader.do("/api/v1/tags/harbour/follow")
    reader.do(f"/api/v1/accounts/{stranger.id}/mute")
    with listening(place.base_url, reader.token, stream="user") as home:
        stranger.post("Muted #harbour")
        last = reader.post("Last")
        assert told(home, last) == updates(last)


def test_of_whom_one_follows_for_some_languages_no_others_come_home(place, people):
    reader, author, _ = people
    before = reader.post("Before")
    with listening(place.base_url, reader.token, stream="user") as home:
        reader.do(f"/api/v1/accounts/{author.id}/follow", languages=["de"])
        author.post("In English", language="en")
        german = author.post("Auf Deutsch", language="de")
        assert told(home, german) == updates(german)
        author.http.put(
            f"/api/v1/statuses/{german['id']}", json={"status": "Now in English", "language": "en"}
        )
        last = reader.post("Last")
        assert told(home, last) == [("status.update", german["id"]), *updates(last)]
        author.http.put(f"/api/v1/statuses/{german['id']}", json={"status": "English, and edited again"})
        end = reader.post("End")
        assert told(home, end) == updates(end)
    assert home_since(reader, before) == updates(last, end)


def test_members_of_exclusive_lists_stay_out_of_the_home_stream(place, people):
    reader, author, _ = people
    before = reader.post("Before")
    made = reader.do("/api/v1/lists", title="Apart", exclusive=True)
    with listening(place.base_url, reader.token, stream="user") as home:
        first = author.post("Not apart yet")
        assert told(home, first) == updates(first)
        reader.do(f"/api/v1/lists/{made['id']}/accounts", account_ids=[str(author.id)])
        author.post("Apart")
        wait(home, reader)
        reader.http.put(f"/api/v1/lists/{made['id']}", json={"title": "Apart", "exclusive": False})
        second = author.post("Not apart any more")
        last = reader.post("Last")
        assert told(home, last) == updates(second, last)
    assert home_since(reader, before)[-1] == ("update", last["id"])


def test_a_boost_of_what_home_already_shows_is_left_out_of_the_stream_as_of_the_timeline(place, people):
    reader, author, stranger = people
    booster = place.person("booster")
    reader.follow(booster)
    before = reader.post("Before")
    seen, unseen = author.post("Home shows this"), stranger.post("And not yet this")
    with listening(place.base_url, reader.token, stream="user") as home:
        booster.do(f"/api/v1/statuses/{seen['id']}/reblog")
        first = booster.do(f"/api/v1/statuses/{unseen['id']}/reblog")
        author.do(f"/api/v1/statuses/{unseen['id']}/reblog")
        last = reader.post("Last")
        assert told(home, last) == updates(first, last)
    assert home_since(reader, before) == updates(seen, first, last)
