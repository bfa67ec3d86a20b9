"""`guard` at the command line: what it needs, and what it says without it."""

import contextlib
import json
import os
import socket
import subprocess
import sys

import pytest

from tests.guard.listing import a_list_server
from tests.guard.networks import two_machines


def guard(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "stormpetrel", "guard", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_without_the_capability_it_says_what_it_needs(run):
    with two_machines():
        pass
    done = subprocess.run(
        [
            "setpriv",
            "--bounding-set",
            "-net_admin",
            "--inh-caps",
            "-net_admin",
            sys.executable,
            "-m",
            "stormpetrel",
            "guard",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "stormpetrel: the guard needs the capability CAP_NET_ADMIN: start stormpetrel-guard.service, or run "
        ".venv/bin/stormpetrel as root (docs/guard.md)\n"
    )


def test_a_wrong_network_or_port_is_one_line(run):
    for arguments in (("--never", "nonsense"), ("--port", "0"), ("--port", "70000")):
        done = guard(*arguments)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1


@contextlib.contextmanager
def a_trial(folder):
    """Run `guard --dry-run` with the socket in `folder`; yield a function that returns its next line in the log."""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "stormpetrel", "guard", "--dry-run"),
            *("--socket", folder / "guard.sock"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield lambda: json.loads(process.stderr.readline())["text"]
        finally:
            process.terminate()


def test_without_a_watch_it_says_so_once_and_where_it_looks(tmp_path):
    path = tmp_path / "guard.sock"
    no_socket = (
        f"no list from the watch at {path}: No such file or directory (--socket sets another path); "
        "trying again each second"
    )
    with a_trial(tmp_path) as next_line:
        assert next_line() == no_socket
        with a_list_server(tmp_path) as watch:
            watch.accept()
            assert watch.say(is_all=True).is_dry_run
            assert next_line() == f"following the watch at {path}"
            path.unlink()
        assert next_line() == "the watch is gone, so its list ends: the other side closed the connection"
        assert next_line() == no_socket


def test_a_second_guard_says_that_the_watch_serves_another(tmp_path):
    with a_list_server(tmp_path) as watch, a_trial(tmp_path) as next_line:
        watch.accept()
        watch.leave()
        assert next_line() == (
            f"no list from the watch at {tmp_path / 'guard.sock'}: the other side closed the connection "
            "(it serves one guard only: is another one running?); trying again each second"
        )
        # The second time, it is in the log already.
        watch.accept()
        watch.leave()
        watch.accept()
        watch.say(is_all=True)
        assert next_line().startswith("following the watch")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_user_who_may_not_use_the_socket_learns_how_to(tmp_path):
    path = tmp_path / "guard.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        # Root without the capability that overrides modes, as which the interpreter can still be read.
        path.chmod(0)
        done = subprocess.run(
            [
                *("setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override"),
                *(sys.executable, "-m", "stormpetrel", "guard", "--dry-run", "--socket", path),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    assert f"this user may not use {path}: run the guard as root, or with the socket's group" in done.stderr
