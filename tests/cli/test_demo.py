import json
import stat
import tomllib
from importlib.resources import files

import pytest

from stormpetrel.cli.demo import pictures_of, play
from stormpetrel.cli.demo_pictures import DRAWINGS
from stormpetrel.cli.store import change, now_ms, open_store
from stormpetrel.model.demo_phone import NUMBERS, SENDER
from stormpetrel.model.ids import SHIFT_BITS, first_id_at
from stormpetrel.model.media import Decoded, MediaKind
from stormpetrel.process.cpu_worker import verify_password_now
from tests.cli.conftest import rows

COMMUNITY = tomllib.loads(files("stormpetrel").joinpath("demo/community.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def played(shared_url):
    """Return the URL of a database that contains the demo, for read-only tests. Once per store."""
    pictures = {
        wanted: Decoded(MediaKind.IMAGE, f"{number:032x}.png", width=4, height=3)
        for number, wanted in enumerate(pictures_of(COMMUNITY))
    }
    with open_store(shared_url) as connection, change(connection) as at_ms:
        play(
            connection,
            COMMUNITY,
            hashes={},
            domain="skerrymouth.example",
            pictures=pictures,
            now_ms=at_ms,
        )
    return shared_url


@pytest.fixture
def demo(run, place):
    """Create the demo through the command line."""
    run("init", "--demo")
    return place


def test_the_demo_is_lively(played):
    people, posts = len(COMMUNITY["people"]), sum(len(thread["posts"]) for thread in COMMUNITY["threads"])
    assert (people, posts) >= (14, 120)
    assert rows(played, "SELECT count(*) FROM accounts WHERE state = 'active'") == [(people,)]
    assert rows(played, "SELECT count(*) FROM posts WHERE boost_of_id IS NULL") == [(posts,)]
    assert {visibility for (visibility,) in rows(played, "SELECT DISTINCT visibility FROM posts")} == {
        0,
        1,
        2,
        3,
    }
    for table in ("mentions", "favourites", "post_tags", "notifications"):
        assert rows(played, f"SELECT count(*) FROM {table}")[0][0] > 40
    assert {"en", "ka", "fr", "ar"} <= {
        language for (language,) in rows(played, "SELECT language FROM posts")
    }
    assert rows(played, "SELECT count(*) FROM posts WHERE spoiler_text <> ''")[0][0] >= 2
    deep = (
        "SELECT count(*) FROM posts a JOIN posts b ON b.in_reply_to_id = a.id "
        "JOIN posts c ON c.in_reply_to_id = b.id JOIN posts d ON d.in_reply_to_id = c.id"
    )
    assert rows(played, deep)[0][0] >= 10


def test_a_locked_account_has_a_request_that_waits(played):
    waiting = (
        "SELECT f.username FROM follow_requests r JOIN accounts f ON f.id = r.follower_id "
        "JOIN accounts t ON t.id = r.followed_id WHERE t.locked"
    )
    assert ("demo",) in rows(played, waiting)


def test_everything_happened_in_order_and_lies_in_the_past(played):
    assert rows(played, f"SELECT count(*) FROM posts WHERE id >> {SHIFT_BITS} <> created_at_ms") == [(0,)]
    for table in ("posts", "follows", "favourites", "notifications"):
        assert rows(played, f"SELECT max(id) FROM {table}")[0][0] < first_id_at(now_ms())


def test_one_can_sign_in_with_the_logins_that_were_printed(demo, run, data_dir):
    file = data_dir / "demo-logins.txt"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    hashes = dict(
        rows(demo, "SELECT username, password_hash FROM users JOIN accounts ON accounts.id = account_id")
    )
    words = [line.split() for line in file.read_text().splitlines()]
    logins = {line[0]: line[1] for line in words if line and line[0] in ("demo", "keeper")}
    assert len(set(logins.values())) == 2
    for name, password in logins.items():
        assert verify_password_now(hashes.pop(name), password)
    assert set(hashes.values()) == {"!"}
    admins = "SELECT username FROM users JOIN accounts ON id = account_id WHERE role = 'admin'"
    assert rows(demo, admins) == [("keeper",)]


def test_a_new_demo_has_a_route_of_files_and_a_phone_that_texts_by_it(run, data_dir):
    said = run("init", "--demo").out
    assert "phones:       http://127.0.0.1:8000/demo/phone" in said
    route = tomllib.loads((data_dir / "stormpetrel.toml").read_text())["sms"]["route"]["demo"]
    assert route.pop("directory") == str(data_dir / "demo-phones")
    assert route == {"provider": "file", "trust": "device", "sender": SENDER}
    assert json.loads(run("sms", "show", NUMBERS[0], "--json").out)["account"] == "demo"
    # The README sends the reader to the files of the demo's mails, so mails to its accounts must not be dropped.
    url = f"sqlite:///{data_dir / 'stormpetrel.db'}"
    [(letter,)] = rows(url, "SELECT payload FROM outbox WHERE kind = 'mail'")
    assert json.loads(letter)["to"] == "demo@skerrymouth.example"


def test_an_instance_with_its_own_configuration_becomes_a_demo_without_the_route(demo, run, data_dir):
    assert "demo/phone" not in run("init", "--demo").out
    assert "[sms.route.demo]" not in (data_dir / "stormpetrel.toml").read_text()


def test_the_pictures_of_the_demo_are_there_small_described_and_of_every_shape(demo, data_dir):
    wanted = pictures_of(COMMUNITY)
    assert len(set(wanted)) == len(wanted)
    assert {name for name, _ in wanted} == set(DRAWINGS)
    shown = rows(
        demo, "SELECT key, preview_key, width, height, description FROM media WHERE post_id IS NOT NULL"
    )
    assert len(shown) == sum(purpose == "attachment" for _, purpose in wanted)
    assert all(description for *_, description in shown)
    shapes = [width / height for _, _, width, height, _ in shown]
    assert (min(shapes) < 0.6, max(shapes) > 2.9) == (True, True)
    faces = rows(demo, "SELECT avatar_key, avatar_static_key FROM accounts WHERE avatar_key <> ''")
    assert len(faces) == sum(purpose == "avatar" for _, purpose in wanted)
    keys = {key for row in (*shown, *faces) for key in row[:2]}
    files = [data_dir / "media" / key[:2] / key for key in keys]
    assert sum(file.stat().st_size for file in files) < 400_000
    served = {key for (key,) in rows(demo, "SELECT key FROM media_files")}
    assert keys <= served


def test_the_demo_again_says_the_same_and_changes_nothing(demo, run, data_dir):
    before = rows(demo, "SELECT count(*), max(id) FROM posts")
    assert run("init", "--demo").out.endswith((data_dir / "demo-logins.txt").read_text())
    assert rows(demo, "SELECT count(*), max(id) FROM posts") == before


def test_the_demo_fills_only_an_empty_place(run, place, data_dir):
    run("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough")
    complaint = run("init", "--demo", expect=2).complaint
    assert complaint == "--demo needs an empty instance, but this one has accounts; nothing was changed"
    assert not (data_dir / "demo-logins.txt").exists()


def test_a_demo_that_fails_leaves_nothing_behind(run, place, data_dir):
    # A directory in place of the file makes the last step fail.
    (data_dir / "demo-logins.txt").mkdir()
    assert "demo-logins.txt cannot be written" in run("init", "--demo", expect=3).complaint
    assert rows(place, "SELECT count(*) FROM accounts") == [(0,)]


def test_everybody_in_the_demo_is_somebody():
    names = {person["name"] for person in COMMUNITY["people"]}
    for thread in COMMUNITY["threads"]:
        for post in thread["posts"]:
            for word in [post["by"], *post.get("likes", "").split(), *post.get("boosts", "").split()]:
                assert word in names
            assert post["by"] not in post.get("likes", "").split()
