"""Streaming over WebSocket from a running instance with two workers: every stream, and who receives which
events.
"""

from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.listening import TIMEOUT_S, address_of, listening
from tests.people import csrf_of


def refused(base_url, *, token=None, headers=None, **parameters):
    """Return the HTTP answer to a handshake that must fail."""
    with (
        pytest.raises(InvalidStatus) as raised,
        connect(
            address_of(base_url, **parameters),
            subprotocols=None if token is None else [token],
            additional_headers=headers,
            proxy=None,
        ),
    ):
        pass
    return raised.value.response


def seen_until(listener, post):
    """Return the ids of the updates up to and including that post."""
    return [about for _, event, about in listener.until("update", post["id"]) if event == "update"]


@pytest.fixture(scope="module")
def people(place):
    """Return a reader, an author followed by the reader, and a stranger."""
    reader, author, stranger = place.person("reader"), place.person("author"), place.person("stranger")
    reader.follow(author)
    return reader, author, stranger


def test_home_brings_posts_of_whom_one_follows_and_ones_own_and_of_nobody_else(place, people):
    reader, author, stranger = people
    with listening(place.base_url, reader.token, stream="user") as home:
        stranger.post("A stranger's")
        ids = [author.post("First")["id"], reader.post("One's own")["id"]]
        last = author.post("Last, for followers", visibility="private")
        assert seen_until(home, last) == [*ids, last["id"]]


def test_a_message_is_what_the_api_answers_as_a_text_and_names_its_stream(place, people):
    reader, author, _ = people
    with listening(place.base_url, reader.token, stream="user") as home:
        post = author.post("Whole")
        message = home.raw()
        assert set(message) == {"stream", "event", "payload"}
        assert (message["stream"], message["event"]) == (["user"], "update")
        assert isinstance(message["payload"], str)
    with listening(place.base_url, reader.token, stream="user") as home:
        post = author.post("Whole again")
        stream, event, payload = home.next()
        assert (stream, event) == (["user"], "update")
        asked = reader.get(f"/api/v1/statuses/{post['id']}")
        assert payload == asked


def test_a_visitor_reads_the_public_stream_without_flags_and_an_author_with_their_own(place, people):
    _, author, _ = people
    with (
        listening(place.base_url, stream="public") as visitor,
        listening(place.base_url, author.token, stream="public:local") as own,
    ):
        post = author.post("For everybody")
        assert visitor.next() == (
            ["public"],
            "update",
            place.visitor.get(f"/api/v1/statuses/{post['id']}").json(),
        )
        stream, _, payload = own.next()
        assert stream == ["public:local"]
        assert payload == author.get(f"/api/v1/statuses/{post['id']}")
        assert payload["pinned"] is False


def test_the_public_stream_holds_what_the_public_timeline_holds(place, people):
    reader, author, stranger = people
    with listening(place.base_url, stream="public") as public:
        post = author.post("Public")
        author.post("Not listed", visibility="unlisted")
        author.post("For followers", visibility="private")
        author.post(f"@{stranger.username} in private", visibility="direct")
        reader.post("A reply to somebody else", in_reply_to_id=post["id"])
        thread = author.post("A reply to oneself", in_reply_to_id=post["id"])
        stranger.do(f"/api/v1/statuses/{post['id']}/reblog")
        last = author.post("Last")
        assert seen_until(public, last) == [post["id"], thread["id"], last["id"]]
    page = place.visitor.get(
        "/api/v1/timelines/public", params={"min_id": post["id"], "bust": post["id"]}
    ).json()
    assert [status["id"] for status in page] == [last["id"], thread["id"]]


def test_a_hashtag_stream_is_named_as_it_was_asked_for(place, people):
    _, author, _ = people
    with listening(place.base_url, stream="hashtag", tag="SeaBirds") as tagged:
        author.post("Not this")
        post = author.post("This #seabirds")
        author.post("Not listed #seabirds", visibility="unlisted")
        last = author.post("#SEABIRDS last")
        assert tagged.until("update", last["id"]) == [
            (["hashtag", "SeaBirds"], "update", post["id"]),
            (["hashtag", "SeaBirds"], "update", last["id"]),
        ]


