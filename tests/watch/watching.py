"""A watch's desk in this process, workers that report to it, and a desk in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager

from stormpetrel.control import wire
from stormpetrel.control.asking import ask
from stormpetrel.control.messages import Standing
from stormpetrel.control.reporter import Reporter
from stormpetrel.rules.canaries import credentials
from stormpetrel.watch.canaries import Canaries
from stormpetrel.watch.cluster_state import ClusterState
from stormpetrel.watch.control_server import ControlServer
from stormpetrel.watch.journal_writer import JournalWriter
from stormpetrel.watch.probe_client import ProbeClient
from stormpetrel.watch.probes import Canary
from stormpetrel.watch.status.board import StatusBoard
from stormpetrel.watch.status.book import IncidentDesk, StatusBook, new_incident_id
from tests.watch.reporting import a_report


class Worker:
    """A worker with a reporter and no shield. `told` are the directions that it received."""

    def __init__(self, directory, name="web-0", report=None):
        self.told = []
        self.looks = []
        self.stop = asyncio.Event()
        self.news = asyncio.Event()
        self.reporter = Reporter(
            name=name,
            data_dir=directory,
            report=lambda: report or a_report(),
            direct=self.direct,
            look=self.look,
        )
        self.task = asyncio.ensure_future(self.reporter.run(self.stop))

    def direct(self, directions):
        self.told.append(directions)
        self.news.set()

    def look(self, look):
        self.looks.append(look)
        return Standing(look.number, "K1", 100, 60, False)

    async def until(self, is_so):
        while not self.told or not is_so(self.told[-1]):
            self.news.clear()
            await self.news.wait()
        return self.told[-1]

    async def end(self):
        self.stop.set()
        await self.task


@asynccontextmanager
async def a_watch(directory, prefixes=None, audience=None):
    """Run the watch's desk, without its clock. Yield its sight."""
    cluster = ClusterState()
    async with a_control_server(directory, cluster, prefixes, audience):
        yield cluster


@asynccontextmanager
async def a_control_server(directory, cluster, prefixes=None, audience=None, shelters=(), proxies=()):
    """Run the watch's desk, without its clock. Yield it."""
    books = JournalWriter(directory)
    canary = Canary(ProbeClient("127.0.0.1", 1, "here.example"), credentials(b"x" * 32), lambda person: {})

    async def register():
        raise AssertionError("no canary flies here")

    canaries = Canaries(canary, register=register, note=lambda note: None, now_epoch_s=lambda: 0.0)
    board = StatusBoard(canaries.channels, new_id=new_incident_id, now_epoch_s=0.0)
    status_book = StatusBook(directory)
    control_server = ControlServer(
        cluster=cluster,
        books=books,
        canaries=canaries,
        incidents=IncidentDesk(board, status_book),
        known_prefixes=(prefixes or {}).items(),
        shelters=shelters,
        proxies=proxies,
    )
    control_server.audience = audience
    sock = wire.listen(directory)
    stop = asyncio.Event()
    serving = asyncio.ensure_future(control_server.serve(sock, stop))
    try:
        yield control_server
    finally:
        stop.set()
        await serving
        sock.close()
        await books.close()
        await status_book.close()


async def asked(directory, question):
    return await asyncio.to_thread(ask, directory, question)


class Watching:
    """A watch in its own thread, with one worker. Tests may change `cluster` before they query it."""

    def __init__(self, cluster, loop):
        self.cluster = cluster
        self._loop = loop

    def second(self):
        """Simulate the passing of a second: the watch processes the worker's reports."""
        self.call(lambda: self.cluster.second(at_s=self._loop.time(), now_epoch_s=time.time()))

    def call(self, function):
        """Run a function in the watch's loop and return its result."""

        async def run():
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(20)


@contextlib.contextmanager
def watching(directory, report=None) -> Iterator[Watching]:
    """Run a desk that serves `directory`, with one worker that has already received directions."""
    ready, over = threading.Event(), threading.Event()
    made = []

    async def body():
        async with a_watch(directory) as cluster:
            worker = Worker(directory, report=report)
            await worker.until(lambda told: True)
            while not cluster.totals.reports:
                await asyncio.sleep(0.005)
            made.append(Watching(cluster, asyncio.get_running_loop()))
            ready.set()
            await asyncio.to_thread(over.wait)
            await worker.end()

    thread = threading.Thread(target=asyncio.run, args=(body(),), daemon=True)
    thread.start()
    try:
        assert ready.wait(20)
        yield made[0]
    finally:
        over.set()
        thread.join(20)
        assert not thread.is_alive()
