"""A hostile search through apps and pages is cut off with a clear answer, and the next ordinary search is
served.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from stormpetrel.storage.engine.connection import sqlite_path
from stormpetrel.storage.engine.database import TOO_BROAD
from tests.conftest import postgresql_execute
from tests.markup import checked

ROWS = 40_000
TEXT = "a " * 250
HOSTILE = " ".join(f'"{"a " * count}"' for count in range(1, 10)) + f' -"{"a " * 10}"'
"""Phrases that match every row, and an excluded phrase that also matches every row: the result is always
empty.
"""


@pytest.fixture(scope="module")
def large(place):
    """Return an instance whose index takes seconds to search for HOSTILE."""
    url = place.database_url
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(sqlite_path(url), timeout=20)) as connection, connection:
            connection.executemany(
                "INSERT INTO post_words (rowid, words) VALUES (?, ?)", ((n, TEXT) for n in range(1, ROWS))
            )
    else:
        postgresql_execute(
            url,
            # These rows need no posts: no search finds them.
            "SET session_replication_role = replica",
            "INSERT INTO post_words (post_id, words) SELECT n, words FROM generate_series(1, "
            f"{ROWS}) AS n, to_tsvector('simple', '{TEXT}') AS words",
        )
    return place


def test_a_hostile_search_is_cut_off_and_hurts_nobody(large):
    attacker, reader = large.person("attacker"), large.person("reader")
    post = reader.post("An ordinary kestrel")
    answers = []
    attack = threading.Thread(
        target=lambda: answers.append(
            attacker.http.get("/api/v2/search", params={"q": HOSTILE, "type": "statuses"})
        )
    )
    attack.start()
    assert [one["id"] for one in reader.get("/api/v1/timelines/home")] == [post["id"]]
    found = reader.get("/api/v2/search", q="kestrel", type="statuses")["statuses"]
    attack.join()
    (answer,) = answers
    assert answer.status_code == 503
    assert answer.json() == {"error": TOO_BROAD}
    assert int(answer.headers["retry-after"]) > 0
    assert [one["id"] for one in found] == [post["id"]]
    # The same account can search for other words.
    again = attacker.get("/api/v2/search", q="kestrel", type="statuses")["statuses"]
    assert [one["id"] for one in again] == [post["id"]]


def test_the_page_says_what_to_do_about_it(large):
    with closing(large.browser_session(large.person("attacker"))) as browser:
        answer = browser.get("/search", params={"q": HOSTILE[:199]})
        checked(answer, 503)
        assert TOO_BROAD in answer.text
        checked(browser.get("/search", params={"q": "kestrel"}))
