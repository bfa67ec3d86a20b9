"""Server-sent events from a running instance: every path, the refusals, and the format of the lines."""

from __future__ import annotations

import pytest

from stormpetrel.model.event import FiltersChanged, PostEdited
from tests.listening import Events, listening
from tests.media_files import png


def events(place, path, token=None, **keys):
    return Events(place.base_url, f"/api/v1/streaming/{path}", token=token, **keys)


@pytest.fixture(scope="module")
def people(place):
    reader, author = place.person("reader"), place.person("author")
    reader.follow(author)
    return reader, author


def test_an_event_stream_begins_with_a_greeting_and_is_open_to_other_sites(place):
    with events(place, "public") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["access-control-allow-origin"] == "*"
        assert stream.headers["cache-control"] == "no-store"
        assert "content-length" not in stream.headers
        assert stream.line() == ":)"


@pytest.mark.parametrize("path", ["public", "public/local", "hashtag?tag=Here", "hashtag/local?tag=here"])
def test_public_streams_are_read_without_a_token(place, people, path):
    with events(place, path) as stream:
        post = people[1].post("In #here")
        event, payload = stream.next()
        assert (event, payload["id"]) == ("update", post["id"])
        people[1].http.delete(f"/api/v1/statuses/{post['id']}")
        assert stream.next() == ("delete", post["id"])


def test_home_notifications_and_direct_are_ones_own(place, people):
    reader, author = people
    with (
        events(place, "user", author.token) as home,
        events(place, "user/notification", author.token) as told,
        events(place, "direct", author.token) as direct,
    ):
        post = author.post("Mine")
        event, payload = home.next()
        assert (event, payload) == ("update", author.get(f"/api/v1/statuses/{post['id']}"))
        secret = reader.post(f"@{author.username} psst", visibility="direct")
        event, payload = direct.next()
        assert (event, payload) == ("conversation", author.get("/api/v1/conversations")[0])
        assert payload["last_status"]["id"] == secret["id"]
        for stream in (home, told):
            event, payload = stream.next()
            assert (event, payload["type"]) == ("notification", "mention")
            assert payload["status"]["id"] == secret["id"]


def test_streams_of_media_and_of_elsewhere_are_there_and_hold_no_plain_posts(place, people):
    paths = ["public/media", "public/local/media", "public/remote", "public?only_media=true"]
    author = people[1]
    for path in paths:
        with events(place, path, author.token) as quiet, events(place, "public") as public:
            assert quiet.line() == ":)"
            author.post("No picture")
            assert public.next()[0] == "update"
            # Events to this stream are sent before the visitor's event or not at all, so a short wait is
            # enough.
            quiet.socket.settimeout(0.2)
            with pytest.raises(TimeoutError):
                quiet.line()


def test_a_post_with_a_picture_is_in_the_streams_of_media(place, people):
    reader, author = people
    picture = author.http.post("/api/v2/media", files={"file": ("a.png", png())}).json()["id"]
    with (
        events(place, "public/media") as media,
        events(place, "public/local?only_media=true", reader.token) as local,
    ):
        author.post("No picture")
        post = author.post("A picture", media_ids=[picture])
        for stream in (media, local):
            event, payload = stream.next()
            assert (event, payload["id"]) == ("update", post["id"])
            assert payload["media_attachments"][0]["id"] == picture


def test_an_edit_is_told_to_whom_the_post_was_shown_with_their_flags(place, people):
    reader, author = people
    post = author.post("Before #edited")
    reader.do(f"/api/v1/statuses/{post['id']}/bookmark")
    with (
        events(place, "user", reader.token) as home,
        events(place, "public") as public,
        listening(place.base_url, stream="hashtag", tag="edited") as tagged,
    ):
        place.write(
            lambda connection: connection.tell(
                PostEdited(int(post["id"]), int(author.id), visibility=0, tags=("edited",))
            )
        )
        event, payload = home.next()
        assert (event, payload["id"], payload["bookmarked"]) == ("status.update", post["id"], True)
        event, payload = public.next()
        assert (event, payload["id"]) == ("status.update", post["id"])
        assert "bookmarked" not in payload
        assert tagged.next()[1] == "status.update"


def test_that_filters_changed_is_told_to_their_owner_without_a_payload(place, people):
    reader, author = people
    with (
        events(place, "user", reader.token) as home,
        listening(place.base_url, reader.token, stream="user") as socket,
        events(place, "user", author.token) as other,
    ):
        place.write(lambda connection: connection.tell(FiltersChanged(int(reader.id))))
        assert home.next() == ("filters_changed", None)
        assert socket.raw() == {"stream": ["user"], "event": "filters_changed"}
        post = author.post("The only thing that the other hears of")
        assert other.next()[1]["id"] == post["id"]


def test_who_may_not_listen_is_told_so_in_json(place, people):
    reader, _ = people
    for path, status, keys in (
        ("user", 401, {}),
        ("direct", 401, {}),
        ("user/notification", 401, {}),
        ("public", 401, {"token": "no-such-token"}),
        ("user", 403, {"token": place.token(reader.id, scopes="read:notifications")}),
        ("user/notification", 403, {"token": place.token(reader.id, scopes="read:statuses")}),
        ("user", 422, {"token": place.token(None, scopes="read")}),
        ("hashtag", 400, {}),
        ("hashtag?tag=", 400, {}),
        ("nothing", 404, {}),
    ):
        with events(place, path, **keys) as answer:
            assert answer.status == status, path
            assert b'"error"' in answer.body()
            assert answer.headers["access-control-allow-origin"] == "*"


def test_a_token_in_the_query_opens_a_stream_as_an_event_source_of_a_browser_must(place, people):
    reader, author = people
    with events(place, f"user?access_token={reader.token}") as home:
        post = author.post("Heard")
        assert home.next()[1]["id"] == post["id"]


def test_head_is_the_head_alone_and_the_connection_goes_on(place):
    with events(place, "public", method="HEAD") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"
        answer.socket.sendall(b"GET /api/v1/streaming/health HTTP/1.1\r\nHost: petrel\r\n\r\n")
        assert answer.socket.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_http_1_0_reads_events_without_chunks(place, people):
    with events(place, "public", version="1.0") as stream:
        assert stream.line() == ":)"
        post = people[1].post("For an old client")
        assert stream.next()[1]["id"] == post["id"]


def test_health_says_ok(place):
    answer = place.visitor.get("/api/v1/streaming/health")
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["content-type"].startswith("text/plain")


def test_the_instance_names_the_address_of_the_streams(place):
    address = "ws" + place.base_url.removeprefix("http")
    assert place.visitor.get("/api/v1/instance").json()["urls"]["streaming_api"] == address
    assert place.visitor.get("/api/v2/instance").json()["configuration"]["urls"]["streaming"] == address
