"""toot, an app for the terminal, as a process of its own: signs in with a code, posts, replies, boosts, reads."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.api.out_of_band import code_for

TOOT = (sys.executable, "-m", "toot")
TIMEOUT_S = 60


class Toot:
    """toot with a home of its own."""

    def __init__(self, home: Path, place) -> None:
        home.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "NO_PROXY": "*",
            "LANG": "C.UTF-8",
        }
        self.place = place

    def sign_in(self, person) -> None:
        """`toot login`: opens the address it prints in a browser, and types the code that is shown there."""
        with subprocess.Popen(
            [*TOOT, "login", "--instance", self.place.base_url],
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                printed = ""
                while not (found := re.search(r"^(http\S+/oauth/authorize\S+)\n", printed, re.MULTILINE)):
                    line = process.stdout.readline()
                    assert line, printed
                    printed += line
                with contextlib.closing(self.place.browser_session(person)) as browser:
                    code = code_for(browser, found[1])
                rest, _ = process.communicate(f"n\n{code}\n", timeout=TIMEOUT_S)
                assert process.returncode == 0, printed + rest
                assert "Successfully logged in" in rest
            finally:
                process.kill()

    def run(self, *arguments: str) -> str:
        """What `toot *arguments` prints; it must succeed."""
        done = subprocess.run(
            [*TOOT, "--no-color", *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"toot {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *arguments: str):
        return json.loads(self.run(*arguments, "--json"))


def test_toot_signs_in_by_code_posts_replies_boosts_and_reads(place, tmp_path):
    ann, bob = place.person("ann"), place.person("bob")
    ann_toot, bob_toot = Toot(tmp_path / "ann", place), Toot(tmp_path / "bob", place)
    ann_toot.sign_in(ann)
    bob_toot.sign_in(bob)
    assert ann.username in ann_toot.run("whoami")
    bob_toot.run("follow", ann.username)
    post = ann_toot.json("post", f"Hello from a terminal, @{bob.username} #toot")
    assert post["application"]["name"].startswith("toot")
    reply = bob_toot.json("post", "Hello back", "--reply-to", post["id"])
    assert reply["in_reply_to_id"] == post["id"]
    assert bob_toot.json("reblog", post["id"])["reblog"]["id"] == post["id"]
    assert bob_toot.json("favourite", post["id"])["favourited"] is True
    assert "Hello from a terminal" in bob_toot.run("timeline", "--once")
    assert "Hello from a terminal" in ann_toot.run("timeline", "--once", "--tag", "toot")
    assert {status["id"] for status in bob_toot.json("timelines", "home")} >= {post["id"], reply["id"]}
    told = ann_toot.run("notifications")
    assert "boosted your status" in told
    assert "favourited" in told
    assert "mentioned" in bob_toot.run("notifications", "--mentions")
    thread = bob_toot.run("thread", post["id"])
    assert thread.index("Hello from a terminal") < thread.index("Hello back")
    assert place.base_url.partition("://")[2] in ann_toot.run("instance")
    assert ann.username in bob_toot.run("search", ann.username)
    ann_toot.run("delete", post["id"])
    assert "Hello from a terminal" not in bob_toot.run("timeline", "--once")