def test_several_streams_on_one_connection_each_have_their_own_messages(place, people):
    reader, author, _ = people
    with listening(place.base_url, reader.token) as listener:
        for wish in (
            {"stream": "user"},
            {"stream": "public:local"},
            {"stream": "hashtag", "tag": "several"},
            {"stream": "hashtag:local", "tag": "several"},
            {"stream": "user"},
        ):
            listener.say(type="subscribe", **wish)
        listener.settled()
        post = author.post("In #several")
        streams = [listener.next()[0] for _ in range(4)]
        assert sorted(streams) == [
            ["hashtag", "several"],
            ["hashtag:local", "several"],
            ["public:local"],
            ["user"],
        ]
        for wish in (
            {"stream": "public:local"},
            {"stream": "hashtag", "tag": "several"},
            {"stream": "public"},
        ):
            listener.say(type="unsubscribe", **wish)
        listener.say(type="unsubscribe", stream="hashtag:local", tag="several")
        listener.settled()
        second = author.post("In #several again")
        third = author.post("And now for something else")
        assert listener.until("update", third["id"]) == [
            (["user"], "update", second["id"]),
            (["user"], "update", third["id"]),
        ]
        assert post["id"] != second["id"]


def test_direct_posts_reach_who_is_mentioned_and_nobody_else_as_conversations(place, people):
    reader, author, stranger = people
    with (
        listening(place.base_url, reader.token, stream="direct") as direct,
        listening(place.base_url, stranger.token, stream="direct") as others,
        listening(place.base_url, stranger.token, stream="user") as home,
    ):
        post = author.post(f"@{reader.username} between us", visibility="direct")
        stream, event, told = direct.next()
        assert (stream, event) == (["direct"], "conversation")
        assert told == reader.get("/api/v1/conversations")[0]
        assert (told["unread"], told["last_status"]["id"]) == (True, post["id"])
        last = stranger.post(f"@{author.username} between us two", visibility="direct")
        stream, event, told = others.next()
        assert (event, told["last_status"]["id"], told["unread"]) == ("conversation", last["id"], False)
        assert seen_until(home, last) == [last["id"]]
        # The account's other devices are notified of the read mark.
        reader.do(f"/api/v1/conversations/{post['id']}/read")
        stream, event, told = direct.next()
        assert (event, told["id"], told["unread"]) == ("conversation", post["id"], False)
        answer = author.post(f"@{reader.username} more", visibility="direct", in_reply_to_id=post["id"])
        assert direct.next()[2]["last_status"]["id"] == answer["id"]
        author.http.delete(f"/api/v1/statuses/{answer['id']}")
        heard = [direct.next(), direct.next()]
        assert (["direct"], "delete", answer["id"]) in heard
        ((_, _, told),) = [one for one in heard if one[1] == "conversation"]
        assert (told["id"], told["last_status"]["id"]) == (post["id"], post["id"])
        author.http.delete(f"/api/v1/statuses/{post['id']}")
        assert direct.next() == (["direct"], "delete", post["id"])


def test_the_direct_stream_keeps_silent_about_whom_one_hides(place, people):
    reader, author, stranger = people
    muted = place.person("muted")
    reader.do(f"/api/v1/accounts/{muted.id}/mute")
    with listening(place.base_url, reader.token, stream="direct") as direct:
        first = author.post(f"@{reader.username} @{muted.username} psst", visibility="direct")
        assert direct.next()[2]["last_status"]["id"] == first["id"]
        muted.post(f"@{reader.username} psst", visibility="direct", in_reply_to_id=first["id"])
        muted.post(f"@{reader.username} hey", visibility="direct")
        last = stranger.post(f"@{reader.username} hello", visibility="direct")
        _, event, told = direct.next()
        assert (event, told["last_status"]["id"]) == ("conversation", last["id"])


