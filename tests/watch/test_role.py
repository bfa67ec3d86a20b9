"""The watch of a running server: its observations, its immediate actions, and that the server works without
it.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import urllib.error
import urllib.request

import pytest

from tests.cli.conftest import rows
from tests.instance import Instance, prepared_instance, running_instance
from tests.ports import reserved_ports
from tests.processes import named
from tests.waiting import eventually

TIMEOUT_S = 30.0
UNCACHED = "/api/v1/streaming/health"
"""Cached answers are served to all clients, also to denied ones: that is cheaper than a refusal."""
EFFECT_S = 2.0
"""An operator's command takes effect within this time."""
CHANNELS = {"web", "apps", "posting", "streaming", "sign_in", "media", "feeds"}
CANARIES = CHANNELS | {"web_visitor", "sign_in_visitor"}


@pytest.fixture(scope="module")
def instance(sqlite_template, tmp_path_factory):
    directory = tmp_path_factory.mktemp("watched")
    url = f"sqlite:///{shutil.copy(sqlite_template, directory / 'stormpetrel.db')}"
    with running_instance(directory, url, web_workers=2) as running:
        running.database_url = url
        eventually(lambda: figures(running)["stormpetrel_workers"] == 2)
        yield running


def fetch(url):
    """Return (status, headers, body) of a GET that ignores the environment's proxies."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


def ask_from(source, instance, path, token=""):
    """Return the raw answer to a GET from one of our own addresses."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    port = int(instance.base_url.rpartition(":")[2])
    with socket.socket() as client:
        client.settimeout(TIMEOUT_S)
        client.bind((source, 0))
        client.connect(("127.0.0.1", port))
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}\r\n"
        client.sendall(head.encode())
        answer = b""
        while data := client.recv(65_536):
            answer += data
    return answer.decode()


def figures(instance):
    _, headers, text = fetch(f"{instance.status_url}/metrics")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def status(instance):
    return json.loads(instance.run_cli("shield", "status", "--json").stdout)


def journal(instance, kind):
    found = json.loads(instance.run_cli("shield", "journal", "--json", "--kind", kind).stdout)
    return [entry["text"] for entry in found]


def canary_counts(instance):
    pattern = re.compile(r'stormpetrel_canaries_total\{channel="(\w+)",outcome="(\w+)"\}')
    return {match.groups(): n for name, n in figures(instance).items() if (match := pattern.match(name))}


def all_well(instance):
    return {
        channel for (channel, outcome), count in canary_counts(instance).items() if outcome == "ok" and count
    } == CANARIES


def test_every_channel_is_tried_through_the_front_door_and_found_well(instance):
    eventually(lambda: all_well(instance))
    assert {outcome for _, outcome in canary_counts(instance)} == {"ok"}
    found = figures(instance)
    assert {found[f'stormpetrel_canary_ok{{channel="{channel}"}}'] for channel in CANARIES} == {1}


