"""During a flood, real programs work without disturbance: a browser, toot, a feed reader.

The flood is the drill's, at full rate, and the programs are unmodified. Takes some forty seconds, on an
otherwise idle machine.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stormpetrel.drill import attackers
from stormpetrel.drill.community import load
from stormpetrel.drill.place import Place, running
from stormpetrel.drill.record import AttackSecond, read
from stormpetrel.drill.scenario import Phase
from tests.api.toot_client import Toot
from tests.drill.prepared import setting
from tests.feed_reader import read_by_a_reader

pytestmark = [pytest.mark.timeout(300), pytest.mark.prove, pytest.mark.alone]

FLOOD = (("A1", 1.0), ("A3", 1.0), ("A5", 1.0), ("A6", 1.0))
"""The crowd, dynamic pages, passwords, and bots behind members' addresses: 3,660 requests a second."""
FLOOD_S = 90.0
"""Longer than the programs need. The flood is stopped when they are done."""
ONSET_S = 6.0
PATIENCE_MS = 15_000
"""For a page in a browser, on two cores shared with the server and the attackers."""


@dataclass(frozen=True, slots=True)
class Attacked:
    """An instance under attack. `lines`: the file in which the attackers record their requests."""

    place: Place
    lines: Path

    def status(self) -> dict[str, Any]:
        """Return the answer of `shield status`."""
        done = subprocess.run(
            [sys.executable, "-m", "stormpetrel", "shield", "status", "--json"],
            env=dict(self.place.environ),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def attacks(self) -> list[AttackSecond]:
        """Return the attackers' requests so far, by second and vector."""
        return [one for one in read(self.lines) if isinstance(one, AttackSecond)]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    prepared = setting()
    with running(
        prepared.prepared,
        tmp_path_factory.mktemp("attacked"),
        command=prepared.command,
        environment=prepared.environment,
        settings={"shield_mode": "full"},
    ) as place:
        yield place


@contextmanager
def flooded(place: Place) -> Iterator[Attacked]:
    """Run the flood: it has begun when the block begins, and stops when the block ends."""
    plan, out = place.directory / "attackers.json", place.directory / "attackers.jsonl"
    plan.write_text(
        attackers.AttackPlan(
            host=place.web.host,
            port=place.web.port,
            host_header=f"{place.web.host}:{place.web.port}",
            community=str(setting().community),
            phases=(Phase("flood", 0.0, FLOOD_S, FLOOD),),
            seed=1,
            begin_s=0.0,
            connections=int(FLOOD_S * 4_500),
            seconds=FLOOD_S,
            pids={},
        ).to_json(),
        encoding="utf-8",
    )
    out.touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "stormpetrel.drill.attackers", str(plan), str(out)], stdin=subprocess.DEVNULL
    )
    attacked = Attacked(place, out)
    try:
        deadline_s = time.monotonic() + 30
        while max((one.t for one in attacked.attacks()), default=0.0) < ONSET_S:
            assert process.poll() is None, "the attackers have gone"
            assert time.monotonic() < deadline_s, "no attack comes"
            time.sleep(0.2)
        yield attacked
        assert process.poll() is None, "the attack ended before the programs did"
    finally:
        process.kill()
        process.wait()


@contextmanager
def window(browser: Any, base_url: str, cookies: dict[str, str]) -> Iterator[Any]:
    """Yield a browser context, and assert at its end that every request succeeded, images and styles
    included.
    """
    context = browser.new_context(base_url=base_url)
    context.set_default_timeout(PATIENCE_MS)
    context.add_cookies([{"name": name, "value": value, "url": base_url} for name, value in cookies.items()])
    bad: list[str] = []
    context.on(
        "response",
        lambda answer: bad.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )
    # Requests that the browser itself cancels after a click are no failures.
    context.on(
        "requestfailed",
        lambda request: (
            bad.append(f"{request.failure} {request.url}") if request.failure != "net::ERR_ABORTED" else None
        ),
    )
    yield context.new_page()
    context.close()
    assert bad == []


def test_a_browser_toot_and_a_feed_reader_notice_nothing(calm: Place, browser: Any, tmp_path: Path) -> None:
    base_url = f"http://{calm.web.host}:{calm.web.port}"
    community = load(setting().community)
    member, poster = community.of("web")[0], community.of("own")[0]
    toot = Toot(tmp_path / "home")
    toot.has_signed_in(base_url, poster.name, poster.token)
    victim = community.victim.name
    feed = f"/@{victim}/feed.atom"
    # Establish each client before the attack: the member's browser has a session, toot a token.
    assert len(read_by_a_reader(base_url, feed)["items"]) == 20
    took: dict[str, float] = {}

    @contextmanager
    def timed(what: str) -> Iterator[None]:
        began_s = time.monotonic()
        yield
        took[what] = time.monotonic() - began_s

    with flooded(calm) as attacked:
        status = attacked.status()
        with window(browser, base_url, {community.cookies["session"]: member.session}) as page:
            with timed("a member opens home"):
                page.goto("/")
                page.get_by_role("heading", name="Home").wait_for()
            with timed("a member posts and reads it"):
                page.fill("#compose-text", "We are still here, all of us")
                page.locator("form.compose button").click()
                page.locator(".post", has_text="We are still here, all of us").first.wait_for()
            with timed("a member favourites"):
                post = page.locator(".post", has_text="We are still here").first
                post.get_by_role("button", name=re.compile("^Favourite")).click()
                page.locator("button.favourite[aria-pressed=true]").first.wait_for()
        with window(browser, base_url, {}) as page:
            with timed("a new visitor opens the activist's page"):
                page.goto(f"/@{victim}")
                assert page.locator(".post").count() >= 20
            with timed("a new visitor opens a post of it"):
                page.goto(f"/@{victim}/{community.victim.post_ids[0]}")
                page.get_by_role("heading", name=re.compile("^Post by")).wait_for()
        with timed("toot posts"):
            assert "Toot posted" in toot.run("post", "From a terminal, in the storm")
        with timed("toot reads its home timeline"):
            assert "From a terminal, in the storm" in toot.run("timeline", "--once")
        with timed("toot reads notifications"):
            toot.run("notifications")
        with timed("a feed reader reads"):
            assert len(read_by_a_reader(base_url, feed)["items"]) == 20
        middle = attacked.attacks()
    last_s = int(max(one.t for one in middle))
    sent, refused = sum(one.sent for one in middle), sum(one.refused for one in middle)
    for what, seconds in took.items():
        print(f"{what}: {seconds:.2f} s")
    print(f"the flood: {sent} requests in {last_s} s, {refused} of them refused")
    # The attack was real: thousands of requests a second, reported by the shield, and many of them refused.
    assert sent / last_s > 1000
    assert refused > 1000
    assert status["onset_epoch_s"] > 0, status
