"""After a period is over, nothing on the disk or in memory shows who was there."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import random
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stormpetrel.audience.counter import KEY_BYTES, NAMES, UNMARKED
from stormpetrel.audience.periods import period_named
from stormpetrel.audience.sketch import PACKED_BYTES, place, unpacked
from stormpetrel.storage.audience import load_numbers
from stormpetrel.storage.audience_folder import AudienceFolder
from tests.waiting import eventually

PROCESS = Path(__file__).with_name("audience_process.py")
MONTH = period_named("2026-11")
VISITORS = 300
AFTERWARDS = 2000
"""Requests of other visitors in the next month, as on any server that goes on."""
OVERWRITES = {
    "PYTHONMALLOC": "malloc",
    "MALLOC_PERTURB_": "165",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
}
"""glibc overwrites memory that Python gives back, so the test finds only data that is kept. Otherwise bytes of some
visitors stay until another request happens to be stored at the same place."""
AGENT_TRACE = re.compile(rb"Visitor(\d{5})")
"""One pass over a process's memory finds all of them; a search for each of them took a minute."""
ADDRESS_TRACE = re.compile(rb"198\.51\.[01]\.\d")
"""No address but one of `address_of` begins like this."""


class Running:
    """A process of the test. `port`: where it serves."""

    def __init__(self, kind, data_dir, url, now_s):
        self._process = subprocess.Popen(
            [sys.executable, PROCESS, kind, data_dir, url, str(now_s)],
            env=os.environ | OVERWRITES,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._process.stdout.readline())

    def set_clock(self, now_s):
        self._process.stdin.write(f"now {now_s}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "ok\n"

    def memory(self):
        """Return all of its memory that can be read and written."""
        found = []
        maps = Path(f"/proc/{self._process.pid}/maps").read_text().splitlines()
        with open(f"/proc/{self._process.pid}/mem", "rb", buffering=0) as memory:
            for line in maps:
                match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
                if match:
                    begin, end = int(match[1], 16), int(match[2], 16)
                    with contextlib.suppress(OSError):
                        memory.seek(begin)
                        found.append(memory.read(end - begin))
        return b"\0".join(found)

    def stop(self):
        self._process.stdin.write("stop\n")
        self._process.stdin.flush()
        assert self._process.wait(30) == 0
        self._process.stdin.close()
        self._process.stdout.close()


def agent_of(number):
    return f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{number + 100}.0) Gecko/20100101 Visitor{number:05}"


def address_of(number):
    return f"198.51.{number // 250}.{number % 250 + 1}"


def visit(port, agent, address, path="/"):
    headers = {"User-Agent": agent, "X-Forwarded-For": address}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        assert connection.getresponse().read() == b"<p>a page</p>"


def guessed(folder, key, people):
    """Return for how many of these people (address, agent) a test with this key says that they were there."""
    stored = folder.sketches(MONTH.name, count=len(NAMES), size=PACKED_BYTES)
    if stored is None:
        return 0
    registers = unpacked(stored[UNMARKED])
    found = 0
    for address, agent in people:
        mark = b"place %b %b" % (address.encode(), agent.encode())
        digest = hashlib.blake2b(mark, key=key, digest_size=8, person=b"petrel.audience.").digest()
        index, rank = place(int.from_bytes(digest, "little"))
        found += registers[index] >= rank
    return found


def visitors(url):
    """Return the number of the month in the database."""
    (numbers,) = load_numbers(url, periods=[MONTH.name])[MONTH.name].values()
    return numbers["visitors/web"]


@pytest.fixture
def processes(tmp_path, sqlite_url):
    now_s = MONTH.until_s - 1000
    watch = Running("watch", tmp_path, sqlite_url, now_s)
    worker = Running("worker", tmp_path, sqlite_url, now_s)
    yield watch, worker
    worker.stop()
    watch.stop()


def test_nothing_shows_a_visitor_when_the_period_is_over(tmp_path, sqlite_url, processes):
    watch, worker = processes
    folder = AudienceFolder(tmp_path)
    key = bytearray(KEY_BYTES)
    eventually(lambda: folder.read_key(MONTH.name, key))
    there = [(address_of(number), agent_of(number)) for number in range(VISITORS)]
    absent = [(address_of(number), agent_of(number)) for number in range(5000, 5000 + VISITORS)]
    visit(worker.port, agent_of(99_999), "192.0.2.1")

    def are_counted():
        if guessed(folder, key, there) == VISITORS:
            return True
        # Again: a worker that has not read the key yet counts none.
        for address, agent in there:
            visit(worker.port, agent, address)
        return False

    # While the period runs, the key and the stored sketches do show them: this test can tell.
    eventually(are_counted)
    assert guessed(folder, key, absent) < VISITORS * 0.1
    memory = worker.memory()
    assert bytes(key) in memory
    assert AGENT_TRACE.search(memory)
    assert ADDRESS_TRACE.search(memory)

    for process in processes:
        process.set_clock(MONTH.until_s + 60)
    eventually(lambda: MONTH.name not in folder.periods())
    eventually(lambda: visitors(sqlite_url) > 0)
    assert visitors(sqlite_url) == pytest.approx(VISITORS, rel=0.05)
    eventually(lambda: folder.read_key("2026-12", bytearray(KEY_BYTES)))
    rng = random.Random(4)
    for _ in range(AFTERWARDS):
        other = rng.randrange(10_000, 60_000)
        visit(worker.port, agent_of(other), f"203.0.{other // 250}.{other % 250}")
    on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    memory = {"worker": worker.memory(), "watch": watch.memory(), "disk": on_disk}
    traces = {
        where: {
            "key": data.count(bytes(key)),
            "agents": sum(int(number) < VISITORS for number in AGENT_TRACE.findall(data)),
            "addresses": len(ADDRESS_TRACE.findall(data)),
        }
        for where, data in memory.items()
    }
    assert traces == {where: {"key": 0, "agents": 0, "addresses": 0} for where in memory}
    # A guess by what remains is a guess at random.
    assert guessed(folder, key, there) == guessed(folder, key, absent) == 0
