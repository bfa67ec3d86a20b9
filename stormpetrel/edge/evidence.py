"""Collects a worker's evidence: looks at sampled requests, and counts connections by state once a second."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stormpetrel.audience.classes import READER_WORDS, is_program, referrer_class
from stormpetrel.audience.visitor import HeadFacts
from stormpetrel.edge.cache import HotCache
from stormpetrel.edge.heads import Head
from stormpetrel.edge.limits import Counts
from stormpetrel.edge.message import RequestMessage
from stormpetrel.edge.state import BLOCKED, BODY, HEAD, IDLE, NEW, PREFACE, STREAM, UPLOAD, ConnectionState
from stormpetrel.shield.canary import HEADER as CANARY
from stormpetrel.shield.canary import person_of
from stormpetrel.shield.classify import WRITES
from stormpetrel.shield.cookies import COOKIE_NAME
from stormpetrel.shield.decide import Shield
from stormpetrel.shield.evidence import (
    APP,
    BROWSER,
    CLAIMS_ADDRESS,
    FORGED,
    HAS_COOKIE,
    HAS_EXTRA_QUERY,
    IS_WRITE,
    IS_YOUNG,
    KNOWN_NETWORK,
    MEMBER,
    NEW_NETWORK,
    NO_AGENT,
    PROGRAM,
    READER,
    REFERRERS,
    RETURNING,
    SETTLED_S,
    YOUNG_S,
    Evidence,
    FailedSignInsOf,
    KeyedHash,
    RequestSampler,
    SampledRequest,
    kind_of,
)
from stormpetrel.shield.identify import Identity, TokenTable, Visit
from stormpetrel.shield.marks import marks_of
from stormpetrel.shield.paths import FEED, PathTable
from stormpetrel.shield.prefixes import DAY_S, KNOWN_DAYS, prefix_of

CENSUS_APART_S = 0.9
"""A connection must be slow for longer than this. A report may follow sooner on one that was late."""
MAX_CENSUS = 10_000
"""With more connections they are counted less often: each takes 0.4 µs."""
MAX_AGENTS = 512
_CLAIMS = frozenset({b"x-forwarded-for", b"x-real-ip", b"forwarded", b"true-client-ip", b"cf-connecting-ip"})
_OWN, _NO_REFERRER = REFERRERS.index("own"), REFERRERS.index("none")
_REFERRER = {name: number for number, name in enumerate(REFERRERS)} | {"": _OWN}
_NO_FACTS: HeadFacts = {}
_SESSION = COOKIE_NAME.encode() + b"="
_SLOW = {HEAD: "slow_head", PREFACE: "slow_head", BODY: "slow_body", UPLOAD: "slow_body", NEW: "silent"}


def agent_class(agent: bytes, *, is_feed: bool) -> int:
    """Return the number in AGENTS of a User-Agent."""
    if not agent:
        return NO_AGENT
    if is_feed and any(word in agent.lower() for word in READER_WORDS):
        return READER
    if is_program(agent, is_feed=is_feed):
        return PROGRAM
    return BROWSER if agent.startswith(b"Mozilla/") else APP


class EdgeEvidence:
    """The evidence of one worker. `failed_sign_ins`: takes the sign-ins that failed since the last call."""

    def __init__(
        self,
        shield: Shield,
        *,
        secret: bytes,
        paths: PathTable,
        tokens: TokenTable,
        host: str,
        cache: HotCache,
        counts: Counts,
        failed_sign_ins: FailedSignInsOf | None,
        at_s: float,
    ) -> None:
        self.sampler = RequestSampler()
        self._shield = shield
        self._secret = secret
        self._hash = KeyedHash(secret)
        self._paths = paths
        self._host = host.encode()
        self._cache = cache
        self._counts = counts
        self._failed_sign_ins = failed_sign_ins
        self._tokens = tokens
        self._settled_s = at_s + SETTLED_S
        self._reset = self._unused = self._accepted = 0
        # Those that were slow at the last census. Not their ids: a new one soon has the id of an ended one.
        self._slow: set[Any] = set()
        self._census_s = at_s
        self._states: dict[str, int] = {}
        # By a hash: texts of visitors, kept for a period and then dropped, would stay readable in freed memory.
        self._agents: dict[int, int] = {}

    def see_head(self, head: Head, stranger: Identity, flags: int, *, epoch_s: int) -> None:
        """Look at a remembered request that was answered from memory or refused. `flags`: IS_PIPELINED or 0."""
        facts = head.facts
        if facts is None:
            facts = _NO_FACTS
        address = str(stranger.value)
        network = prefix_of(address)
        cookie = facts.get(b"cookie")
        source, of_cookie = self._stranger(network, cookie, epoch_s)
        self._add(head.path, b"", facts, flags | of_cookie, source, address, network, head=head)

    def see_message(
        self,
        message: RequestMessage,
        visit: Visit,
        stranger: Identity,
        head: Head | None,
        *,
        flags: int = 0,
        is_proxied: bool,
        at_s: float,
        epoch_s: int,
    ) -> None:
        """Look at a parsed request. `head`: as the cache sees it. `is_proxied`: it came by a trusted proxy."""
        facts = message.facts
        canary = facts.get(CANARY)
        # A header alone would hide a flood: only a mark that the shield honours leaves a request out.
        if canary is not None and person_of(self._secret, canary, now_epoch_s=epoch_s) is not None:
            self.sampler.skip()
            return
        address = str(stranger.value)
        network = prefix_of(address)
        cookie = facts.get(b"cookie")
        source, of_cookie = self._stranger(network, cookie, epoch_s)
        flags |= of_cookie
        credential = 0
        entry, session = visit.entry, visit.session
        if entry is not None:
            issued_s = entry.created_at_ms / 1000
            credential = self._hash(visit.token_hash or b"")
        elif session is not None:
            issued_s = float(session.issued_at_s)
            credential = self._hash(b"%d" % session.session_id)
        elif visit.token_hash is not None:
            credential = self._hash(visit.token_hash)
            if at_s >= self._settled_s or self._tokens.is_unknown(visit.token_hash, at_s):
                source = FORGED
        elif cookie is not None and _SESSION in cookie and not self._paths[message.path].is_same_for_all:
            credential = self._hash(cookie)
            source = FORGED
        if entry is not None or session is not None:
            source = MEMBER
            if epoch_s - issued_s < YOUNG_S:
                flags |= IS_YOUNG
        if message.method in WRITES:
            flags |= IS_WRITE
        if not is_proxied and any(name in _CLAIMS for name, _ in message.headers):
            flags |= CLAIMS_ADDRESS
        self._add(
            message.path,
            message.query,
            facts,
            flags,
            source,
            address,
            network,
            head=head,
            credential=credential,
            body_bytes=message.length,
        )

    def _stranger(self, network: str, cookie: bytes | None, epoch_s: int) -> tuple[int, int]:
        """Return the class of a request without a credential, and its flags."""
        shield = self._shield
        flags = 0
        if cookie is not None:
            visitor, device = marks_of(self._secret, cookie, epoch_s=epoch_s)
            if visitor is not None or device is not None:
                flags = HAS_COOKIE
                issued_s = min(mark.issued_at_s for mark in (visitor, device) if mark is not None)
                if not shield.cutoff_epoch_s or issued_s < shield.cutoff_epoch_s:
                    return RETURNING, flags
        is_known = (shield.prefixes.days.get(network) or -1) >= epoch_s // DAY_S - KNOWN_DAYS
        return KNOWN_NETWORK if is_known else NEW_NETWORK, flags

    def _add(
        self,
        path: bytes,
        query: bytes,
        facts: HeadFacts,
        flags: int,
        source: int,
        address: str,
        network: str,
        *,
        head: Head | None,
        credential: int = 0,
        body_bytes: int = 0,
    ) -> None:
        path_facts = self._paths[path]
        key = None if head is None else head.key
        if query and key is not None and key == path:
            flags |= HAS_EXTRA_QUERY
        kind = kind_of(
            path_facts,
            path,
            query,
            changes=bool(flags & IS_WRITE),
            is_cached=key is not None and self._cache.pages.get(key) is not None,
        )
        named = facts.get(b"referer")
        referrer = _REFERRER[referrer_class(named, self._host)] if named else _NO_REFERRER
        hashed = self._hash
        row = SampledRequest(
            kind,
            source,
            self._agent(facts.get(b"user-agent", b""), is_feed=path_facts.kind == FEED),
            referrer,
            flags,
            # A connection that was reset already has no address: all of them together are no sender.
            hashed(address) if network else 0,
            hashed(network),
            hashed(query),
            hashed(path),
            credential,
            body_bytes,
        )
        self.sampler.add(row, path)

    def _agent(self, agent: bytes, *, is_feed: bool) -> int:
        key = hash((agent, is_feed))
        found = self._agents.get(key)
        if found is None:
            if len(self._agents) >= MAX_AGENTS:
                self._agents.clear()
            found = self._agents[key] = agent_class(agent, is_feed=is_feed)
        return found

    def forget_agents(self) -> None:
        """Drop the classes of User-Agents."""
        self._agents.clear()

    def lost(self, state: ConnectionState, error: Exception | None) -> None:
        """Count a connection that its client has ended in this state. `error`: it was reset."""
        if error is not None:
            self._counts.reset += 1
        elif state is NEW:
            self._counts.unused += 1

    def take(self, connections: Iterable[Any], at_s: float) -> Evidence:
        """Return the evidence since the last call. `connections`: all that are open."""
        counts = self._counts
        requests, sample, paths = self.sampler.take(counts.requests)
        cost_ms, behaviours = self._shield.evidence.take()
        news = {
            "opened": counts.accepted - self._accepted,
            "reset": counts.reset - self._reset,
            "unused": counts.unused - self._unused,
        }
        if self._failed_sign_ins is not None:
            failed = self._failed_sign_ins()
            behaviours |= {"failed_sign_ins": failed.total, "most_failed": failed.most}
        self._count_states(connections, at_s)
        evidence = Evidence(
            requests=requests,
            sample=sample,
            paths=paths,
            cost_ms=cost_ms,
            connections={name: count for name, count in (news | self._states).items() if count},
            counts={name: count for name, count in behaviours.items() if count},
        )
        self._accepted, self._reset, self._unused = counts.accepted, counts.reset, counts.unused
        return evidence

    def _count_states(self, connections: Iterable[Any], at_s: float) -> None:
        """Count the connections by state. Slow ones count once they are it for the second time."""
        if at_s < self._census_s:
            return
        states: dict[str, int] = {}
        before = self._slow
        slow: set[Any] = set()
        total = 0
        for connection in connections:
            total += 1
            # A WebSocket has no such state.
            state = getattr(connection, "state", None)
            if state is None or state is STREAM:
                name = "streams"
            elif state is BLOCKED or connection.output.is_paused:
                name = "unread"
            else:
                name = _SLOW.get(state, "idle" if state is IDLE else "busy")
            if name not in ("streams", "idle", "busy"):
                slow.add(connection)
                if connection not in before:
                    name = "new"
            states[name] = states.get(name, 0) + 1
        self._slow, self._states = slow, states
        self._census_s = at_s + max(CENSUS_APART_S, total // MAX_CENSUS)
