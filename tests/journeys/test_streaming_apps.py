"""Streaming with the libraries that apps use: masto.js (WebSocket) and Mastodon.py (server-sent events)."""

from __future__ import annotations

import json
import queue
import subprocess
import threading

import pytest
from mastodon import Mastodon, StreamListener
from mastodon import return_types as types

from tests.api.typed_entities import check
from tests.listening import TIMEOUT_S
from tests.parts import NODE, require


def test_masto_js_hears_its_own_post_its_favourite_and_its_end_on_three_streams_of_one_connection(place):
    require("node")
    person, other = place.person("masto"), place.person("other")
    done = subprocess.run(
        ["node", "streaming.mjs", place.base_url, person.token, other.token],
        cwd=NODE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stdout)
    for name, stream in (("public", ["public:local"]), ("hashtag", ["hashtag", "masto"])):
        assert [(one["stream"], one["event"]) for one in heard[name]] == [
            (stream, "update"),
            (stream, "delete"),
        ]
    assert [(one["stream"], one["event"]) for one in heard["user"]] == [
        (["user"], "update"),
        (["user"], "notification"),
        (["user"], "delete"),
    ]
    assert heard["user"][1]["type"] == "favourite"
    assert "Hello from" in heard["user"][0]["content"]


class Heard(StreamListener):
    """Puts each event and heartbeat into a queue."""

    def __init__(self):
        self.queue = queue.Queue()

    def on_update(self, status):
        self.queue.put(("update", status))

    def on_delete(self, status_id):
        self.queue.put(("delete", status_id))

    def on_notification(self, notification):
        self.queue.put(("notification", notification))

    def handle_heartbeat(self):
        self.queue.put(("heartbeat", None))

    def next(self):
        return self.queue.get(timeout=TIMEOUT_S)


@pytest.fixture
def app(place):
    """Yield a person and a Mastodon.py client with their token."""
    person = place.person("mastodon_py")
    client = Mastodon(access_token=person.token, api_base_url=place.base_url, ratelimit_method="throw")
    yield person, client
    client.session.close()


def test_mastodon_py_streams_home_notifications_and_the_public(place, app):
    person, client = app
    other = place.person("other")
    assert client.stream_healthy() is True
    home, public, tagged = Heard(), Heard(), Heard()
    handles = [
        client.stream_user(home, run_async=True),
        client.stream_public(public, run_async=True),
        client.stream_hashtag("python", tagged, run_async=True),
    ]
    for listener in (home, public, tagged):
        assert listener.next() == ("heartbeat", None)
    post = other.post(f"@{person.username} #python streams")
    event, notification = home.next()
    assert event == "notification"
    check(notification, types.Notification)
    assert str(notification.status.id) == post["id"]
    for listener in (public, tagged):
        event, status = listener.next()
        assert event == "update"
        check(status, types.Status)
        assert str(status.id) == post["id"]
    other.http.delete(f"/api/v1/statuses/{post['id']}")
    for listener in (public, tagged):
        event, status_id = listener.next()
        assert (event, str(status_id)) == ("delete", post["id"])
    # A stream closes only after its thread has read something more, which would be the next heartbeat.
    closing = [threading.Thread(target=handle.close) for handle in handles]
    for thread in closing:
        thread.start()
    other.post(f"@{person.username} #python goodbye")
    for thread in (*closing, *handles):
        thread.join(TIMEOUT_S)
