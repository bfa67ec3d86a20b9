"""A browser, toot and a feed reader behind each front, with TLS, in the middle of three times the storm.

make prove runs it: 40 s for each front.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stormpetrel.drill import community, place
from stormpetrel.drill.attackers import AttackPlan
from stormpetrel.drill.scenario import Phase
from stormpetrel.proxies.site import EDGE_SETTINGS
from tests.api.toot_client import Toot
from tests.deploy.fronts import PROXIES, Front, a_front
from tests.drill.prepared import setting
from tests.feed_reader import read_by_a_reader

pytestmark = [pytest.mark.prove, pytest.mark.timeout(300)]

# The real clients look their server's name up, and this is the one that needs no name server.
NAMES = ("localhost", "status.localhost")
ATTACKS = (("A2", 3.0), ("A3", 3.0), ("A4", 3.0))
STORM_S = 40.0
CLIENTS = 8_000
"""Connections that the front accepts at once; the attackers keep theirs open."""
LEAST_ATTACKS_PER_S = 100
"""Requests of the attackers, from which it is a storm. TLS handshakes bound them (drill/tls.py)."""


@pytest.fixture(params=PROXIES)
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Front, place.Place]]:
    """Yield each installed front in front of an instance whose members are weeks old."""
    ready = setting()
    # The front's port is known only once it runs; the server uses its own name for links.
    settings = {
        "public_url": f"https://{NAMES[0]}",
        "status_public_url": f"https://{NAMES[1]}",
        **{f"edge_{key}": value for key, value in EDGE_SETTINGS[request.param].items()},
        "web_workers": 2,
    }
    with (
        place.running(
            ready.prepared,
            tmp_path / "there",
            command=ready.command,
            environment=ready.environment,
            settings=settings,
        ) as there,
        a_front(
            request.param,
            tmp_path / "front",
            edge_port=there.web.port,
            status_port=there.status.port,
            names=NAMES,
            connections=CLIENTS,
        ) as running,
    ):
        yield running, there


@contextlib.contextmanager
def storm(front: Front, there: place.Place, directory: Path) -> Iterator[Path]:
    """Run the attackers' process; yield the file of what they sent, by second and vector."""
    sent = directory / "attacks.jsonl"
    plan = AttackPlan(
        "127.0.0.1",
        front.port,
        NAMES[0],
        str(setting().community),
        (Phase("storm", 0.0, STORM_S, ATTACKS),),
        1,
        0.0,
        200_000,
        STORM_S,
        {},
        there.sms.port,
        str(front.certificate),
    )
    (directory / "plan.json").write_text(plan.to_json(), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "stormpetrel.drill.attackers", directory / "plan.json", sent],
        stdin=subprocess.DEVNULL,
    )
    try:
        yield sent
    finally:
        process.terminate()
        process.wait()


def attacks_sent(path: Path) -> int:
    """Return how many requests the attackers have sent so far."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return sum(json.loads(line)["sent"] for line in lines)


def test_a_browser_toot_and_a_feed_reader_are_served_in_the_storm(front, browser, tmp_path, monkeypatch):
    front, there = front
    base_url = f"https://{NAMES[0]}:{front.port}"
    people = community.load(setting().community, https=True)
    owner = next(one for one in people.members if one.kind == "own")
    reader = next(one for one in people.members if one.kind == "web" and one.session)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        monkeypatch.setenv(name, str(front.certificate))
    toot = Toot(tmp_path / "toot")
    toot.environ |= {name: str(front.certificate) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
    toot.has_signed_in(base_url, owner.name, owner.token)
    context = browser.new_context(ignore_https_errors=True)
    context.add_cookies(
        [{"name": people.cookies["session"], "value": reader.session, "url": base_url, "secure": True}]
    )
    page = context.new_page()
    number = iter(range(1000))

    def opens_home() -> None:
        answer = page.goto(f"{base_url}/?turn={next(number)}", wait_until="load", timeout=20_000)
        assert answer.status == 200
        assert urlsplit(page.url).path == "/"
        assert page.locator("textarea").count(), "the page of a visitor"

    def posts_and_reads() -> None:
        post = toot.json("post", f"Still here {next(number)}")
        shown = toot.json("timelines", "home")
        assert post["id"] in {one["id"] for one in shown}

    def reads_feed() -> None:
        assert read_by_a_reader(base_url, f"/@{people.victim.name}/feed.atom")["items"]

    done: dict[str, list[float]] = {}

    def timed(act: Callable[[], None]) -> None:
        began_s = time.monotonic()
        act()
        done.setdefault(act.__name__, []).append(round(time.monotonic() - began_s, 2))

    acts = (opens_home, posts_and_reads, reads_feed)
    for act in acts:
        act()
    with storm(front, there, tmp_path) as sent:
        while not attacks_sent(sent):
            time.sleep(0.1)
        until_s = time.monotonic() + STORM_S - 5.0
        while time.monotonic() < until_s:
            for act in acts:
                timed(act)
        attacks = attacks_sent(sent)
    context.close()
    print(f"{front.name}: {attacks} requests of attackers; seconds of each act: {done}")
    assert attacks >= LEAST_ATTACKS_PER_S * (STORM_S - 5.0)
    assert all(len(times) >= 3 for times in done.values())
