"""`guard` at the command line: what it needs, and what it says without it."""

import subprocess
import sys

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
        "stormpetrel: the guard needs the capability CAP_NET_ADMIN: run it as root, or by "
        "deploy/stormpetrel-guard.service\n"
    )


def test_a_wrong_network_or_port_is_one_line(run):
    for arguments in (("--never", "nonsense"), ("--port", "0"), ("--port", "70000")):
        done = guard(*arguments)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
