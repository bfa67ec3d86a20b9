import dataclasses
import hashlib
import signal
import sqlite3
import subprocess
import sys
from statistics import mean

import pytest

from stormpetrel.cli import seed as command
from stormpetrel.cli.store import now_ms, open_store
from stormpetrel.errors import SetupError
from stormpetrel.model import text as texts
from stormpetrel.model.ids import SHIFT_BITS
from stormpetrel.storage.seed import community as seed
from stormpetrel.storage.seed import steps as seed_steps
from stormpetrel.storage.seed import text as seed_text
from stormpetrel.storage.seed.plan import Size
from tests.cli.conftest import rows
from tests.instance import clean_environment

SMALL = ("--users", "60", "--posts", "900", "--follows", "7")

TABLES = ("accounts", "users", "follows", "posts", "mentions", "tags", "post_tags", "favourites")


def content(url):
    """Return a digest of all rows."""
    digest = hashlib.sha256()
    for table in TABLES:
        for row in sorted(rows(url, f"SELECT {', '.join(seed._COLUMNS[table])} FROM {table}"), key=str):
            # The stores represent booleans differently.
            digest.update(repr([int(v) if isinstance(v, bool) else v for v in row]).encode())
    return digest.hexdigest()


CONTENT = "3eb2f811f991cf7b5041c7fc82902fa80b5f4f6025760a067544ec23e85b260a"
SIZE = Size(
    users=60, posts=900, follows=7, seed=7, end_ms=seed.end_ms_of(7), reader="Lena", reader_follows=20
)


@pytest.fixture(scope="module")
def seeded(shared_url):
    """Seed a small community with a reader, for read-only tests. Return the database URL. Once per store."""
    with open_store(shared_url) as connection:
        seed.seed(connection, SIZE, now_ms=now_ms(), tell=lambda *_: None)
    return shared_url


@pytest.fixture
def seeded_place(run, place):
    """Seed the same community through the command line, for tests that change it."""
    run("seed", *SMALL, "--seed", "7", "--reader", "Lena", "--reader-follows", "20")
    return place


def test_the_same_seed_gives_the_same_community_on_either_store(seeded):
    # The content is equal on every machine. A change of this digest breaks comparisons with earlier
    # measurements.
    assert content(seeded) == CONTENT


def test_another_seed_is_another_community_beside_the_first(run, seeded_place):
    run("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough")
    run("seed", *SMALL, "--seed", "8")
    assert rows(seeded_place, "SELECT count(*) FROM accounts") == [(60 + 1 + 1 + 60,)]
    assert rows(seeded_place, "SELECT count(*) FROM tags") == [(len(seed_text.TAGS),)]
    assert rows(
        seeded_place, "SELECT followers_count, posts_count FROM accounts WHERE username = 'Nino'"
    ) == [(0, 0)]


def test_counts_are_what_was_asked_for(seeded):
    assert rows(seeded, "SELECT count(*) FROM accounts") == [(61,)]
    assert rows(seeded, "SELECT count(*) FROM posts") == [(900,)]
    assert rows(seeded, "SELECT count(*) FROM follows") == [(60 * 7 + 20,)]
    lena = rows(
        seeded, "SELECT following_count, followers_count, posts_count FROM accounts WHERE username = 'Lena'"
    )
    assert lena == [(20, 0, 0)]


@pytest.mark.parametrize(
    ("table", "column", "counted"),
    [
        ("accounts", "followers_count", "SELECT count(*) FROM follows WHERE followed_id = x.id"),
        ("accounts", "following_count", "SELECT count(*) FROM follows WHERE follower_id = x.id"),
        ("accounts", "posts_count", "SELECT count(*) FROM posts WHERE author_id = x.id"),
        ("accounts", "last_post_at_ms", "SELECT coalesce(max(created_at_ms), 0) FROM posts WHERE author_id = x.id"),
        ("posts", "replies_count", "SELECT count(*) FROM posts WHERE in_reply_to_id = x.id"),
        ("posts", "boosts_count", "SELECT count(*) FROM posts WHERE boost_of_id = x.id"),
        ("posts", "favourites_count", "SELECT count(*) FROM favourites WHERE post_id = x.id"),
    ],
)  # fmt: skip
def test_every_count_is_right(seeded, table, column, counted):
    assert (
        rows(seeded, f"SELECT x.{column}, ({counted}) FROM {table} x WHERE x.{column} <> ({counted})") == []
    )
    if column != "last_post_at_ms":
        assert rows(seeded, f"SELECT sum({column}) FROM {table}")[0][0] > 60


def test_each_row_refers_to_rows_that_exist(data_dir, run):
    run("init")
    run("seed", *SMALL, "--seed", "7", "--reader", "Lena", "--reader-follows", "20")
    database = sqlite3.connect(data_dir / "stormpetrel.db")
    assert database.execute("SELECT COUNT(*) FROM follows").fetchone()[0] > 60
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()


