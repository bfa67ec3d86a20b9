"""toot's full-screen interface, driven in a terminal. The tests check the text that a user would see."""

from __future__ import annotations

import pytest

from tests.api.toot_client import TOOT, Toot
from tests.terminal import Screen
from tests.waiting import eventually

ENTER, UP, DOWN = "\r", "\x1b[A", "\x1b[B"


@pytest.fixture
def screen(place, tmp_path):
    ann, bob = place.person("ann"), place.person("bob")
    bob.follow(ann)
    post = ann.post("A post for the whole screen")
    ann.post("An answer further down", in_reply_to_id=post["id"])
    toot = Toot(tmp_path / "bob", place)
    toot.sign_in(bob)
    opened = Screen([*TOOT, "tui"], toot.environ)
    opened.ann, opened.bob, opened.post = ann, bob, post
    yield opened
    opened.close()


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_the_full_screen_interface_reads_likes_boosts_answers_and_ends(screen):
    bob, post = screen.bob, screen.post
    screen.until("press Enter to continue")  # toot announces its successor here
    screen.type(ENTER)
    # The newest post is in focus. The post of this test is below it.
    screen.until("An answer further down")
    screen.type("j")
    screen.until("A post for the whole screen")

    def seen():
        return bob.get(f"/api/v1/statuses/{post['id']}")

    screen.type("f")
    eventually(seen, lambda status: status["favourited"])
    screen.type("b")
    eventually(seen, lambda status: status["reblogged"])
    screen.type_until("t", "status 1 of 2")
    screen.type("j")
    screen.until("An answer further down")
    screen.type("q")
    screen.type("c")
    screen.until("Post")
    screen.type("Written on the whole screen")
    screen.until("Written on the whole screen")

    def latest():
        return [status["content"] for status in bob.get(f"/api/v1/accounts/{bob.id}/statuses")]

    # Move down past the settings to the "Post" button.
    for _ in range(12):
        screen.type(DOWN)
    screen.type(UP)
    screen.type(ENTER)
    eventually(latest, lambda contents: any("Written on the whole screen" in text for text in contents))
    screen.type("q")
    screen.type("q")
    eventually(screen.process.poll, lambda code: code is not None)
    assert screen.process.returncode == 0
