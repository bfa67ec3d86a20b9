"""The message that a connection carries: its sender, whether the cache may answer it, the shield's decision."""

from __future__ import annotations

from collections.abc import Callable

from stormpetrel.edge.codings import coding_for
from stormpetrel.edge.fast_path import FastPath
from stormpetrel.edge.finished import AnswerKey
from stormpetrel.edge.heads import Head, HeadMemo, hot_key
from stormpetrel.edge.message import RequestMessage
from stormpetrel.edge.parser import MessageError
from stormpetrel.edge.rejections import BODY_TOO_LARGE, TOO_MANY_AT_ONCE
from stormpetrel.edge.senders import ForwardedSenders, Proxies, Sender
from stormpetrel.edge.visits import VisitReader
from stormpetrel.edge.worker import EdgeWorker
from stormpetrel.shield.canary import HEADER as CANARY
from stormpetrel.shield.classify import K1, K1_COLD
from stormpetrel.shield.identify import Visit
from stormpetrel.shield.marks import has_visitor_cookie
from stormpetrel.shield.paths import PathFacts
from stormpetrel.shield.queues import GONE, Ticket

HEALTH = b"/health"
_CACHED_METHODS = frozenset({"GET", "HEAD"})
_NO_PATH = PathFacts()


class Reception:
    """The message of which the head was read last, the facts of its path, and its sender.

    `forwarding`: the senders that messages name; None if all are from the connection's own client. `head` is None
    unless the cache may answer the message.
    """

    __slots__ = (
        "_fast_path",
        "_visits",
        "_worker",
        "forwarding",
        "head",
        "message",
        "path_facts",
        "sender",
        "visit",
    )

    def __init__(self, worker: EdgeWorker, sender: Sender, fast_path: FastPath) -> None:
        self._worker = worker
        self._fast_path = fast_path
        self._visits = VisitReader(tokens=worker.tokens, secret=worker.secret)
        self.forwarding: ForwardedSenders | None = None
        self.sender = sender
        self.message: RequestMessage | None = None
        self.path_facts = _NO_PATH
        self.visit: Visit = sender.anonymous_visit
        self.head: Head | None = None

    def trust(self, proxies: Proxies) -> None:
        """Let each message name its sender: the connection is from one of these proxies."""
        self.forwarding = ForwardedSenders(proxies, self.sender, most=self._worker.caps.per_address)

    def speak_for(self, sender: Sender) -> None:
        """Answer this sender from now on."""
        self.sender = sender
        self._fast_path.answer_for(sender)

    def recall(self, head: Head) -> None:
        """Answer the sender of a remembered head, behind a proxy."""
        assert self.forwarding is not None
        self.speak_for(self.forwarding.sender(head.sender))

    def receive(self, message: RequestMessage, now: float, flags: int = 0) -> None:
        """Take a message whose head was read: count it, find its sender, and whether the cache may answer it.

        `flags`: IS_PIPELINED or 0.
        """
        worker = self._worker
        worker.counts.requests += 1
        self.message = message
        self.head = None
        if worker.is_draining:
            message.keep_alive = False
        forwarding = self.forwarding
        named: Sender | None = None
        if forwarding is not None:
            named = forwarding.named(message.headers)
            self.speak_for(forwarding.sender(named))
        self.path_facts = path_facts = worker.paths[message.path]
        self.visit = visit = self._visits.visit_of(
            message, self.sender, now, is_same_for_all=path_facts.is_same_for_all
        )
        if forwarding is not None:
            forwarding.enter(visit.identity)
        facts = message.facts
        if (
            (visit is self.sender.anonymous_visit or (visit.is_anonymous and b"authorization" not in facts))
            and message.method in _CACHED_METHODS
            and not message.has_body
            and not message.is_upgrade
            and message.path != HEALTH
        ):
            self.head = Head(
                message.path,
                hot_key(path_facts, message.path, message.query),
                coding=coding_for(facts.get(b"accept-encoding")),
                if_none_match=facts.get(b"if-none-match"),
                if_modified_since=facts.get(b"if-modified-since"),
                only_head=message.method == "HEAD",
                keep_alive=message.keep_alive,
                is_introduced=has_visitor_cookie(facts.get(b"cookie")),
                sender=named,
                # The watch's own requests are no visits.
                facts=facts if CANARY not in facts else None,
            )
        if worker.counts.requests >= worker.sampler.due:
            worker.evidence.see_message(
                message,
                visit,
                self.sender.stranger,
                self.head,
                flags=flags,
                is_proxied=forwarding is not None,
                at_s=now,
                epoch_s=worker.second,
            )

    def answer_key(self, message: RequestMessage) -> AnswerKey | None:
        """Return the key of the message's finished answer; None if it never has one."""
        token_hash = self.visit.token_hash
        if (
            token_hash is None
            or message.method != "GET"
            or self.path_facts.finished is None
            or message.has_body
            or message.is_upgrade
            # A token in the query would stay in memory; and a canary tests the whole way of a request.
            or b"authorization" not in message.facts
            or CANARY in message.facts
        ):
            return None
        return token_hash, message.path, message.query

    def remember(self, data: bytes, memo: HeadMemo) -> None:
        """Offer the head to the memo. `data`: all bytes of the message, which came in one piece."""
        head, message = self.head, self.message
        # A canary's mark is valid for seconds only, and a remembered head counts as a stranger's.
        if head is not None and message is not None and CANARY not in message.facts:
            memo.offer(data, head)

    def body_limit(self, message: RequestMessage) -> int:
        """Return the largest body that the message may have, in bytes. Raise MessageError to refuse it at once."""
        worker = self._worker
        limit = worker.config.max_body_bytes
        # Uploads need a credential. An unverified one may be valid: its body is read only after the look-up.
        if not self.visit.is_anonymous:
            limit = self.path_facts.body_bytes or limit
        if message.length > limit:
            raise MessageError(BODY_TOO_LARGE)
        if self.forwarding is not None and self.forwarding.is_over:
            # Refuse at once instead of waiting for its body.
            raise MessageError(TOO_MANY_AT_ONCE)
        return limit

    def decide(self, message: RequestMessage, now: float) -> Ticket:
        """Return the shield's ticket for the message."""
        ticket = self._worker.shield.decide(
            self.visit,
            method=message.method,
            path=message.path,
            query=message.query,
            cookie=message.facts.get(b"cookie"),
            headers=message.headers,
            at_s=now,
            canary=message.facts.get(CANARY),
        )
        if ticket.lane == K1 and self.path_facts.reads_home and self._is_cold():
            ticket.lane = K1_COLD
        if self.forwarding is not None and self.forwarding.is_over and ticket.state != GONE:
            # Hot pages were served before this point: they cost less than a refusal.
            ticket.state, ticket.because = GONE, "ceiling/at-once"
        return ticket

    def _is_cold(self) -> bool:
        """Return True if the home timeline of the visit's account is not in memory."""
        has_home, visit = self._worker.has_home, self.visit
        owner = visit.session if visit.entry is None else visit.entry
        if has_home is None or owner is None or owner.account_id is None:
            return False
        return not has_home(owner.account_id)

    def leave(self) -> None:
        """Stop counting the message as in progress."""
        if self.forwarding is not None:
            self.forwarding.leave()

    def pass_on(self) -> Callable[[], None] | None:
        """Return the function that stops counting the message, for the caller to call; None if it is not counted."""
        return None if self.forwarding is None else self.forwarding.pass_on()
