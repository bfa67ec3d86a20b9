"""The index of words: migration 0010 indexes existing posts and people again, 0023 changes no word of it."""

from __future__ import annotations

import importlib

import pytest
from alembic import command
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text as sql_text

from stormpetrel.model.page import Page
from stormpetrel.model.search import parse, search_words
from stormpetrel.rules import search
from stormpetrel.storage.engine.connection import connect

POSTS = {
    10: "ភាសាខ្មែរ",
    11: "မြန်မာစာ",
    12: "བོད་ཡིག",
    13: "ฉันรักแมวง่าย",
    14: "昨日は野球を見た",
    15: "ພາສາລາວ",
    16: "see HTTPS://example.org",
    17: "plain words",
    18: "Do\u00adnau 한국어를",
}
FOUND = {
    "ខ្មែរ": [10],
    "ភាសា": [10],
    "မြန်မာ": [11],
    "စာ": [11],
    "ཡིག": [12],
    "བོད": [12],
    "รักแมว": [13],
    "ง่าย": [13],
    "แมว": [13],
    "野球": [14],
    "ລາວ": [15],
    "has:link": [16],
    "words": [17],
    "Donau": [18],
    "한국어": [18],
    **{text: [post_id] for post_id, text in POSTS.items()},
}


@pytest.fixture
def old_url(empty_database_url):
    """Return the URL of a database at migration 0009, with posts and a name."""
    migrate = importlib.import_module("stormpetrel.storage.engine.migrate")
    command.upgrade(migrate.alembic_config(empty_database_url), "0009")
    with migrate.engine(empty_database_url).begin() as connection:
        connection.execute(
            sql_text(
                "INSERT INTO accounts (id, username, username_lower, display_name, created_at_ms) "
                "VALUES (1, 'ann', 'ann', :name, 0)"
            ),
            {"name": "\u202eแมวง่าย"},
        )
        for post_id, text in POSTS.items():
            connection.execute(
                sql_text(
                    "INSERT INTO posts (id, author_id, text, visibility, created_at_ms) "
                    "VALUES (:post_id, 1, :text, 0, 0)"
                ),
                {"post_id": post_id, "text": text},
            )
    return empty_database_url


def test_what_was_written_before_is_found_and_can_be_taken_out(old_url):
    importlib.import_module("stormpetrel.storage.engine.migrate").upgrade(old_url)
    connection = connect(old_url)

    def find(text):
        return search.find_posts(connection, reader_id=1, query=parse(text), page=Page(limit=20), now_ms=1)

    assert {text: find(text) for text in FOUND} == FOUND
    people = search.find_people(connection, reader_id=None, text="ง่าย", limit=5, now_ms=1)
    assert [one.display_name for one in people] == ["\u202eแมวง่าย\u202c"]
    connection.close()
    with importlib.import_module("stormpetrel.storage.engine.migrate").engine(old_url).begin() as writing:
        writing.exec_driver_sql("DELETE FROM posts WHERE id = 10")
        writing.exec_driver_sql("UPDATE posts SET text = 'changed' WHERE id = 13")
    connection = connect(old_url)
    assert [find(text) for text in ("ខ្មែរ", "แมว", "changed")] == [[], [], [13]]
    connection.close()


def test_postgresql_makes_the_same_words(postgresql_url):
    connection = connect(postgresql_url)

    @given(st.one_of(st.text(), st.text(alphabet="ខ្មែរbé์แม́วाཀ་ྵ\u200d\u00adｶﾞ가한ー々\u0301 a")))
    @example("".join(POSTS.values()))
    def same(text):
        text = text.replace("\0", "")
        (made,) = connection.raw.execute("SELECT search_words(%s::text)", (text,)).fetchone()
        assert (
            made.split()
            == "".join(
                " " if c in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" else c for c in search_words(text)
            ).split()
        )

    same()
    connection.close()


def test_a_trigger_on_postgresql_calls_no_function_that_is_planned_again_each_time(postgresql_url):
    connection = connect(postgresql_url)
    rows = connection.raw.execute(
        "SELECT p.proname, l.lanname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang "
        "WHERE p.pronamespace = 'public'::regnamespace AND l.lanname IN ('sql', 'plpgsql')"
    ).fetchall()
    connection.close()
    assert sorted(rows) == [
        (name, "plpgsql") for name in ("keep_post_words", "post_words_of", "search_words")
    ]


def test_the_functions_of_both_languages_make_the_same_words(old_url):
    migrate = importlib.import_module("stormpetrel.storage.engine.migrate")
    config = migrate.alembic_config(old_url)
    command.upgrade(config, "0022")
    if old_url.startswith("sqlite:"):
        with migrate.engine(old_url).begin() as connection:
            triggers = connection.exec_driver_sql("SELECT sql FROM sqlite_master ORDER BY name").all()
        command.upgrade(config, "0023")
        with migrate.engine(old_url).begin() as connection:
            assert connection.exec_driver_sql("SELECT sql FROM sqlite_master ORDER BY name").all() == triggers
        return
    kept = "SELECT post_id, words::text FROM post_words ORDER BY post_id"
    made = "SELECT id, post_words_of(p)::text FROM posts p ORDER BY id"
    source = "SELECT prosrc FROM pg_proc WHERE proname IN ('search_words', 'post_words_of') ORDER BY proname"
    with migrate.engine(old_url).begin() as connection:
        in_sql = connection.exec_driver_sql(kept).all(), connection.exec_driver_sql(source).all()
    assert len(in_sql[0]) == len(POSTS)
    command.upgrade(config, "0023")
    with migrate.engine(old_url).begin() as connection:
        assert connection.exec_driver_sql(made).all() == in_sql[0]
        connection.exec_driver_sql("UPDATE posts SET sensitive = NOT sensitive")
        connection.exec_driver_sql("UPDATE posts SET sensitive = NOT sensitive")
        assert connection.exec_driver_sql(kept).all() == in_sql[0]
    command.downgrade(config, "0022")
    with migrate.engine(old_url).begin() as connection:
        assert connection.exec_driver_sql(made).all() == in_sql[0]
        again = connection.exec_driver_sql(source).all()
    assert [row[0].split() for row in again] == [row[0].split() for row in in_sql[1]]
