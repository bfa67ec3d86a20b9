"""Limits, slow readers, and the end of workers. Each test has its own instances."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stormpetrel.control import wire
from stormpetrel.control.messages import ReportMessage, decode_first, decode_from_worker
from tests.instance import prepared_instance, running_instance
from tests.listening import TIMEOUT_S, Events, listening
from tests.people import place_of
from tests.processes import named
from tests.waiting import eventually


@contextlib.contextmanager
def a_place(tmp_path, url, **settings):
    with (
        running_instance(tmp_path, url, **{"web_workers": 2, **settings}) as instance,
        place_of(instance, url) as place,
    ):
        yield place


def workers(place):
    """Return the pids of the web workers."""
    return named(place.instance.pid, "petrel-web-")


def test_each_cap_answers_429_with_when_to_come_back_and_gives_back_what_is_closed(tmp_path, sqlite_url):
    caps = {
        "streaming_max_per_token": 2,
        "streaming_max_per_account": 3,
        "streaming_max_per_address": 2,
        "streaming_max_subscriptions": 2,
    }
    with a_place(tmp_path, sqlite_url, web_workers=1, **caps) as place, contextlib.ExitStack() as stack:
        person = place.person()
        second = place.token(person.id)

        def opened(token, path="public"):
            return stack.enter_context(Events(place.base_url, f"/api/v1/streaming/{path}", token=token))

        first = [opened(person.token), opened(person.token, "user")]
        assert [one.status for one in first] == [200, 200]
        over = opened(person.token)
        assert over.status == 429
        assert over.body() == b'{"error":"Too many open streams of this token"}'
        assert over.headers["retry-after"] == "30"
        assert over.headers["access-control-allow-origin"] == "*"
        assert opened(second).status == 200
        assert b"account" in opened(second).body()
        with pytest.raises(InvalidStatus) as raised, listening(place.base_url, person.token):
            pass
        assert raised.value.response.status_code == 429
        assert raised.value.response.headers["retry-after"] == "30"
        assert raised.value.response.body == b'{"error":"Too many open streams of this token"}'
        visitors = [opened(None) for _ in range(3)]
        assert [one.status for one in visitors] == [200, 200, 429]
        visitors[0].socket.close()
        again = eventually(lambda: opened(None), lambda answer: answer.status == 200)
        again.socket.close()
        # A refused subscription leaves no state behind, and each connection has a limit of its own.
        with contextlib.closing(first[1].socket):
            pass
        listener = eventually(lambda: try_listening(stack, place, person.token))
        for tag in ("one", "two", "three"):
            listener.say(type="subscribe", stream="hashtag", tag=tag)
        assert listener.raw() == {"error": "Too many streams on one connection", "status": 429}
        listener.say(type="unsubscribe", stream="hashtag", tag="one")
        listener.say(type="subscribe", stream="hashtag", tag="three")
        listener.settled()


POST_CHARACTERS = 50_000
MOST_POSTS = 300


def try_listening(stack, place, token):
    """Return a WebSocket, or None if a limit refuses it."""
    try:
        return stack.enter_context(listening(place.base_url, token))
    except InvalidStatus:
        return None


def test_a_listener_that_does_not_read_is_dropped_and_the_others_hear_everything(tmp_path, sqlite_url):
    with a_place(tmp_path, sqlite_url, posts_max_characters=POST_CHARACTERS) as place:
        author = place.person("author")
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(TIMEOUT_S)
        host, port = place.base_url.removeprefix("http://").split(":")
        with slow, listening(place.base_url, stream="public") as reader:
            slow.connect((host, int(port)))
            slow.sendall(f"GET /api/v1/streaming/public HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            assert b":)\n" in slow.recv(4096)
            # The kernel holds up to some megabytes for a client that does not read, more on a busy machine.
            ended = select.poll()
            ended.register(slow, select.POLLERR | select.POLLHUP)
            posts = 0
            while not ended.poll(0):
                posts += 1
                assert posts < MOST_POSTS, "the listener was not dropped"
                post_id = author.post("x" * POST_CHARACTERS)["id"]
                assert reader.next()[2]["id"] == post_id
            held = 0
            with contextlib.suppress(ConnectionResetError):
                while data := slow.recv(65_536):
                    held += len(data)
                raise AssertionError("the stream was ended, not dropped")
            assert held < posts * POST_CHARACTERS


def test_a_stop_closes_sockets_with_1012_and_completes_event_streams(tmp_path, database_url):
    with a_place(tmp_path, database_url) as place:
        person = place.person()
        with (
            listening(place.base_url, person.token, stream="user") as home,
            Events(place.base_url, "/api/v1/streaming/public") as public,
        ):
            assert public.line() == ":)"
            place.instance.stop()
            with pytest.raises(ConnectionClosed) as raised:
                home.connection.recv(timeout=TIMEOUT_S)
            assert raised.value.rcvd.code == 1012
            with pytest.raises(EOFError, match="complete"):
                public.line()
            place.instance.start()


def test_who_comes_back_after_a_kill_finds_what_was_missed_by_since_id(tmp_path, database_url):
    with a_place(tmp_path, database_url) as place:
        reader, author = place.person("reader"), place.person("author")
        reader.follow(author)
        lost = 0
        while not lost:
            # Repeat until the killed worker is the one that serves this connection.
            with listening(place.base_url, reader.token, stream="user") as home:
                seen = author.post("Heard")
                assert home.next()[2]["id"] == seen["id"]
                victim = workers(place)[0]
                os.kill(victim, signal.SIGKILL)
                eventually(lambda victim=victim: victim not in workers(place) and len(workers(place)) == 2)
                missed = eventually(lambda: posted(author, "Missed, or not"))
                try:
                    assert home.next()[2]["id"] == missed["id"]
                except ConnectionClosed:
                    lost = victim
        with listening(place.base_url, reader.token, stream="user") as home:
            caught_up = reader.get("/api/v1/timelines/home", since_id=seen["id"])
            assert missed["id"] in [status["id"] for status in caught_up]
            last = author.post("Heard again")
            assert home.next()[2]["id"] == last["id"]


def posted(person, text):
    """Return the post, or None if the connection belonged to the killed worker."""
    try:
        return person.post(text)
    except httpx.TransportError:
        return None


def test_after_a_kill_the_other_workers_listeners_are_still_told_and_still_not_told(tmp_path, sqlite_url):
    with a_place(tmp_path, sqlite_url) as place, contextlib.ExitStack() as stack:
        reader, author, hidden = place.person("reader"), place.person("author"), place.person("hidden")
        for one in (author, hidden):
            reader.follow(one)
        homes = [
            stack.enter_context(listening(place.base_url, reader.token, stream="user")) for _ in range(12)
        ]
        victim = workers(place)[0]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in workers(place) and len(workers(place)) == 2)
        eventually(lambda: blocked(reader, hidden))
        eventually(lambda: posted(hidden, "Not seen"))
        last = eventually(lambda: posted(author, "Seen"))
        told = 0
        for home in homes:
            with contextlib.suppress(ConnectionClosed):
                assert home.next()[2]["id"] == last["id"]
                told += 1
        assert 0 < told < len(homes)


def blocked(person, other):
    with contextlib.suppress(httpx.TransportError):
        person.do(f"/api/v1/accounts/{other.id}/block")
        return True
    return False


def test_a_worker_reports_the_accounts_with_open_streams(tmp_path, sqlite_url):
    settings = {"web_workers": 1, "audience_enabled": "false"}
    with prepared_instance(tmp_path, sqlite_url, **settings) as instance, contextlib.ExitStack() as stack:
        instance.start("--role", "web")
        # This test is the watch.
        door = stack.enter_context(wire.listen(instance.directory / "data"))
        place = stack.enter_context(place_of(instance, sqlite_url))
        door.settimeout(TIMEOUT_S)
        worker = stack.enter_context(door.accept()[0])
        worker.settimeout(TIMEOUT_S)
        assert decode_first(wire.receive_blocking(worker)).pid in workers(place)

        def streaming_members():
            message = decode_from_worker(wire.receive_blocking(worker))
            return message.report.streaming_members if isinstance(message, ReportMessage) else None

        assert streaming_members() == 0
        person = place.person()
        with (
            Events(place.base_url, "/api/v1/streaming/user", token=person.token),
            listening(place.base_url, person.token),
            Events(place.base_url, "/api/v1/streaming/public"),
        ):
            # Two streams of one account.
            eventually(streaming_members, lambda count: count == 1)
            with listening(place.base_url, place.person().token):
                eventually(streaming_members, lambda count: count == 2)
            eventually(streaming_members, lambda count: count == 1)
        eventually(streaming_members, lambda count: count == 0)
        worker.close()
        instance.stop()
