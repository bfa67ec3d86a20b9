"""A server with a guard in a network namespace, flooded from another: from the request to the dropped packet."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from stormpetrel.shield.prefixes import DAY_S, prefix_of
from stormpetrel.storage.journal import FILE_NAME, Journal, Networks
from tests.guard.listing import PORT, a_guard, connects
from tests.guard.networks import LISTED, OTHER, SERVER, two_machines
from tests.instance import STORMPETREL, prepared_instance
from tests.waiting import eventually

FLOOD = f"""
import socket, sys, time
source, times = sys.argv[1:]
def ask():
    with socket.create_connection(("{SERVER}", {PORT}), 1, (source, 0)) as sock:
        sock.sendall(b"GET /api/v1/timelines/home HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
        return sock.recv(4096).split()[1]
answers = []
try:
    for _ in range(int(times)):
        answers.append(ask())
        time.sleep(0.02)
except TimeoutError:
    pass
print(answers.count(b"429"), len(answers))
"""
"""Insists on a page, `times` times or until it cannot connect; prints how often it was refused, and answered."""
NEIGHBOUR = "45.90.7.7"
"""An address in a network where an account was active."""
MOST = 2_000


@pytest.mark.timeout(180)
def test_a_source_that_never_waits_is_dropped_and_freed_by_a_pause(tmp_path, sqlite_url):
    with (
        two_machines(clients=(LISTED, OTHER, NEIGHBOUR)) as (server, client),
        prepared_instance(
            tmp_path,
            sqlite_url,
            public_url="https://birds.example",
            web_host=SERVER,
            web_port=PORT,
            web_workers=1,
            shield_requests_per_5min=20,
        ) as instance,
    ):
        data_dir = tmp_path / "data"
        # As a watch that was restarted in an attack, which goes on until a minute has been calm.
        journal = Journal(data_dir / FILE_NAME)
        journal.set_fact("onset_ms", int(time.time() * 1000))
        journal.see_networks(Networks.KNOWN, [(prefix_of(NEIGHBOUR), int(time.time() // DAY_S) - 1)])
        journal.close()
        log = open(tmp_path / "serve.log", "w")  # noqa: SIM115 - closed with the process
        process = server.start(
            *STORMPETREL, "serve", env=instance.environ, cwd=tmp_path, stdout=log, stderr=log
        )
        try:
            with a_guard(server, data_dir):
                status = lambda: json.loads(instance.run_cli("shield", "status", "--json").stdout)  # noqa: E731
                eventually(lambda: (data_dir / "watch.sock").exists())
                eventually(lambda: connects(client, OTHER, SERVER))
                eventually(status, lambda found: found["guard"]["is_running"] and found["onset_epoch_s"])
                neighbour = client.start(
                    sys.executable, "-c", FLOOD, NEIGHBOUR, "400", stdout=subprocess.PIPE
                )
                flood = client.run(sys.executable, "-c", FLOOD, LISTED, MOST).stdout.split()
                refused, answered = map(int, flood)
                assert 20 <= refused < answered < MOST
                assert not connects(client, LISTED, SERVER)
                assert connects(client, OTHER, SERVER)
                assert status()["guard"]["listed"] == 1
                shown = instance.run_cli("shield", "status").stdout
                assert "guard    blocks 1 source in the kernel (" in shown
                assert (
                    "blocked in the kernel by the guard until"
                    in instance.run_cli("shield", "why", LISTED).stdout
                )
                assert "blocked" not in instance.run_cli("shield", "why", OTHER).stdout
                instance.run_cli("shield", "pause", "--for", "1m")
                eventually(lambda: connects(client, LISTED, SERVER))
                assert (
                    "guard    blocks nothing: the shield is paused"
                    in instance.run_cli("shield", "status").stdout
                )
                texts = eventually(
                    lambda: [
                        one["text"]
                        for one in json.loads(
                            instance.run_cli("shield", "journal", "--kind", "guard", "--json").stdout
                        )
                    ],
                    lambda found: any("withdrew 1" in text for text in found),
                )
                assert texts[0] == "the guard is connected"
                assert "lists no sources: the shield is paused" in texts
                # As rude as the other, but people share its network.
                refused, answered = map(int, neighbour.communicate(timeout=60)[0].split())
                assert refused > 200
                assert answered == 400
        finally:
            process.terminate()
            process.wait(30)
            log.close()
