"""A flood against a running server: the watch names it, records it, and continues after kill -9."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import sqlite3
import threading
import time
import urllib.request

import pytest

from stormpetrel.storage.attack_record import FILE_NAME, read_attacks
from stormpetrel.watch.phases.usual import FLOOR, LEARNT_S
from tests.instance import running_instance
from tests.processes import named
from tests.waiting import eventually

SOURCES = 5
PER_S = 40
"""Of each source, at most."""
AT_ONCE = 4
"""Connections of each source: on a busy machine an answer takes long."""


@pytest.fixture(scope="module")
def instance(sqlite_template, tmp_path_factory):
    directory = tmp_path_factory.mktemp("attacked")
    url = f"sqlite:///{shutil.copy(sqlite_template, directory / 'stormpetrel.db')}"
    with running_instance(directory, url, web_workers=1) as running:
        yield running


@contextlib.contextmanager
def a_flood(instance):
    """Request a page from a few addresses until the block ends.

    The page is in memory. Of pages that are rendered, a server beside other tests may answer fewer than four a second
    to each address, and then none is called a heavy sender.
    """
    stop = threading.Event()
    port = int(instance.base_url.rpartition(":")[2])

    def send(number):
        # On a busy machine requests fail, and opening connections in a loop would be another attack.
        while not stop.wait(AT_ONCE / PER_S):
            with contextlib.suppress(OSError, http.client.HTTPException):
                source = (f"127.88.{number}.1", 0)
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=source)
                with contextlib.closing(client):
                    while not stop.is_set():
                        client.request("GET", "/public", headers={"User-Agent": "curl/8"})
                        client.getresponse().read()
                        stop.wait(AT_ONCE / PER_S)

    numbers = [*range(SOURCES)] * AT_ONCE
    threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in numbers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)


def recorded(instance):
    return read_attacks(instance.directory / "data" / FILE_NAME, from_ms=0, until_ms=2**52)


def status(instance):
    return json.loads(instance.run_cli("shield", "status", "--json").stdout)


def journal(instance):
    """Return the text of the last note about a phase; "" without any."""
    notes = json.loads(instance.run_cli("shield", "journal", "--json", "--kind", "phase").stdout)
    return notes[0]["text"] if notes else ""


def test_an_attack_is_named_recorded_and_continued_after_the_watch_was_killed(instance):
    # The usual traffic: only canaries. Nothing is written of it.
    threading.Event().wait(LEARNT_S + 4)
    assert not (instance.directory / "data" / FILE_NAME).exists()
    with a_flood(instance):
        named_s = time.time()
        phase = eventually(
            lambda: status(instance)["phase"],
            lambda phase: phase is not None and phase["vectors"] == ["few_sources"],
            # On a busy machine the flood is too small to be one for a while.
            120,
        )
        assert phase["verdict"] == "attack"
        assert abs(phase["began_epoch_s"] - named_s) < 5
        assert "attack: flood from few sources" in instance.run_cli("shield", "status").stdout
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{instance.status_url}/metrics", timeout=30) as answer:
            assert b'stormpetrel_phase{verdict="attack"} 1' in answer.read()
        # A killed watch may lose the last two seconds of its journal.
        eventually(lambda: "few sources" in journal(instance))
        (watch,) = named(instance.pid, "petrel-watch")
        os.kill(watch, signal.SIGKILL)
        killed_s = time.time()
        eventually(lambda: any(one.at_s > killed_s + 2 for one in recorded(instance).moments))
    found = recorded(instance)
    # One attack, whose seconds until the kill are all there but the last two.
    (span,) = found.spans
    assert span.ended_ms == 0
    assert max(one.at_s for one in found.moments if one.at_s <= killed_s) >= killed_s - 2
    assert {phase.attack for phase in found.phases} == {span.number}
    assert min(one.at_s for one in found.moments) < span.onset_ms / 1000 - 5
    worst = max(found.moments, key=lambda one: one.features.get("few_per_s", 0.0))
    # With fewer it would have no name.
    assert worst.agents["program"] > FLOOR
    assert worst.sources["new_network"] > FLOOR
    # The file can be read with SQLite and JSON alone, and names no address.
    raw = sqlite3.connect(instance.directory / "data" / FILE_NAME)
    rows = raw.execute("SELECT json_extract(body, '$.requests') FROM moments").fetchall()
    text = "\n".join(raw.iterdump())
    raw.close()
    assert len(rows) == len(found.moments)
    assert "127.88." not in text
    assert "few sources" in journal(instance)
