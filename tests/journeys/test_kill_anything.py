"""kill -9 of any process at any moment, during posts with images, polls and edits.

No acknowledged post is lost, none exists twice, and a listener that reconnects has seen everything.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.people import Person, Place
from tests.processes import children

WRITERS = 12
GIVE_UP_S = 120.0
PAUSE_S = 0.02
PAGE = 40


@pytest.fixture(scope="module")
def place_settings() -> dict[str, object]:
    """Acknowledge files while they are still being processed, as with slow files."""
    return {"media_wait_s": 0.05}


def until_acknowledged(ask: Callable[[], httpx.Response]) -> Any:
    """Send a request again, unchanged, until it succeeds. Return the JSON."""
    give_up_s = time.monotonic() + GIVE_UP_S
    while True:
        try:
            answer = ask()
            if answer.status_code in (200, 202):
                return answer.json()
            # 408: the machine is so busy that our own process got no processor in time.
            assert answer.status_code in (206, 408, 429, 503), answer.text
        except httpx.TransportError:
            pass
        assert time.monotonic() < give_up_s, "not acknowledged in time"
        time.sleep(PAUSE_S)


def picture(number: int) -> bytes:
    """Return a small image that is unique to this number."""
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (number % 256, number // 256 % 256, 7)).save(out, "PNG")
    return out.getvalue()


def write(person: Person, number: int) -> dict[str, Any]:
    """Write post number `number`: plain, with an image, with a poll, or edited afterwards, in turn."""
    text = f"number {number} of {person.username}"
    body: dict[str, Any] = {"status": text}
    if number % 4 == 1:
        # Every second upload uses version 2, like current apps: it is acknowledged before it is processed.
        version = 1 + number // 4 % 2
        upload = until_acknowledged(
            lambda: person.http.post(
                f"/api/v{version}/media", files={"file": ("p.png", picture(number), "image/png")}
            )
        )
        if upload["url"] is None:
            until_acknowledged(lambda: person.http.get(f"/api/v1/media/{upload['id']}"))
        body["media_ids"] = [upload["id"]]
    elif number % 4 == 2:
        body["poll"] = {"options": ["yes", "no"], "expires_in": 3600}
    status = until_acknowledged(
        lambda: person.http.post("/api/v1/statuses", json=body, headers={"Idempotency-Key": text})
    )
    if number % 4 == 3:
        until_acknowledged(
            lambda: person.http.put(f"/api/v1/statuses/{status['id']}", json={"status": f"{text}, edited"})
        )
    return {"id": status["id"], "author": person, "number": number, "text": text}


class Listener(threading.Thread):
    """Follows a reader's home stream by SSE. After each break it fetches the posts that it missed."""

    def __init__(self, reader: Person) -> None:
        super().__init__(daemon=True)
        self.reader = reader
        self.seen: set[str] = set()
        self.breaks = 0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                with self.reader.http.stream("GET", "/api/v1/streaming/user", timeout=20) as answer:
                    if answer.status_code == 200:
                        self._hear(answer)
            except httpx.HTTPError:
                pass
            self.breaks += 1
            time.sleep(PAUSE_S)

    def _hear(self, answer: httpx.Response) -> None:
        # Fetch the missed posts only once the stream is open, so that none falls between the two.
        caught_up = False
        kind = ""
        for line in answer.iter_lines():
            if not caught_up:
                self.catch_up()
                caught_up = True
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind == "update":
                self.seen.add(json.loads(line.removeprefix("data: "))["id"])
            if self.ended.is_set():
                return

    def catch_up(self) -> None:
        """Read the home timeline upwards, page by page, from its beginning."""
        lowest = "0"
        while True:
            params = {"min_id": lowest, "limit": PAGE}
            page = until_acknowledged(
                lambda params=params: self.reader.http.get("/api/v1/timelines/home", params=params)
            )
            if not page:
                return
            self.seen.update(status["id"] for status in page)
            lowest = page[0]["id"]


def kill_somebody(place: Place, rng: random.Random) -> str:
    """Kill -9 a random child of the supervisor. Return its name."""
    pid, name = rng.choice(list(children(place.instance.pid).items()))
    os.kill(pid, signal.SIGKILL)
    return name


def prove(place: Place, *, posts: int, kills: int) -> None:
    """Write `posts` posts while `kills` processes are killed, then look for each post."""
    people = [place.person("writer") for _ in range(WRITERS)]
    reader = place.person("reader")
    for person in people:
        reader.follow(person)
    listener = Listener(reader)
    listener.start()
    rng = random.Random(7)
    killed: Counter[str] = Counter()
    done = threading.Semaphore(0)

    def one(number: int) -> dict[str, Any]:
        written = write(people[number % WRITERS], number)
        done.release()
        return written

    with ThreadPoolExecutor(WRITERS) as pool:
        futures = [pool.submit(one, number) for number in range(posts)]
        for _ in range(kills):
            for _ in range(posts // (kills + 1)):
                done.acquire()
            try:
                killed[kill_somebody(place, rng)] += 1
            except (FileNotFoundError, ProcessLookupError):
                continue
        written = [future.result() for future in futures]

    assert killed
    found: Counter[str] = Counter()
    by_id = {}
    for person in people:
        path: dict[str, Any] = {"limit": PAGE}
        while page := until_acknowledged(
            lambda: person.http.get(f"/api/v1/accounts/{person.id}/statuses", params=path)  # noqa: B023
        ):
            for status in page:
                found[status["id"]] += 1
                by_id[status["id"]] = status
            path = {"limit": PAGE, "max_id": page[-1]["id"]}
        account = person.get("/api/v1/accounts/verify_credentials")
        assert account["statuses_count"] == sum(one["author"] is person for one in written)
    assert set(found) == {one["id"] for one in written}
    assert set(found.values()) == {1}
    for one in written:
        status = by_id[one["id"]]
        kind = one["number"] % 4
        assert one["text"] in status["content"]
        assert ("edited" in status["content"]) == (kind == 3)
        assert (status["edited_at"] is not None) == (kind == 3)
        assert (status["poll"] is not None) == (kind == 2)
        assert len(status["media_attachments"]) == (kind == 1)
        if kind == 1:
            file = place.visitor.get(status["media_attachments"][0]["url"])
            assert file.status_code == 200
            assert Image.open(io.BytesIO(file.content)).size == (16, 16)
    give_up_s = time.monotonic() + GIVE_UP_S
    while not set(found) <= listener.seen and time.monotonic() < give_up_s:
        time.sleep(PAUSE_S)
    listener.ended.set()
    assert set(found) <= listener.seen


# On PostgreSQL, `make prove` kills any process. In `make test`, tests/journeys/test_durability.py kills workers.
@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_whatever_is_killed_nothing_acknowledged_is_lost_or_doubled(place: Place) -> None:
    prove(place, posts=240, kills=4)


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_ten_thousand_posts_survive_whatever_is_killed(place: Place) -> None:
    prove(place, posts=10_000, kills=60)