def test_mentions_and_tags_are_those_in_the_texts(seeded):
    names = dict(rows(seeded, "SELECT id, username FROM accounts"))
    tags = dict(rows(seeded, "SELECT id, name FROM tags"))
    mentioned, tagged = {}, {}
    for post_id, account_id in rows(seeded, "SELECT post_id, account_id FROM mentions"):
        mentioned.setdefault(post_id, set()).add(names[account_id].lower())
    for tag_id, post_id in rows(seeded, "SELECT tag_id, post_id FROM post_tags"):
        tagged.setdefault(post_id, set()).add(tags[tag_id])
    for post_id, text in rows(seeded, "SELECT id, text FROM posts"):
        assert set(texts.mentions_in(text)) == mentioned.get(post_id, set()), text
        assert {name for name, _ in texts.tags_in(text)} == tagged.get(post_id, set()), text
        assert texts.count_characters(text) <= 500
    assert len(mentioned) > 100
    assert len(tagged) > 100


def test_ids_lie_in_the_past_and_say_when_the_row_was_made(seeded):
    for table in ("accounts", "posts"):
        assert rows(seeded, f"SELECT count(*) FROM {table} WHERE id >> {SHIFT_BITS} <> created_at_ms") == [
            (0,)
        ]
    newest = rows(seeded, "SELECT max(created_at_ms) FROM posts")[0][0]
    assert newest <= seed.end_ms_of(7)
    after = "SELECT count(*) FROM posts WHERE coalesce(boost_of_id, in_reply_to_id, 0) >= id"
    assert rows(seeded, after) == [(0,)]
    early = "SELECT count(*) FROM favourites WHERE id < post_id"
    assert rows(seeded, early) == [(0,)]


def test_some_are_followed_much_more_than_others(run, place):
    run("seed", "--users", "500", "--posts", "10", "--follows", "30", "--seed", "1")
    counts = sorted(count for (count,) in rows(place, "SELECT followers_count FROM accounts"))
    assert mean(counts) == 30
    assert counts[-1] > 8 * counts[250]
    assert counts[250] > 0


def test_a_seed_that_is_there_is_refused_and_nothing_changes(run, seeded_place):
    before = content(seeded_place)
    complaint = run("seed", *SMALL, "--seed", "7", expect=2).complaint
    assert complaint == "the community of seed 7 already exists: use another --seed"
    complaint = run("seed", *SMALL, "--seed", "8", "--reader", "LENA", expect=2).complaint
    assert complaint == "the name 'LENA' is taken: choose another --reader"
    assert content(seeded_place) == before


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--users", "7"), "--follows 7 needs more than 7 users: each follows others"),
        (("--reader-follows", "3"), "--reader-follows needs --reader NAME"),
        (("--reader", "a b"), "--reader must contain only letters, numbers and underscores"),
        (("--reader", "Ida", "--reader-follows", "61"), "--reader-follows 61 needs as many users"),
        (("--until", "tomorrow"), "--until must be now or a date such as 2026-03-01, not 'tomorrow'"),
        (("--until", "2999-01-01"), "--until must be in the past"),
        (("--password", "short"), "--password is too short (minimum is 8 characters)"),
    ],
)
def test_a_community_that_cannot_be_is_refused(run, place, more, complaint):
    assert run("seed", *SMALL, "--seed", "1", *more, expect=2).complaint == complaint
    assert rows(place, "SELECT count(*) FROM accounts") == [(0,)]


def test_the_command_gives_the_same_as_the_function(seeded_place):
    assert content(seeded_place) == CONTENT


def test_the_smallest_communities_work(run, place):
    run("seed", "--users", "1", "--posts", "3", "--follows", "0", "--seed", "0")
    run("seed", "--users", "3", "--posts", "0", "--follows", "2", "--seed", "65535", "--reader", "Ida")
    assert rows(place, "SELECT count(*) FROM follows") == [(3 * 2 + 3,)]


def test_the_summary_as_json_counts_the_rows(run, place):
    answer = run(
        "seed", *SMALL, "--seed", "1", "--until", "2026-03-01", "--password", "long enough", "--json"
    ).json
    assert answer["rows"]["posts"] == 900
    assert answer["rows_total"] == sum(answer["rows"].values())
    assert answer["rows_per_s"] > 0
    for table, count in answer["rows"].items():
        assert rows(place, f"SELECT count(*) FROM {table}") == [(count,)]
    assert rows(place, "SELECT count(DISTINCT password_hash) FROM users") == [(1,)]


def test_a_running_server_is_told_to_forget_what_it_remembers(seeded):
    assert ('[{"type":"all"}]',) in rows(seeded, "SELECT payload FROM outbox WHERE kind = 'events'")


