"""Answer requests without the application: pages from memory and refusals.

This code runs for every visitor of a hot page, so it is written for speed: attributes instead of calls,
positional arguments, and bytes that are built once a second.
"""

from __future__ import annotations

from collections.abc import Callable

from stormpetrel.audience.visitor import HeadFacts
from stormpetrel.edge.cache import CachedPage
from stormpetrel.edge.finished import FinishedAnswer
from stormpetrel.edge.heads import Head
from stormpetrel.edge.message import RequestMessage
from stormpetrel.edge.senders import Sender
from stormpetrel.edge.worker import EdgeWorker
from stormpetrel.shield.admit import SPENT
from stormpetrel.shield.decide import CHALLENGE
from stormpetrel.shield.identify import Identity, Visit
from stormpetrel.shield.queues import Ticket

_NO_AGENT = b"\0"
"""No header has this value."""


class FastPath:
    """The answers from memory on one connection. `write`: sends bytes to the client; `stranger`: the identity of the
    client whose request is answered, if it has no credential.
    """

    __slots__ = (
        "_agent",
        "_apart",
        "_cookie",
        "_counted",
        "_counted_in",
        "_introduced",
        "_period",
        "_polled",
        "_polled_apart",
        "_refused_as",
        "_refused_head",
        "_refused_identity",
        "_refused_second",
        "_refused_until_s",
        "_refused_wire",
        "_worker",
        "_write",
        "stranger",
    )

    def __init__(self, worker: EdgeWorker, write: Callable[[bytes], None], stranger: Identity) -> None:
        self._worker = worker
        self._write = write
        self.stranger = stranger
        # The last refusal on this connection, while it is still valid.
        self._refused_as: tuple[int, str, bytes, bool, str] | None = None
        self._refused_identity = stranger
        self._refused_head: Head | None = None
        self._refused_second = 0
        self._refused_until_s = 0.0
        self._refused_wire = b""
        # The sender on this connection that needs no visitor cookie any more.
        self._introduced: Identity | None = None
        # The request on this connection whose visitor was counted last, in which period; its count, if it was counted
        # apart.
        self._counted: HeadFacts | None = None
        self._counted_in = 0
        self._apart: list[int] | None = None
        # The browser that was counted for a page on this connection: for another page it is not counted again.
        self._agent: bytes | None = _NO_AGENT
        self._cookie: bytes | None = None
        # The member's request that was answered last (the parser gives the same message for the same bytes), the
        # period in which its visitor was counted, and the count if it was counted apart.
        self._polled: RequestMessage | None = None
        self._polled_apart: list[int] | None = None
        self._period = 0

    def answer_for(self, sender: Sender) -> None:
        """Answer this sender from now on. Behind a proxy, many clients share a connection."""
        self.stranger = sender.stranger
        # An earlier visitor cookie on this connection may have gone to another
        # client, even at the same address.
        self._introduced = None
        self._counted = None
        self._polled = None
        self._agent = _NO_AGENT

    def answer_remembered(self, head: Head, now: float) -> bool:
        """Answer a request whose bytes were parsed before; return False if the parser must read it again."""
        worker = self._worker
        if (
            head is self._refused_head
            and worker.second == self._refused_second
            and now < self._refused_until_s
        ):
            # The budget cannot have grown by one request yet: send the same refusal
            # again, at the cost of one write.
            worker.counts.requests += 1
            worker.counts.refused[SPENT] += 1
            worker.counts.repeated += 1
            self._write(self._refused_wire)
            return True
        key = head.key
        if key is not None:
            page = worker.cache.pages.get(key)
            if page is not None and page.fresh_until_s > now:
                worker.counts.requests += 1
                self.answer_page(page, head, now)
                return True
        ceiling = worker.gate.ceiling
        stranger = self.stranger
        if not ceiling.is_spent(stranger, now) or (
            key is not None and worker.cache.lookup(key, now) is not None
        ):
            return False
        worker.counts.requests += 1
        # The shield, which notes the clients that do not wait, is not asked here.
        worker.gate.patience.arrived(stranger, now)
        ticket = worker.shield.stranger(stranger)
        method = "HEAD" if head.only_head else "GET"
        self._write(self.refusal(SPENT, ticket, head.path, head.keep_alive, method, now))
        if key is None and head.keep_alive:
            self._refused_head, self._refused_second = head, worker.second
            self._refused_until_s = now + ceiling.wait_s(stranger, now)
        return True

    def refusal(
        self,
        because: str,
        ticket: Ticket,
        path: bytes,
        keep_alive: bool,  # noqa: FBT001 - called for each refusal: keywords cost
        method: str,
        now: float,
    ) -> bytes:
        """Return the bytes of a refusal; the same within a second, as its numbers change no faster."""
        worker = self._worker
        same_as = (worker.second, because, path, keep_alive, method)
        # One client's rate limit must not be sent to the next client on the same connection.
        if self._refused_as == same_as and self._refused_identity == ticket.identity:
            worker.counts.refused[because] += 1
            worker.shield.refused_again(ticket, because, at_s=now)
            return self._refused_wire
        self._refused_as = same_as
        self._refused_identity = ticket.identity
        self._refused_head = None
        refused = worker.refusal(because, ticket, now)
        if because == CHALLENGE:
            self._refused_wire = worker.refusals.challenge(
                date=worker.date, keep_alive=keep_alive, only_head=method == "HEAD"
            )
            return self._refused_wire
        self._refused_wire = worker.refusals.answer(
            refused,
            path=path,
            date=worker.date,
            keep_alive=keep_alive,
            method=method,
        )
        return self._refused_wire

    def answer_page(self, page: CachedPage, head: Head, now: float) -> None:
        """Write a cached page and count it."""
        worker = self._worker
        page.hits += 1
        if page.hits == 1:
            worker.cache.first_hit(page)
        facts = head.facts
        if facts is not self._counted or self._counted_in != worker.period:
            if (
                facts is not None
                and page.is_html
                and self._counted_in == worker.period
                and facts.get(b"user-agent") == self._agent
                and facts.get(b"cookie") == self._cookie
            ):
                self._counted = facts
            else:
                self._count(page, head, now)
        elif self._apart is not None:
            self._apart[0] += 1
        if head.plain and not page.is_metered and (self._introduced is self.stranger or not page.is_html):
            worker.counts.served_from_cache += 1
            coding = head.coding
            wire = page.wires[coding]
            if wire is None or page.stamps[coding] != worker.second:
                wire = page.wire(coding, worker.second, worker.date)
                worker.cache.touch(page)
            self._write(wire)
            return
        status, wire = page.answer(head, worker.second, worker.date, self._own_lines(page, head, now))
        worker.counts.served_from_cache += 1
        if page.was_made:
            page.was_made = False
            worker.cache.touch(page)
        if status == 304:
            worker.counts.not_modified += 1
        self._write(wire)

    def _count(self, page: CachedPage, head: Head, now: float) -> None:
        """Count the visitor of a request, once on this connection in each period."""
        audience, facts = self._worker.audience, head.facts
        self._counted, self._counted_in = facts, self._worker.period
        if audience is None:
            return
        self._apart = audience.see_head(head, self.stranger, epoch_s=self._worker.epoch_s(now))
        if self._apart is None and facts is not None and page.is_html:
            self._agent, self._cookie = facts.get(b"user-agent"), facts.get(b"cookie")
        else:
            self._agent = _NO_AGENT

    def answer_finished(
        self, answer: FinishedAnswer, message: RequestMessage, visit: Visit, ticket: Ticket
    ) -> None:
        """Write a member's finished answer and count it like one of the application."""
        worker = self._worker
        worker.counts.admitted += 1
        worker.counts.finished += 1
        if message is not self._polled or self._period != worker.period:
            self._polled, self._period = message, worker.period
            audience = worker.audience
            if audience is not None:
                self._polled_apart = audience.see_answered(
                    message.facts, visit, message.path, epoch_s=worker.second
                )
        elif self._polled_apart is not None:
            self._polled_apart[0] += 1
        accepted = message.facts.get(b"accept-encoding")
        self._write(worker.finished_wire(answer, accepted, ticket, keep_alive=message.keep_alive))

    def answer_health(self, *, only_head: bool, keep_alive: bool) -> None:
        """Write the answer that the worker is alive."""
        worker = self._worker
        head = Head(
            b"/health", None, coding=0, if_none_match=None, only_head=only_head, keep_alive=keep_alive
        )
        self._write(worker.health.answer(head, worker.second, worker.date)[1])

    def introduction(self, page: CachedPage, head: Head) -> bytes:
        """Return the header lines with a new visitor's cookie, once per connection and sender; b"" for none.

        The cached bytes never contain a cookie: these lines are inserted before the
        blank line that ends the head.
        """
        if self._introduced is self.stranger or not page.is_html:
            return b""
        if head.is_introduced or not self._worker.introduces:
            self._introduced = self.stranger
            return b""
        if head.only_head or head.if_none_match is not None or head.modified_since_s:
            return b""
        self._introduced = self.stranger
        return self._worker.introduction()

    def _own_lines(self, page: CachedPage, head: Head, now: float) -> bytes:
        """Return the header lines of a page that are for this client alone: its rate limit, a visitor's cookie."""
        lines = b""
        if page.is_metered:
            worker = self._worker
            limit = worker.gate.ceiling.rate_limit(self.stranger, now, epoch_s=worker.epoch_s(now))
            if limit is not None:
                lines = worker.refusals.rate_limit_lines(*limit)
        return lines + self.introduction(page, head)
