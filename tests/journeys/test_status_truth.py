"""The status page tells the truth: each channel fails alone on it, and it is there when everything else is not."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import xml.etree.ElementTree as ET

import pytest

from stormpetrel.config_loader import load
from stormpetrel.model.access import new_token, secret_hash
from stormpetrel.process import secret
from stormpetrel.rules import access
from stormpetrel.shield import cookies
from tests.broken_channels import (
    BREAKS,
    WEB,
    all_others_stopped,
    channels_not_green,
    fetch,
    in_use,
    lost_table,
)
from tests.forms import SESSION_COOKIE
from tests.gateway.phones import route_settings
from tests.instance import running_instance
from tests.people import now_ms, place_of
from tests.waiting import eventually


@pytest.fixture(scope="module")
def instance(sqlite_template, tmp_path_factory):
    directory = tmp_path_factory.mktemp("truth")
    url = f"sqlite:///{shutil.copy(sqlite_template, directory / 'stormpetrel.db')}"
    settings = route_settings(tmp_path_factory.mktemp("drop")) | {"web_workers": 2}
    with running_instance(directory, url, **settings) as running:
        eventually(lambda: channels_not_green(running), lambda found: found == {})
        yield running


@pytest.mark.parametrize("broken", BREAKS, ids=lambda one: one.name)
def test_exactly_the_broken_channels_turn_and_come_back(instance, broken):
    eventually(lambda: channels_not_green(instance), lambda found: found == {})
    with broken.begin(instance):
        found = eventually(lambda: channels_not_green(instance), lambda found: set(found) == broken.channels)
        assert not set(found.values()) & {"unknown", "under_maintenance"}
        # No other channel follows while it lasts.
        for _ in range(3):
            assert set(channels_not_green(instance)) == broken.channels
        page = fetch(f"{instance.status_url}/")[1].decode()
        rows = dict(re.findall(r'<b class="\w">([^<]*)</b><h3>([^<]*)</h3>', page))
        assert "All systems operational" not in page
        assert rows
    eventually(lambda: channels_not_green(instance), lambda found: found == {})


@pytest.fixture(scope="module")
def place(instance):
    with place_of(instance, instance.environ["STORMPETREL_DATABASE_URL"]) as running:
        yield running


KNOWN_FOR_MS = 2 * 86_400_000
"""Age of the readers' credentials. The page is about known people. A worker of a busy machine that sees an overload
within 30 s of its start takes only people from a day before for known (shield/overload.py, LATE_S)."""


def reading_lists(place, channel):
    """Return a use of lists in a channel: by a browser, by an app that may only read lists, or by a stream of one."""
    person = place.person("reader")
    since_ms = now_ms() - KNOWN_FOR_MS

    def client_of(application_id, *scopes):
        token = new_token(lambda: secrets.token_urlsafe(32))
        place.write(
            access.create_token,
            account_id=person.id,
            application_id=application_id,
            scopes=scopes,
            token_hash=secret_hash(token),
            now_ms=since_ms,
        )
        return place.client(token)

    if channel == "Web pages":
        session_id = place.write(access.start_session, account_id=person.id, now_ms=since_ms)
        cookie = cookies.mint(
            secret.load(load(None, place.instance.environ).config),
            session_id=session_id,
            account_id=person.id,
            issued_at_s=since_ms // 1000,
        )
        browser = place.client()
        browser.cookies.set(SESSION_COOKIE, cookie)
        return lambda: browser.get("/lists")
    if channel == "Live updates":
        listener = client_of(None, "read")
        return lambda: listener.get("/api/v1/streaming/list", params={"list": "1"})
    app = place.visitor.post(
        "/api/v1/apps",
        data={"client_name": "Lister", "redirect_uris": "urn:ietf:wg:oauth:2.0:oob", "scopes": "read:lists"},
    ).json()
    lister = client_of(int(app["id"]), "read:lists")
    return lambda: lister.get("/api/v1/lists")


@pytest.mark.parametrize("channel", ["Web pages", "Live updates", "Apps"])
def test_a_channel_whose_people_get_errors_turns_alone_although_its_canary_is_well(instance, place, channel):
    eventually(lambda: channels_not_green(instance), lambda found: found == {})
    with in_use(reading_lists(place, channel)):
        if channel == "Apps":
            # Apps are named once they are in use.
            eventually(lambda: 'application="Lister"' in fetch(f"{instance.status_url}/metrics")[1].decode())
        assert channels_not_green(instance) == {}
        with lost_table(instance, "lists"):
            eventually(lambda: channels_not_green(instance), lambda found: set(found) == {channel})
            for _ in range(3):
                assert set(channels_not_green(instance)) == {channel}
            # The channel turns by more counts than the application, which may follow some seconds later.
            page = eventually(
                lambda: fetch(f"{instance.status_url}/")[1].decode(),
                lambda page: ("Apps affected: Lister" in page) is (channel == "Apps"),
            )
            rows = re.findall(r'<b class="\w+">([^<]*)</b><h3>([^<]*)</h3>', page)
            assert {name for state, name in rows if state != "Operational"} == {channel}
            ET.fromstring(fetch(f"{instance.status_url}/history.atom")[1])
    eventually(lambda: channels_not_green(instance), lambda found: found == {})


def test_the_page_is_there_while_every_other_process_is_stopped(instance):
    with all_others_stopped(instance):
        found = eventually(
            lambda: channels_not_green(instance), lambda found: set(found) == WEB | {"SMS in", "SMS out"}
        )
        assert set(found.values()) == {"major_outage"}
        summary = json.loads(fetch(f"{instance.status_url}/api/v2/summary.json")[1])
        assert summary["status"] == {"indicator": "critical", "description": "Major outage"}
        for path in ("/", "/history", "/badge.svg", "/badge/web.svg", "/metrics", "/health"):
            assert fetch(f"{instance.status_url}{path}")[0] == 200, path
        ET.fromstring(fetch(f"{instance.status_url}/history.atom")[1])
        # The operator's words need no other process, and no database.
        instance.run_cli(
            "incident", "start", "Everything is stopped", "--text", "We know.", "--impact", "critical"
        )
        eventually(lambda: b"Everything is stopped" in fetch(f"{instance.status_url}/")[1])
    eventually(lambda: channels_not_green(instance), lambda found: found == {})