def test_nobody_of_the_community_can_sign_in_unless_asked(seeded):
    assert rows(seeded, "SELECT DISTINCT password_hash FROM users") == [("!",)]


def test_the_largest_seed_is_the_one_that_the_command_allows():
    assert command.MAX_SEED == seed.MAX_SEED
    assert len(seed.username(seed.MAX_SEED, command.MAX_USERS)) <= 30


# Interruption and continuation


def consistent(url):
    """Return True if every count matches the rows, and every post has its author."""
    wrong = {
        "accounts": "followers_count <> (SELECT count(*) FROM follows WHERE followed_id = x.id) "
        "OR following_count <> (SELECT count(*) FROM follows WHERE follower_id = x.id) "
        "OR posts_count <> (SELECT count(*) FROM posts WHERE author_id = x.id)",
        "posts": "replies_count <> (SELECT count(*) FROM posts WHERE in_reply_to_id = x.id) "
        "OR boosts_count <> (SELECT count(*) FROM posts WHERE boost_of_id = x.id) "
        "OR favourites_count <> (SELECT count(*) FROM favourites WHERE post_id = x.id) OR author_id NOT IN "
        "(SELECT id FROM accounts)",
    }
    return all(rows(url, f"SELECT 1 FROM {table} x WHERE {where}") == [] for table, where in wrong.items())


def stop_after_a_step(done, total, doing):
    if doing.endswith(" rows"):
        raise KeyboardInterrupt


def test_stopped_after_any_step_it_is_consistent_and_the_same_call_makes_it_whole(database_url, monkeypatch):
    monkeypatch.setattr(seed, "ROWS_PER_COMMIT", 300)
    stops = 0
    with open_store(database_url) as connection:
        while True:
            try:
                whole = seed.seed(connection, SIZE, now_ms=now_ms(), tell=stop_after_a_step)
                break
            except KeyboardInterrupt:
                stops += 1
                assert consistent(database_url)
                assert seed_steps.unfinished(connection, SIZE.seed) == SIZE
        assert stops > 10
        assert whole.rows_before == whole.total
        assert seed_steps.unfinished(connection, SIZE.seed) is None
        assert content(database_url) == CONTENT
        with pytest.raises(SetupError, match="already exists"):
            seed.seed(connection, SIZE, now_ms=now_ms(), tell=lambda *_: None)


def test_what_was_begun_goes_on_with_the_same_numbers_only(database_url):
    with open_store(database_url) as connection:
        with pytest.raises(KeyboardInterrupt):
            seed.seed(connection, SIZE, now_ms=now_ms(), tell=stop_after_a_step)
        other = dataclasses.replace(SIZE, posts=901)
        with pytest.raises(
            SetupError, match="continue with --users 60 --posts 900 --follows 7 --seed 7 --reader Lena"
        ):
            seed.seed(connection, other, now_ms=now_ms(), tell=lambda *_: None)
        # Another seed makes another community, even beside an incomplete one.
        seed.seed(
            connection, dataclasses.replace(SIZE, seed=8, reader="Ida"), now_ms=now_ms(), tell=lambda *_: None
        )
        seed.seed(connection, SIZE, now_ms=now_ms(), tell=lambda *_: None)
    assert consistent(database_url)


def test_two_processes_that_write_the_same_community_do_not_mix_their_rows(database_url):
    def overtaken(done, total, doing):
        if doing.endswith(" rows"):
            with open_store(database_url) as other:
                seed.seed(other, SIZE, now_ms=now_ms(), tell=lambda *_: None)

    with (
        open_store(database_url) as connection,
        pytest.raises(SetupError, match="another process is writing"),
    ):
        seed.seed(connection, SIZE, now_ms=now_ms(), tell=overtaken)
    assert content(database_url) == CONTENT


def test_ctrl_c_ends_it_with_130_and_the_same_command_goes_on(run, data_dir, either_place):
    words = ["seed", "--users", "300", "--posts", "12000", "--follows", "9", "--seed", "3", "--until", "now"]
    process = subprocess.Popen(
        [sys.executable, "-m", "stormpetrel", *words],
        env=clean_environment(data_dir=data_dir, database_url=either_place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background may have disabled Ctrl-C for them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # From here on, the texts of the first posts take at least a second.
    while not rows(either_place, "SELECT 1 FROM follows LIMIT 1"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "run the same command again to continue" in said
    assert consistent(either_place)
    assert rows(either_place, "SELECT count(*) FROM posts")[0][0] < 12_000
    answer = run(*words, "--json").json
    assert 0 < answer["rows_before"] < answer["rows_total"]
    assert rows(either_place, "SELECT count(*) FROM posts") == [(12_000,)]
    assert rows(either_place, "SELECT name FROM facts WHERE name LIKE 'seed %'") == []
    assert consistent(either_place)
