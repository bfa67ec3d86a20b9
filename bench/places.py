"""A seeded, running instance for benchmarks of the whole server: on its own ports, stopped by its pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import peers

STORMPETREL = [sys.executable, "-m", "stormpetrel"]
# No proxy from the environment: requests must go straight to loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_START_S = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """A running instance: its web port, its supervisor's pid, and the environment for its commands."""

    port: int
    pid: int
    environ: dict[str, str]

    def workers(self) -> list[int]:
        """Return the pids of the web workers that are alive."""
        return workers_of(self.pid)

    def metrics(self) -> str:
        """Return the watch's metrics."""
        with _OPENER.open(
            f"http://127.0.0.1:{self.environ['STORMPETREL_STATUS_PORT']}/metrics", timeout=10
        ) as answer:
            text: bytes = answer.read()
        return text.decode()

    def get(self, path: str, *, token: str = "") -> bytes:
        """Return the body of a GET."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        with _OPENER.open(request, timeout=10) as answer:
            body: bytes = answer.read()
            return body

    def token(self, username: str) -> str:
        """Return a new token of the account."""
        command = [*STORMPETREL, "token", username, "--scopes", "read write"]
        done = subprocess.run(command, env=self.environ, check=True, capture_output=True, text=True)
        return done.stdout.split()[-1]


def workers_of(supervisor: int) -> list[int]:
    """Return the pids of a supervisor's web workers that are alive."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    names = {int(pid): Path(f"/proc/{pid}/comm").read_text() for pid in children}
    return [pid for pid, name in names.items() if name.startswith("petrel-web-")]


@contextmanager
def place(
    directory: Path, *commands: Sequence[str], workers: int = 1, only_web: bool = True, **settings: str
) -> Iterator[Place]:
    """Run an instance in `directory`, after `init` and `commands`. A single worker is pinned to core 0."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STORMPETREL_")} | {
        "STORMPETREL_DATA_DIR": str(directory),
        "STORMPETREL_WEB_WORKERS": str(workers),
        "STORMPETREL_SHIELD_REQUESTS_PER_5MIN": "0",
        "STORMPETREL_LOG_LEVEL": "warning",
        **{
            f"STORMPETREL_{role}_PORT": str(peers.free_port()) for role in ("WEB", "STATUS", "SMS", "COURIER")
        },
        **{f"STORMPETREL_{name.upper()}": value for name, value in settings.items()},
    }
    quiet = subprocess.DEVNULL
    for command in (["init"], *commands):
        subprocess.run([*STORMPETREL, *command], env=environ, check=True, stdout=quiet, stderr=quiet)
    roles = ["--role", "web"] if only_web else []
    process = subprocess.Popen([*STORMPETREL, "serve", *roles], env=environ, stdout=quiet, stderr=quiet)
    try:
        running = Place(int(environ["STORMPETREL_WEB_PORT"]), process.pid, environ)
        peers.wait_for(running.port, within_s=_START_S)
        end_s = time.monotonic() + _START_S
        # The listeners are open before the workers have started.
        while len(running.workers()) < workers and time.monotonic() < end_s:
            time.sleep(0.05)
        running.get("/api/v1/instance")
        if workers == 1:
            peers.pin(running.workers()[0], 0)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


LARGE_DIRECTORY = Path(tempfile.gettempdir()) / "stormpetrel-large"
"""Directory of the large instance, used again: seeding it takes some minutes."""
LARGE = (200_000, 2_000_000)
"""Its accounts and posts; mean 20 follows, its reader follows 200."""


@contextmanager
def large(directory: Path, *, size: tuple[int, int] = LARGE, **settings: str) -> Iterator[Place]:
    """Run the large instance in `directory`; seed it if needed, and leave it there."""
    directory.mkdir(exist_ok=True)
    done = directory / "seeded"
    reader = ["--reader", "reader", "--reader-follows", "200"]
    seeding = [] if done.exists() else [[*seed(*size, 20), *reader]]
    with place(directory, *seeding, **settings) as running:
        done.touch()
        yield running


def seed(users: int, posts: int, follows: int) -> list[str]:
    """Return the command that seeds an instance."""
    numbers = {"--users": users, "--posts": posts, "--follows": follows, "--seed": 1}
    return ["seed", *(str(part) for pair in numbers.items() for part in pair)]