def test_notifications_come_in_the_home_stream_and_in_their_own(place, people):
    reader, author, _ = people
    with (
        listening(place.base_url, author.token, stream="user") as home,
        listening(place.base_url, author.token, stream="user:notification") as told,
    ):
        post = author.post("To be favoured")
        assert home.next()[1] == "update"
        reader.do(f"/api/v1/statuses/{post['id']}/favourite")
        for listener, name in ((home, "user"), (told, "user:notification")):
            stream, event, payload = listener.next()
            assert (stream, event) == ([name], "notification")
            assert payload == author.get(f"/api/v1/notifications/{payload['id']}")
            assert payload["type"] == "favourite"
            assert payload["account"]["id"] == str(reader.id)


def test_deletes_and_ended_boosts_are_told_where_the_post_was_shown(place, people):
    reader, author, stranger = people
    follower = place.person("follower")
    follower.follow(stranger)
    with (
        listening(place.base_url, reader.token, stream="user") as home,
        listening(place.base_url, follower.token, stream="user") as boosts,
        listening(place.base_url, stream="public") as public,
        listening(place.base_url, stream="hashtag", tag="gone") as tagged,
    ):
        post = author.post("Soon #gone")
        private = author.post("Soon gone too", visibility="private")
        boost = stranger.do(f"/api/v1/statuses/{post['id']}/reblog")
        assert boosts.next()[2]["reblog"]["id"] == post["id"]
        for one in (private, post):
            assert author.http.delete(f"/api/v1/statuses/{one['id']}").status_code == 200
        assert home.until("delete", post["id"])[2:] == [
            (["user"], "delete", private["id"]),
            (["user"], "delete", post["id"]),
        ]
        # Public streams receive deletions only of ids that they have shown.
        for listener in (public, tagged):
            assert [event for _, event, _ in listener.until("delete", post["id"])] == ["update", "delete"]
        assert boosts.next() == (["user"], "delete", boost["id"])
        other = author.post("Boosted, and not any more")
        boost = stranger.do(f"/api/v1/statuses/{other['id']}/reblog")
        stranger.do(f"/api/v1/statuses/{other['id']}/unreblog")
        assert boosts.until("delete", boost["id"])[0] == (["user"], "update", boost["id"])


def test_a_boost_has_the_readers_flags_on_its_original(place, people):
    reader, _, stranger = people
    reader.follow(stranger)
    post = place.person("other").post("To be boosted")
    reader.do(f"/api/v1/statuses/{post['id']}/favourite")
    with (
        listening(place.base_url, reader.token, stream="user") as home,
        listening(place.base_url, stranger.token, stream="user") as own,
    ):
        boost = stranger.do(f"/api/v1/statuses/{post['id']}/reblog")
        payload = home.next()[2]
        assert payload["favourited"] is payload["reblog"]["favourited"] is True
        assert payload["reblogged"] is payload["reblog"]["reblogged"] is False
        assert payload == reader.get(f"/api/v1/statuses/{boost['id']}")
        assert own.next()[2] == stranger.get(f"/api/v1/statuses/{boost['id']}")
    reader.do(f"/api/v1/accounts/{stranger.id}/unfollow")


@pytest.mark.parametrize("act", ["block", "mute", "be blocked"])
def test_who_is_hidden_is_hidden_at_once_in_every_stream(place, act):
    reader, author, other = place.person("reader"), place.person("author"), place.person("other")
    for one in (author, other):
        reader.follow(one)
    with listening(place.base_url, reader.token, stream="user") as listener:
        listener.say(type="subscribe", stream="public")
        listener.say(type="subscribe", stream="hashtag", tag="hidden")
        listener.settled()
        author.post("Before #hidden")
        assert {tuple(listener.next()[0]) for _ in range(3)} == {
            ("user",),
            ("public",),
            ("hashtag", "hidden"),
        }
        if act == "be blocked":
            author.do(f"/api/v1/accounts/{reader.id}/block")
        else:
            reader.do(f"/api/v1/accounts/{author.id}/{act}")
        author.post("After #hidden")
        author.post(f"@{reader.username} #hidden")
        last = other.post("Last #hidden")
        ids = {listener.next()[2]["id"] for _ in range(3)}
        assert ids == {last["id"]}
        if act == "mute":
            reader.do(f"/api/v1/accounts/{author.id}/unmute")
            back = author.post("Back #hidden")
            assert {listener.next()[2]["id"] for _ in range(3)} == {back["id"]}


