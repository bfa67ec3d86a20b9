"""The edge of one worker: accepts connections on a given socket, serves them, and drains.

`EdgeServer` is the only entry to `edge/`. The application meets the edge only in the ASGI scope (`visit`,
`hot`, `finished`, `rate_limit`, `release_slot`, `open_stream`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from functools import partial

from stormpetrel.edge.accepting import Acceptor
from stormpetrel.edge.asgi import AsgiApp
from stormpetrel.edge.cache import HotCache
from stormpetrel.edge.finished import FinishedAnswers
from stormpetrel.edge.limits import Counts
from stormpetrel.edge.protocol import EdgeProtocol
from stormpetrel.edge.worker import EdgeParts, EdgeWorker
from stormpetrel.shield.identify import TokenTable

DRAIN_S = 10.0
"""Requests that run or wait when a drain begins have this long to finish."""
UNSENT_BYTES = 131_072
_POLL_S = 0.02
_log = logging.getLogger("stormpetrel.edge")


class EdgeServer:
    """The edge in front of an ASGI application. `sock`: bound, or already listening, possibly inherited."""

    def __init__(self, app: AsgiApp, parts: EdgeParts, *, sock: socket.socket) -> None:
        edge = parts.edge
        self.cache = HotCache(
            capacity_bytes=edge.cache_bytes, ttl_s=edge.cache_ttl_s, grace_s=edge.cache_grace_s
        )
        self.finished = FinishedAnswers()
        self.tokens = TokenTable()
        self.counts = Counts()
        self._app = app
        self._parts = parts
        self._sock = sock
        self._worker: EdgeWorker | None = None
        self._acceptor: Acceptor | None = None

    @property
    def worker(self) -> EdgeWorker:
        """Return the state that the connections share. Raise RuntimeError before `start`."""
        if self._worker is None:
            raise RuntimeError("the edge was not started")
        return self._worker

    async def start(self) -> None:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()
        worker = self._worker = EdgeWorker(
            self._app,
            self._parts,
            loop=loop,
            tokens=self.tokens,
            cache=self.cache,
            finished=self.finished,
            counts=self.counts,
        )
        worker.server = self._sock.getsockname()[:2]
        with contextlib.suppress(OSError, AttributeError):
            # Connections inherit this: the kernel buffers only this much unsent data for each, not
            # several megabytes, so slow readers cost little there too. Where the option is missing,
            # the deadlines still apply.
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        worker.start_ticking()
        self._acceptor = Acceptor(loop, partial(EdgeProtocol, worker), self._sock)
        worker.on_tick = self._acceptor.turn
        await self._acceptor.open()

    async def serve_until(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then drain: requests have DRAIN_S to finish, WebSockets get 1012."""
        await stop.wait()
        await self.drain()

    async def drain(self, *, within_s: float = DRAIN_S) -> None:
        """Stop accepting, finish running and waiting requests, close the rest; return when all is closed."""
        worker = self.worker
        acceptor = self._acceptor
        assert acceptor is not None
        acceptor.close()
        worker.is_draining = True
        for connection in list(worker.connections):
            connection.drain()
        end_s = worker.loop.time() + within_s
        # This runs once in a process's life: polling is simpler than an event for each connection and task.
        while (worker.connections or worker.tasks) and worker.loop.time() < end_s:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        left = list(worker.connections)
        if left or worker.tasks:
            _log.warning("%d connections were still open when the shutdown timeout ended", len(left))
        for task in list(worker.tasks):
            task.cancel()
        for connection in left:
            connection.abort()
        # Let cancelled tasks and dropped connections run for one turn of the loop.
        while worker.tasks and worker.loop.time() < end_s + 1.0:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        await asyncio.sleep(0)
        worker.stop_ticking()
        await acceptor.wait_closed()
