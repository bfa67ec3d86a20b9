"""toot, a terminal app, as a process with its own home directory."""

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
    """toot with its own home directory."""

    def __init__(self, home: Path, place=None) -> None:
        home.mkdir()
        self.home = home
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "NO_PROXY": "*",
            "LANG": "C.UTF-8",
        }
        self.place = place

    def sign_in(self, person) -> None:
        """Run `toot login`: open the URL that it prints in a browser, and enter the code shown there."""
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

    def has_signed_in(self, base_url: str, username: str, token: str) -> None:
        """Write toot's configuration file with the token, as after an earlier login."""
        instance = base_url.partition("://")[2]
        who = f"{username}@{instance}"
        app = {"instance": instance, "base_url": base_url, "client_id": "", "client_secret": ""}
        user = {"instance": instance, "username": username, "access_token": token}
        file = self.home / ".config/toot/config.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"apps": {instance: app}, "users": {who: user}, "active_user": who}))

    def run(self, *arguments: str) -> str:
        """Run `toot *arguments`, which must succeed, and return its output."""
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