def test_following_and_unfollowing_count_at_once(place):
    reader, author = place.person("reader"), place.person("author")
    with listening(place.base_url, reader.token, stream="user") as home:
        # The stream reads the reader's choices when it handles a post: wait for it before each change.
        author.post("Before")
        begun = reader.post("Now")
        assert seen_until(home, begun) == [begun["id"]]
        reader.follow(author)
        first = author.post("While")
        assert seen_until(home, first) == [first["id"]]
        reader.do(f"/api/v1/accounts/{author.id}/unfollow")
        author.post("After")
        last = reader.post("Last")
        assert seen_until(home, last) == [last["id"]]


def test_boosts_of_somebody_are_not_shown_to_who_does_not_want_them(place):
    reader, author, booster = place.person("reader"), place.person("author"), place.person("booster")
    reader.do(f"/api/v1/accounts/{booster.id}/follow", reblogs=False)
    post = author.post("Boosted")
    with listening(place.base_url, reader.token, stream="user") as home:
        booster.do(f"/api/v1/statuses/{post['id']}/reblog")
        last = booster.post("Last")
        assert seen_until(home, last) == [last["id"]]


# The handshake


def test_the_token_comes_in_any_of_three_places(place, people):
    reader, author, _ = people
    with listening(place.base_url, reader.token, stream="user") as by_protocol:
        address = address_of(place.base_url, stream="user", access_token=reader.token)
        with connect(address, proxy=None) as by_query:
            assert by_query.subprotocol is None
            headers = {"Authorization": f"Bearer {reader.token}"}
            with connect(
                address_of(place.base_url, stream="user").replace("?", "/?"),
                additional_headers=headers,
                proxy=None,
            ) as by_header:
                post = author.post("Heard three times")
                assert by_protocol.next()[2]["id"] == post["id"]
                for connection in (by_query, by_header):
                    assert post["id"] in connection.recv(timeout=TIMEOUT_S)


def test_a_query_token_is_believed_beside_a_subprotocol_that_is_none(place, people):
    reader, *_ = people
    address = address_of(place.base_url, stream="user", access_token=reader.token)
    with connect(address, subprotocols=["chat"], proxy=None) as connection:
        assert connection.subprotocol == "chat"


def test_a_wrong_or_missing_token_is_401_in_http_with_json(place, people):
    reader, *_ = people
    for answer in (
        refused(place.base_url, token="no-such-token", stream="user"),
        refused(place.base_url, token="no-such-token", stream="public"),
        refused(place.base_url, access_token="no-such-token"),
        refused(place.base_url, headers={"Authorization": "Bearer nonsense"}, stream="public"),
        refused(place.base_url, stream="user"),
        refused(place.base_url, stream="direct"),
        refused(place.base_url, stream="user", token=place.token(None, scopes="read")),
    ):
        assert answer.status_code == 401
        assert b'{"error":"' in answer.body
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["access-control-allow-origin"] == "*"
    assert reader.token


# The router ignores one slash at the end, so a path with two is not a stream for the shield either.
@pytest.mark.parametrize("path", ["/api/v1/elsewhere", "/api/v1/streaming//"])
def test_another_path_is_404(place, path):
    base_url = place.base_url
    with (
        pytest.raises(InvalidStatus) as raised,
        connect(f"ws{base_url.removeprefix('http')}{path}", proxy=None),
    ):
        pass
    assert raised.value.response.status_code == 404


def test_scopes_decide_what_is_told(place, people):
    reader, author, _ = people
    statuses = place.token(author.id, scopes="read:statuses")
    told = place.token(author.id, scopes="read:notifications")
    with (
        listening(place.base_url, statuses, stream="user") as home,
        listening(place.base_url, told, stream="user:notification") as notified,
    ):
        home.say(type="subscribe", stream="user:notification")
        assert home.raw() == {"error": "Access token does not have the required scopes", "status": 403}
        notified.say(type="subscribe", stream="user")
        assert notified.raw()["status"] == 403
        post = author.post("Favour me")
        reader.do(f"/api/v1/statuses/{post['id']}/favourite")
        assert notified.next()[1] == "notification"
        last = author.post("Last")
        assert [event for _, event, _ in home.until("update", last["id"])] == ["update", "update"]


