"""`top` in a real terminal, beside a real server."""

from __future__ import annotations

import json
import signal

import httpx
import pytest

from tests.instance import STORMPETREL, running_instance
from tests.people import NO_CERTIFICATES
from tests.terminal import Screen
from tests.waiting import eventually

LEFT = b"\x1b[?25h\x1b[?1049l"
"""The cursor is shown, and the screen from before is back."""


@pytest.fixture
def instance(tmp_path, sqlite_url):
    with running_instance(tmp_path / "instance", sqlite_url, web_workers=2) as running:
        yield running


def test_it_shows_the_load_live_and_leaves_the_terminal_as_it_was(instance):
    screen = Screen([*STORMPETREL, "top"], instance.environ)
    try:
        screen.until("CHANNEL")
        assert not screen.is_as_before()
        screen.until("q: quit")
        screen.until("calm; mode full, 2 workers")
        eventually(screen.look, lambda shown: "web " in shown and " ok " in shown, within_s=60)
        with httpx.Client(base_url=instance.base_url, trust_env=False, verify=NO_CERTIFICATES) as visitor:

            def seen():
                # Twice: the first of them may render the page, the second gets it from memory.
                for _ in range(2):
                    assert visitor.get("/about", headers={"accept": "text/html"}).status_code == 200
                return screen.look()

            eventually(seen, lambda shown: "HOTTEST PAGES" in shown and "/about" in shown, within_s=60)
        screen.type("q")
        assert screen.code() == 0
        screen.look()
        assert screen.output.endswith(LEFT)
        assert screen.is_as_before()
    finally:
        screen.close()


def test_without_a_watch_it_shows_no_old_figures(instance):
    screen = Screen([*STORMPETREL, "top"], instance.environ)
    try:
        screen.until("CHANNEL")
        instance.stop()
        gone = screen.until("NO FIGURES: the watch role is not running")
        assert "CHANNEL" not in gone
        instance.start()
        screen.until("CHANNEL")
        # Ctrl-C ends it too, and restores the terminal.
        screen.process.send_signal(signal.SIGINT)
        assert screen.code() == 128 + signal.SIGINT
        screen.look()
        assert LEFT in screen.output
        assert screen.is_as_before()
    finally:
        screen.close()


def test_it_prints_once_and_as_json_without_a_terminal(instance):
    once = instance.run_cli("top", "--once").stdout
    assert "CHANNEL" in once
    assert "\x1b" not in once
    lines = instance.run_cli("top", "--json", "--once").stdout.splitlines()
    assert len(lines) == 1
    assert {"at_epoch_s", "classes", "channels", "applications", "pages"} <= set(json.loads(lines[0]))


def test_without_a_server_it_says_so(run, place):
    done = run("top", "--once", expect=3)
    assert done.complaint.startswith("the watch role is not running in ")
    assert run("top", "--every", "0", expect=2).complaint.startswith("argument --every: ")
