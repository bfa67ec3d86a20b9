"""The audience of a running server: from the requests of visitors to the numbers of the command."""

from __future__ import annotations

import http.client
import json
import shlex
import shutil
import time
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from stormpetrel.audience.periods import periods_at
from stormpetrel.storage.audience_folder import AudienceFolder
from tests.instance import running_instance
from tests.repository import ROOT
from tests.waiting import eventually
from tools import try_install

STORED_S = 6.0
"""Counts are on the disk after this time."""
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(scope="module")
def instance(sqlite_template, tmp_path_factory):
    directory = tmp_path_factory.mktemp("audience")
    url = f"sqlite:///{shutil.copy(sqlite_template, directory / 'stormpetrel.db')}"
    with running_instance(
        directory, url, web_workers=2, edge_trusted_proxies="127.0.0.1", web_host="127.0.0.1"
    ) as running:
        eventually(lambda: len(list((directory / "data" / "audience").glob("*.key"))) == 3)
        yield running


class Browser:
    """A browser behind a proxy that names its address. It returns its cookies, unless it blocks them."""

    def __init__(self, instance, address, *, agent=FIREFOX, blocks_cookies=False, headers=()):
        self._host = urlsplit(instance.base_url).netloc
        self.address = address
        self._agent = agent
        self._blocks = blocks_cookies
        self._headers = dict(headers)
        self._cookies = {}

    def get(self, path, referrer=None):
        headers = {"User-Agent": self._agent, "X-Forwarded-For": self.address, **self._headers}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if referrer:
            headers["Referer"] = referrer
        with closing(http.client.HTTPConnection(self._host, timeout=30)) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
        for line in answer.headers.get_all("set-cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            if not self._blocks:
                self._cookies[name] = value
        return answer.status

    def visit(self):
        """View a page with its stylesheet, then another page."""
        self.get("/about")
        self.get("/assets/app.css")
        self.get("/public", referrer=f"http://{self._host}/about")


def numbers(instance):
    """Return the numbers of the running month, as the command prints them."""
    done = instance.run_cli("audience", "--json")
    rows = json.loads(done.stdout)
    return rows[-1]["numbers"] if rows else {}


def test_visitors_of_every_worker_are_counted_once(instance):
    people = [Browser(instance, f"198.51.100.{number}") for number in range(1, 21)]
    for _ in range(2):
        for one in people:
            one.visit()
    eventually(lambda: numbers(instance).get("visitors/web", 0), lambda count: count >= 15, within_s=90)
    found = numbers(instance)
    assert found["visitors/web"] == found["visitors/all"]
    assert abs(found["visitors/web"] - 20) <= 5  # the filling hides a few of a small number


def test_every_command_of_the_page_about_the_audience_works(instance):
    page = (ROOT / "docs" / "audience.md").read_text(encoding="utf-8")
    commands = [command for found in try_install.commands(page).values() for _, command in found]
    assert len(commands) >= 5
    for command in commands:
        program, *arguments = shlex.split(command, comments=True)
        assert program == "stormpetrel"
        assert instance.run_cli(*arguments).stdout


def test_an_app_and_a_crawler_count_as_what_they_are_and_the_canaries_not_at_all(instance):
    before = numbers(instance)
    for _ in range(3):
        Browser(instance, "203.0.113.5", agent="Googlebot/2.1").get("/about")
        Browser(instance, "203.0.113.6", headers={"Sec-GPC": "1"}).get("/about")
    found = eventually(
        lambda: numbers(instance),
        lambda found: found.get("requests/opted_out", 0) - before.get("requests/opted_out", 0) == 3,
    )
    assert found["requests/programs"] - before.get("requests/programs", 0) == 3
    # The canaries have asked the web, apps and feeds since the start.
    assert found["visitors/apps"] == found["visitors/feeds"] == found["visitors/members"] == 0


def test_a_worker_that_is_killed_costs_no_visitor_that_was_reported(instance):
    """The last test of the file: it stops the instance."""
    people = [Browser(instance, f"192.0.2.{number}") for number in range(1, 101)]
    before = numbers(instance).get("visitors/web", 0)
    for one in people:
        one.visit()
    # The numbers are published every 15 s, and the filling hides a few.
    eventually(lambda: numbers(instance)["visitors/web"] - before, lambda new: new >= 88, within_s=90)
    time.sleep(STORED_S)
    instance.kill()
    instance.start()
    folder = AudienceFolder(instance.directory / "data")
    assert {period.name for period in periods_at(time.time())} <= set(folder.periods())
    for one in people:
        one.visit()
    found = eventually(lambda: numbers(instance), lambda found: found["known_by/cookie"] >= 200, within_s=60)
    assert found["visitors/web"] - before == pytest.approx(100, abs=12)