# Messages from clients


def test_what_cannot_be_understood_is_said_and_the_connection_lives_on(place):
    with listening(place.base_url, stream="no:such:stream") as listener:
        assert listener.raw() == {"error": "Unknown stream type", "status": 400}
        said = [
            ({"type": "subscribe", "stream": "nonsense"}, "Unknown stream type", 400),
            ({"type": "subscribe"}, "Unknown stream type", 400),
            ({"type": "subscribe", "stream": "hashtag"}, "Missing tag name parameter", 400),
            ({"type": "subscribe", "stream": "hashtag", "tag": " "}, "Missing tag name parameter", 400),
            ({"type": "subscribe", "stream": "hashtag", "tag": "x" * 200}, "The tag name is too long", 400),
            ({"type": "subscribe", "stream": "user"}, "Missing access token", 401),
            ({"type": "dance", "stream": "public"}, "Unknown message type", 400),
            ({"type": 5}, "The message could not be read", 400),
        ]
        for wish, error, status in said:
            listener.say(**wish)
            assert listener.raw() == {"error": error, "status": status}
        for text in ("", "not json", "[]", "null", '"text"', "[" * 30_000, '{"type": "\\ud800"}'):
            listener.connection.send(text)
            assert listener.raw()["status"] == 400, text[:20]
        listener.settled()


def test_binary_messages_end_the_connection_with_1003(place):
    with listening(place.base_url) as listener:
        listener.connection.send(b"\x00\x01")
        with pytest.raises(ConnectionClosed) as raised:
            listener.connection.recv(timeout=TIMEOUT_S)
        assert raised.value.rcvd.code == 1003


def talk(listener):
    """Send the same message 2,000 times, then read until the connection ends."""
    for _ in range(2_000):
        listener.say(type="unsubscribe", stream="public")
    while True:
        listener.connection.recv(timeout=TIMEOUT_S)


def test_who_talks_without_end_is_sent_away(place):
    with listening(place.base_url) as listener, pytest.raises(ConnectionClosed) as raised:
        talk(listener)
    assert raised.value.rcvd.code == 1008


# Loss of access


def test_a_revoked_token_ends_its_streams_at_once_and_no_others(place, people):
    reader, author, _ = people
    form = {"client_name": "App", "redirect_uris": "urn:ietf:wg:oauth:2.0:oob", "scopes": "read"}
    app = place.visitor.post("/api/v1/apps", json=form).json()
    credentials = {key: app[key] for key in ("client_id", "client_secret")}
    token = place.visitor.post(
        "/oauth/token", json={**credentials, "grant_type": "client_credentials", "scope": "read"}
    ).json()["access_token"]
    with (
        listening(place.base_url, token, stream="public") as ended,
        listening(place.base_url, reader.token, stream="public") as other,
    ):
        assert place.visitor.post("/oauth/revoke", json={**credentials, "token": token}).status_code == 200
        with pytest.raises(ConnectionClosed) as raised:
            ended.connection.recv(timeout=TIMEOUT_S)
        assert raised.value.rcvd.code == 1008
        post = author.post("Still told")
        assert other.next()[2]["id"] == post["id"]


def test_suspension_ends_all_streams_of_the_account_and_signing_out_a_browser_none(place, people):
    _, author, _ = people
    person = place.person("suspended")
    browser = place.browser_session(person)
    with listening(place.base_url, person.token, stream="user") as home:
        page = browser.get("/home")
        assert browser.post("/auth/sign_out", data={"csrf": csrf_of(page.text)}).status_code == 303
        post = person.post("Still here")
        assert home.next()[2]["id"] == post["id"]
        place.instance.run_cli("user", "suspend", person.username)
        with pytest.raises(ConnectionClosed) as raised:
            home.connection.recv(timeout=TIMEOUT_S)
        assert raised.value.rcvd.code == 1008
    assert refused(place.base_url, token=person.token, stream="user").status_code == 401
    assert author
