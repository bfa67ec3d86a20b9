"""toot's full-screen interface, driven in a terminal. The tests check the text that a user would see."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pyte
import pytest

from tests.api.toot_client import TOOT, Toot
from tests.waiting import eventually

COLUMNS, LINES = 120, 40
PATIENCE_S = 30.0
ENTER, UP, DOWN = "\r", "\x1b[A", "\x1b[B"


class Screen:
    """A terminal of 120 by 40 characters that runs a program."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)
        self.end, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command,
            env=environ | {"TERM": "xterm"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)

    def look(self, seconds: float = 0.1) -> str:
        """Process the program's output for `seconds` and return the text of the screen."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if not select.select([self.end], [], [], left_s)[0]:
                break
            try:
                self.stream.feed(os.read(self.end, 65_536))
            except OSError:  # the program has exited
                break
        return "\n".join(self.screen.display)

    def until(self, text: str) -> str:
        """Wait until `text` is on the screen."""
        end_s = time.monotonic() + PATIENCE_S
        while text not in (shown := self.look()):
            assert self.process.poll() is None, f"toot ended: {shown}"
            assert time.monotonic() < end_s, f"no {text!r} on the screen:\n{shown}"
        return shown

    def type_until(self, keys: str, text: str) -> None:
        """Type `keys` until `text` is on the screen: toot ignores a key while it waits for an answer."""
        end_s = time.monotonic() + PATIENCE_S
        while text not in self.look():
            assert time.monotonic() < end_s, f"no {text!r} on the screen"
            self.type(keys)
            retry_s = time.monotonic() + 5
            while text not in self.look() and time.monotonic() < retry_s:
                pass

    def type(self, keys: str) -> None:
        os.write(self.end, keys.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self.end)


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
