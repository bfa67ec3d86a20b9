"""An acknowledged post is never lost and never doubled, even if workers are killed in the middle of 2,000 of
them.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

from stormpetrel.storage.engine.connection import connect
from stormpetrel.storage.engine.statement import Statement
from tests.people import Person, Place
from tests.processes import named

POSTS = 2_000
WRITERS = 16
_TEXTS = "SELECT text FROM posts WHERE author_id = :author_id"
TEXTS = Statement(_TEXTS, _TEXTS)
GIVE_UP_S = 60.0


def post_until_acknowledged(place: Place, person: Person, text: str) -> int:
    """Post, and after a lost connection retry with the same key, as apps do. Return the number of retries."""
    give_up_s = time.monotonic() + GIVE_UP_S
    retries = 0
    while True:
        try:
            answer = person.http.post(
                "/api/v1/statuses", json={"status": text}, headers={"Idempotency-Key": text}
            )
            if answer.status_code == 200:
                return retries
            assert answer.status_code in (429, 503), answer.text
        except httpx.TransportError:
            pass
        retries += 1
        assert time.monotonic() < give_up_s, f"{text} was not acknowledged"


def test_a_killed_worker_loses_and_doubles_no_acknowledged_post(place: Place) -> None:
    people = [place.person("writer") for _ in range(WRITERS)]
    acknowledged = threading.Semaphore(0)

    def write(number: int) -> int:
        person = people[number % WRITERS]
        retries = post_until_acknowledged(place, person, f"post {number} of {person.username}")
        acknowledged.release()
        return retries

    with ThreadPoolExecutor(WRITERS) as pool:
        done = [pool.submit(write, number) for number in range(POSTS)]
        for _ in range(POSTS // 4):
            acknowledged.acquire()
        first, *_ = named(place.instance.pid, "petrel-web-")
        os.kill(first, signal.SIGKILL)
        for _ in range(POSTS // 4):
            acknowledged.acquire()
        # Kill all workers at once: for a moment only the supervisor's listening sockets remain.
        for pid in named(place.instance.pid, "petrel-web-"):
            os.kill(pid, signal.SIGKILL)
        retries = sum(future.result() for future in done)

    assert retries > 0, "the kills met no request: the test proves nothing"
    connection = connect(place.database_url, writes=False)
    stored: Counter[str] = Counter()
    for person in people:
        stored.update(row[0] for row in connection.all(TEXTS, author_id=person.id))
    connection.close()
    wanted = {f"post {number} of {people[number % WRITERS].username}" for number in range(POSTS)}
    assert set(stored) == wanted
    assert set(stored.values()) == {1}
    for person in people:
        account = person.get("/api/v1/accounts/verify_credentials")
        assert account["statuses_count"] == POSTS // WRITERS
