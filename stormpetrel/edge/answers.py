"""Answer requests without the application: pages from memory and refusals.

This code runs for every visitor of a hot page, so it is written for speed: attributes instead of calls,
positional arguments, and bytes that are built once a second.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from stormpetrel.edge.cache import CachedPage
from stormpetrel.edge.connection import FLIGHT, IDLE
from stormpetrel.edge.heads import Head
from stormpetrel.edge.messages import MessageReader
from stormpetrel.edge.worker import EdgeWorker
from stormpetrel.shield.classify import K3_FAR, LANES
from stormpetrel.shield.decide import CHALLENGE
from stormpetrel.shield.identify import Identity
from stormpetrel.shield.queues import Ticket


class HotAnswers(MessageReader):
    """The part of a connection that answers from memory."""

    def __init__(
        self,
        worker: EdgeWorker,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(worker, config, server_state, app_state, _loop)
        # The last refusal on this connection, while it is still valid.
        self._refused_as: tuple[int, str, bytes, bool, bool] | None = None
        self._refused_head: Head | None = None
        self._refused_second = 0
        self._refused_until_s = 0.0
        self._refused_wire = b""
        # The sender on this connection that needs no visitor cookie any more. Behind a
        # proxy, many people share a connection.
        self._introduced: Identity | None = None

    def _answer_remembered(self, head: Head) -> bool:
        """Answer a request whose bytes were parsed before; return False if the parser must read it again."""
        worker = self.worker
        now = self.loop.time()
        if (
            head is self._refused_head
            and worker.second == self._refused_second
            and now < self._refused_until_s
        ):
            # The budget cannot have grown by one request yet: send the same refusal
            # again, at the cost of one write.
            worker.counts.requests += 1
            worker.counts.refused["ceiling/requests"] += 1
            self.transport.write(self._refused_wire)
            self._kind = IDLE
            self.deadline_s = now + self._keepalive_s
            return True
        key = head.key
        if key is not None:
            page = worker.cache.pages.get(key)
            if page is not None and page.fresh_until_s > now:
                worker.counts.requests += 1
                if (
                    head.plain
                    and not page.is_metered
                    and (self._introduced is self.stranger or not page.is_html)
                ):
                    self.transport.write(self._plain_wire(page, head.coding))
                    self._kind = IDLE
                    self.deadline_s = now + self._keepalive_s
                    return True
                self._answer_page(page, head, now)
                return True
        if not worker.gate.ceiling.is_spent(self.stranger, now) or (
            key is not None and worker.cache.lookup(key, now) is not None
        ):
            return False
        worker.counts.requests += 1
        self.transport.write(
            self._refusal(
                "ceiling/requests",
                worker.shield.stranger(self.stranger),
                head.path,
                head.keep_alive,
                head.only_head,
                now,
            )
        )
        if key is None and head.keep_alive:
            self._refused_head, self._refused_second = head, worker.second
            self._refused_until_s = now + worker.gate.ceiling.wait_s(self.stranger, now)
        self._kind = IDLE
        self.deadline_s = now + self._keepalive_s
        if not head.keep_alive:
            self._close()
        return True

    def _refusal(
        self,
        because: str,
        ticket: Ticket,
        path: bytes,
        keep_alive: bool,  # noqa: FBT001 - private, and called for each refusal: keywords cost
        only_head: bool,  # noqa: FBT001
        now: float,
    ) -> bytes:
        """Return the bytes of a refusal; the same within a second, as its numbers change no faster."""
        worker = self.worker
        same_as = (worker.second, because, path, keep_alive, only_head)
        if self._refused_as == same_as:
            worker.counts.refused[because] += 1
            worker.shield.refused_again(ticket, because, at_s=now)
            return self._refused_wire
        self._refused_as = same_as
        self._refused_head = None
        refused = worker.refusal(because, ticket, now)
        if because == CHALLENGE:
            self._refused_wire = worker.refusals.challenge(
                date=worker.date, keep_alive=keep_alive, only_head=only_head
            )
            return self._refused_wire
        self._refused_wire = worker.refusals.answer(
            refused,
            path=path,
            date=worker.date,
            keep_alive=keep_alive,
            only_head=only_head,
        )
        return self._refused_wire

    def _plain_wire(self, page: CachedPage, coding: int) -> bytes:
        """Return a page's bytes unchanged and count it as served."""
        worker = self.worker
        worker.counts.served_from_cache += 1
        wire = page.wires[coding]
        if wire is None or page.stamps[coding] != worker.second:
            wire = page.wire(coding, worker.second, worker.date)
            worker.cache.touch(page)
        return wire

    def _serve_hot(self, head: Head, now: float) -> bool:
        """Answer from the cache, or wait for a rendering in progress; False if this request must render."""
        cache = self.worker.cache
        assert head.key is not None
        page = cache.lookup(head.key, now)
        flight = cache.flights.get(head.key)
        if page is not None and (page.fresh_until_s > now or flight is not None):
            self._answer_page(page, head, now)
            return True
        if flight is not None and cache.wait(flight, self):
            self._flight = flight
            self._arm(FLIGHT, now + LANES[K3_FAR].deadline_s)
            return True
        return False

    def _answer_page(self, page: CachedPage, head: Head, now: float, *, cached: bool = True) -> None:
        if (
            cached
            and head.plain
            and not page.is_metered
            and (self._introduced is self.stranger or not page.is_html)
        ):
            self.transport.write(self._plain_wire(page, head.coding))
            self._answered(head.keep_alive)
            return
        worker = self.worker
        counts = worker.counts
        extra = b""
        if page.is_metered:
            limit = worker.gate.ceiling.rate_limit(self.stranger, now, epoch_s=worker.epoch_s(now))
            if limit is not None:
                extra = worker.refusals.rate_limit_lines(*limit)
        if page.is_html:
            extra += self.introduction(page, head)
        status, wire = page.answer(head, worker.second, worker.date, extra)
        if cached:
            counts.served_from_cache += 1
            if page.was_made:
                page.was_made = False
                worker.cache.touch(page)
            if status == 304:
                counts.not_modified += 1
        self.transport.write(wire)
        self._answered(head.keep_alive)

    def introduction(self, page: CachedPage, head: Head) -> bytes:
        """Return the header lines with a new visitor's cookie, once per connection and sender; b"" for none.

        The cached bytes never contain a cookie: these lines are inserted before the
        blank line that ends the head.
        """
        if self._introduced is self.stranger or not page.is_html:
            return b""
        if head.is_introduced or not self.worker.introduces:
            self._introduced = self.stranger
            return b""
        if head.only_head or head.if_none_match is not None or head.modified_since_s:
            return b""
        self._introduced = self.stranger
        return self.worker.introduction()

    def _answered(self, keep_alive: bool) -> None:  # noqa: FBT001 - private: the one thing left to say
        """Move on after an answer that needed no application was written."""
        self._outstanding = False
        if keep_alive and not self._is_sealed:
            self._settle()
        else:
            self._close()