def test_the_page_of_its_port_says_how_each_channel_was_found(instance):
    eventually(
        lambda: (
            json.loads(fetch(f"{instance.status_url}/api/v2/status.json")[2])["status"]["indicator"] == "none"
        )
    )
    status, headers, body = fetch(f"{instance.status_url}/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert body.count(">Operational</b>") == len(CHANNELS)
    assert "default-src 'none'" in headers["content-security-policy"]


def test_canaries_wait_in_the_classes_of_people_and_are_counted_apart_from_them(instance):
    def classes():
        return {name for name, row in status(instance)["classes"].items() if row.get("served", 0) > 0}

    # A member's writes, reads and sign-in, and a new visitor's requests.
    assert eventually(classes, lambda found: found >= {"K0", "K1", "K2", "K3"})
    assert "posting" not in status(instance)["channels"]


def test_canaries_leave_nothing_that_people_see(instance):
    eventually(lambda: all_well(instance))
    for table in ("accounts", "posts", "sessions", "notifications"):
        assert rows(instance.database_url, f"SELECT count(*) FROM {table}") == [(0,)]
    assert rows(instance.database_url, "SELECT name FROM applications") == [("Canaries",)]
    # The watch's own token, and for a moment the one that the canary creates and revokes.
    tokens = rows(instance.database_url, "SELECT account_id FROM tokens")
    assert set(tokens) == {(None,)}
    eventually(lambda: len(rows(instance.database_url, "SELECT id FROM tokens")) == 1)
    assert json.loads(fetch(f"{instance.base_url}/api/v1/instance")[2])["stats"]["user_count"] == 0


def test_a_deny_holds_within_two_seconds_and_until_it_is_taken_back(instance):
    source, path = "127.0.0.77", UNCACHED
    assert ask_from(source, instance, path).startswith("HTTP/1.1 200 ")
    instance.run_cli("shield", "deny", source, "--for", "10m", "--reason", "a test")

    def is_refused(answer):
        return answer.startswith("HTTP/1.1 429 ")

    answers = [eventually(lambda: ask_from(source, instance, path), is_refused, EFFECT_S) for _ in range(2)]
    for answer in answers:
        assert "\r\nretry-after: " in answer.lower()
        assert answer.endswith('{"error": "Too many requests"}')
    assert ask_from("127.0.0.78", instance, path).startswith("HTTP/1.1 200 ")
    why = instance.run_cli("shield", "why", source).stdout
    assert why.count("\n") == 1
    assert "denied until" in why
    assert "(a test)" in why
    instance.run_cli("shield", "deny", source, "--undo")
    eventually(lambda: ask_from(source, instance, path), lambda a: a.startswith("HTTP/1.1 200 "), EFFECT_S)


def test_a_watch_that_is_killed_is_missed_by_nobody_and_comes_back_with_what_was_said(instance):
    instance.run_cli("shield", "deny", "127.0.0.79", "--for", "10m", "--reason", "outlives")
    (before,) = named(instance.pid, "petrel-watch")
    os.kill(before, signal.SIGKILL)
    for _ in range(20):
        assert fetch(f"{instance.base_url}/api/v1/timelines/public")[0] == 200
    eventually(lambda: named(instance.pid, "petrel-watch"), lambda now: now and now != [before])
    instance.wait_for_health(instance.status_url)
    eventually(lambda: figures(instance)["stormpetrel_workers"] == 2)
    eventually(lambda: all_well(instance))
    assert [entry["value"] for entry in status(instance)["denied"]] == ["127.0.0.79"]
    assert ask_from("127.0.0.79", instance, UNCACHED).startswith("HTTP/1.1 429 ")
    instance.run_cli("shield", "deny", "127.0.0.79", "--undo")


def test_a_worker_that_is_killed_is_written_down_and_directed_again(instance):
    eventually(lambda: figures(instance)["stormpetrel_workers"] == 2)
    instance.run_cli("shield", "deny", "127.0.0.80", "--for", "10m", "--reason", "for the new one too")
    (before,) = named(instance.pid, "petrel-web-1")
    os.kill(before, signal.SIGKILL)
    eventually(
        lambda: journal(instance, "worker"),
        lambda texts: any("worker web-1 was restarted" in text for text in texts),
    )
    assert figures(instance)["stormpetrel_worker_restarts_total"] >= 1

    def versions():
        return [worker["directions_version"] for worker in status(instance)["workers"]]

    eventually(versions, lambda found: len(found) == 2 and all(found))
    for _ in range(20):
        assert ask_from("127.0.0.80", instance, UNCACHED).startswith("HTTP/1.1 429 ")
    instance.run_cli("shield", "deny", "127.0.0.80", "--undo")


def test_a_full_disk_costs_the_journal_and_nothing_else(instance):
    eventually(lambda: all_well(instance))
    (watch,) = named(instance.pid, "petrel-watch")
    limits = resource.prlimit(watch, resource.RLIMIT_FSIZE)
    # The kernel refuses to let the watch's files grow. The workers are not affected.
    resource.prlimit(watch, resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        said = instance.run_cli("shield", "deny", "127.0.0.81", "--for", "10m", "--reason", "x").stdout
        assert "the journal is not writable" in said
        eventually(lambda: ask_from("127.0.0.81", instance, UNCACHED), lambda a: " 429 " in a, EFFECT_S)
        assert figures(instance)["stormpetrel_journal_ok"] == 0
        assert status(instance)["journal_problem"]
        failed = {channel for (channel, outcome) in canary_counts(instance) if outcome != "ok"}
        assert failed == set()
    finally:
        resource.prlimit(watch, resource.RLIMIT_FSIZE, limits)
    instance.run_cli("shield", "deny", "127.0.0.81", "--undo")
    eventually(lambda: figures(instance)["stormpetrel_journal_ok"] == 1)
    # The entry that could not be written then has now been written.
    eventually(lambda: [text for text in journal(instance, "deny") if text.endswith(": x")])
    assert named(instance.pid, "petrel-watch") == [watch]


def test_nobody_but_the_owner_can_use_the_socket_or_read_the_journal(instance):
    data_dir = instance.directory / "data"
    for name in ("watch.sock", "journal.sqlite"):
        assert (data_dir / name).stat().st_mode & 0o777 == 0o600


def test_the_journal_holds_no_token(instance):
    instance.run_cli("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough")
    token = instance.run_cli("token", "Nino").stdout.strip()
    said = instance.run_cli("shield", "deny", token, "--for", "10m", "--reason", "stolen").stdout
    why = instance.run_cli("shield", "why", token).stdout
    assert "of @Nino by 'Command line'" in why
    unknown = instance.run_cli("shield", "why", "A" * 43).stdout
    instance.run_cli("shield", "deny", token, "--undo")
    eventually(lambda: len(journal(instance, "undo")))
    raw = sqlite3.connect(instance.directory / "data" / "journal.sqlite")
    kept = "\n".join(raw.iterdump())
    raw.close()
    for text in (said, why, unknown, kept, instance.log):
        assert token not in text
        assert "A" * 43 not in text


def test_canaries_begin_as_a_proxy_does_where_the_port_expects_one(tmp_path, sqlite_url):
    keys = {"edge_trusted_proxies": "127.0.0.1", "edge_proxy_protocol": "true", "web_workers": 1}
    with prepared_instance(tmp_path, sqlite_url, **keys) as behind:
        # Wait on the status port: the web port serves only clients that begin with a PROXY header.
        behind.base_url = behind.status_url
        behind.start()
        eventually(lambda: all_well(behind))
        assert {outcome for _, outcome in canary_counts(behind)} == {"ok"}
        behind.stop()


def test_networks_of_people_are_kept_without_their_addresses(instance):
    instance.run_cli("user", "add", "Lomi", "--email", "lomi@example.org", "--password", "long enough")
    token = instance.run_cli("token", "Lomi").stdout.strip()

    def known():
        # Repeat: a worker knows the token from the second request on.
        ask_from("127.0.50.7", instance, "/api/v1/accounts/verify_credentials", token)
        raw = sqlite3.connect(instance.directory / "data" / "journal.sqlite")
        try:
            return [prefix for (prefix,) in raw.execute("SELECT prefix FROM prefixes")]
        finally:
            raw.close()

    assert "127.0.50.0/24" in eventually(known, lambda prefixes: "127.0.50.0/24" in prefixes)
    assert not [prefix for prefix in known() if "127.0.50.7" in prefix]


def test_alone_it_answers_and_says_what_it_sees(tmp_path, sqlite_url):
    with prepared_instance(tmp_path, sqlite_url) as alone:
        alone.start("--role", "watch")
        assert fetch(f"{alone.status_url}/health")[2] == '{"status":"ok"}'

        def failing():
            return {one["channel"] for one in status(alone)["canaries"] if one["outcome"] == "failed"}

        eventually(failing, lambda found: found == CHANNELS)
        assert status(alone)["workers"] == []
        assert figures(alone)["stormpetrel_workers"] == 0
        alone.stop()
        refused = alone.run_cli("shield", "status", expect_exit=3)
        assert "the watch role is not running" in refused.stderr


def test_workers_of_another_supervisor_find_it(tmp_path, sqlite_url):
    with prepared_instance(tmp_path, sqlite_url, web_workers=1) as web, reserved_ports(4) as ports:
        web.start("--role", "web")
        watch = Instance(web.directory, web.environ, ports)
        watch.status_url = web.status_url
        try:
            watch.start("--role", "watch")
            eventually(lambda: figures(watch)["stormpetrel_workers"] == 1)
            eventually(lambda: all_well(watch))
            watch.stop()
        finally:
            watch.kill()
        assert fetch(f"{web.base_url}/health")[0] == 200
        web.stop()
