"""The audience of a running server: from the requests of visitors to the numbers of the command."""

from __future__ import annotations

import http.client
import json
import shutil
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.instance import running_instance
from tests.waiting import eventually

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
    """Return the numbers of the running day, as the command prints them."""
    done = instance.run_cli("audience", "--by", "day", "--json")
    rows = json.loads(done.stdout)
    return rows[-1]["numbers"] if rows else {}


def test_visitors_of_every_worker_are_counted_once(instance):
    people = [Browser(instance, f"198.51.100.{number}") for number in range(1, 21)]
    for _ in range(2):
        for one in people:
            one.visit()
    eventually(lambda: numbers(instance).get("visitors/web", 0) >= 17, within_s=60)
    found = numbers(instance)
    assert found["visitors/web"] == found["visitors/all"]
    assert abs(found["visitors/web"] - 20) <= 3  # the filling hides a few of a small number
