"""A shield with a clock, and people and bots that visit it, all as plain values."""

from __future__ import annotations

import hashlib
from collections import Counter

from stormpetrel.shield.admit import Policy
from stormpetrel.shield.cookies import mint
from stormpetrel.shield.decide import Shield
from stormpetrel.shield.identify import TokenEntry, TokenTable, address_identity, credentials_of, identify
from stormpetrel.shield.marks import DEVICE_COOKIE, VISITOR_COOKIE, mint_device, mint_visitor
from stormpetrel.shield.paths import (
    API,
    APPS,
    FEED,
    PAGE,
    SEARCH,
    SIGN_IN,
    SIGN_UP,
    STREAM,
    TAG,
    TOKEN,
    Family,
    PathFacts,
    PathTable,
)
from stormpetrel.shield.queues import GONE, RUNNING, Ticket

SECRET = b"a secret that is long enough"
EPOCH_S = 1_700_000_000.0
DAY_S = 86_400
TICK_S = 0.1


READING = {
    b"/search": SEARCH,
    b"/api/v2/search": SEARCH,
    b"/tags/storm": TAG,
    b"/tags/sea": TAG,
    b"/api/v1/streaming": STREAM,
    b"/api/v1/streaming/public": STREAM,
}
CHANGING = {
    b"/auth/sign_in": SIGN_IN,
    b"/auth/sign_up": SIGN_UP,
    b"/oauth/token": TOKEN,
    b"/api/v1/accounts": SIGN_UP,
    b"/api/v1/apps": APPS,
}
"""Kinds of paths, as a router would give them; other paths have the kind of their family."""


def path_table(*, exist: bool = True) -> PathTable:
    """Return the facts of the paths that the tests use. `exist`: there is a route for each of them."""

    def find(path: bytes) -> PathFacts:
        family, kind = Family.PAGE, PAGE
        if path.startswith(b"/api/"):
            family, kind = Family.API, API
        elif path.endswith(b".atom"):
            family, kind = Family.FEED, FEED
        return PathFacts(
            family=family, kind=READING.get(path, kind), changing_kind=CHANGING.get(path, kind), exists=exist
        )

    return PathTable(find)


def token(n: int) -> bytes:
    return b"token %d" % n


def token_hash(n: int) -> bytes:
    return hashlib.sha256(token(n)).digest()


class Visited:
    """A shield at work. `ask` makes a request, whose slot is free again `cost_s` after it began."""

    def __init__(self, *, cost_s: float = 0.003, exist: bool = True, **policy: object) -> None:
        self.tokens = TokenTable()
        self.at_s = 1000.0
        self.shield = Shield(
            Policy(**policy),  # type: ignore[arg-type]
            tokens=self.tokens,
            secret=SECRET,
            paths=path_table(exist=exist),
            at_s=self.at_s,
            epoch_s=EPOCH_S,
        )
        self.cost_s = cost_s
        self.running: list[tuple[float, Ticket]] = []  # (time of the beginning, ticket)
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self._next_turn_s = self.at_s + TICK_S

    @property
    def epoch_s(self) -> float:
        return EPOCH_S + self.at_s - 1000.0

    def member(
        self,
        n: int,
        *,
        age_s: float = DAY_S,
        application: str = "",
        is_operator: bool = False,
        is_confirmed: bool = True,
    ) -> None:
        """Make token n a valid token of account n, issued `age_s` ago."""
        self.tokens.put(
            token_hash(n),
            TokenEntry(
                n,
                int((self.epoch_s - age_s) * 1000),
                self.at_s,
                None,
                application=application,
                is_operator=is_operator,
                is_confirmed=is_confirmed,
            ),
        )

    def session(self, n: int, *, age_s: float = DAY_S) -> str:
        text = mint(SECRET, session_id=n, account_id=n, issued_at_s=int(self.epoch_s - age_s))
        return f"stormpetrel_session={text}"

    def device(self, n: int, *, age_s: float = DAY_S) -> str:
        text = mint_device(SECRET, mark_id=n, account_id=n, at_s=int(self.epoch_s - age_s))
        return f"{DEVICE_COOKIE}={text}"

    def visitor(self, n: int, *, age_s: float = DAY_S) -> str:
        return f"{VISITOR_COOKIE}={mint_visitor(SECRET, mark_id=n, at_s=int(self.epoch_s - age_s))}"

    def ask(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        address: str = "192.0.2.1",
        bearer: bytes | None = None,
        cookie: str = "",
        agent: str = "",
    ) -> Ticket:
        """Make one request now. Return its ticket: it runs, waits, or is GONE with a reason in `because`."""
        plain, _, query = path.partition("?")
        visit = identify(
            credentials_of(
                b"Bearer " + bearer if bearer is not None else None,
                cookie.encode() if cookie else None,
                query.encode(),
            ),
            stranger=address_identity(address),
            address=address,
            tokens=self.tokens,
            secret=SECRET,
            at_s=self.at_s,
        )
        ticket = self.shield.decide(
            visit,
            method=method,
            path=plain.encode(),
            query=query.encode(),
            cookie=cookie.encode() if cookie else None,
            headers=[(b"user-agent", agent.encode())],
            at_s=self.at_s,
        )
        if ticket.state != GONE:
            because = self.shield.ask(ticket, self.at_s)
            if because:
                ticket.because = because
            elif ticket.state == RUNNING:
                self.running.append((self.at_s, ticket))
        if ticket.state == GONE:
            self._refuse(ticket, ticket.because)
        self._evict()
        return ticket

    def pass_time(self, seconds: float) -> None:
        """Let time pass: running requests end, waiting ones begin, and deadlines and windows expire."""
        end_s = self.at_s + seconds
        while True:
            # All take the same time, so the first to begin ends first.
            ends_s = self.running[0][0] + self.cost_s if self.running else end_s + 1
            at_s = min(ends_s, self._next_turn_s)
            if at_s > end_s:
                break
            self.at_s = max(self.at_s, at_s)
            if ends_s <= self._next_turn_s:
                _, done = self.running.pop(0)
                self.shield.done(done, self.cost_s)
                self.outcomes[done.channel, "served"] += 1
            else:
                self._next_turn_s += TICK_S
                self.shield.turn(at_s=self.at_s, epoch_s=self.epoch_s)
            while (ticket := self.shield.gate.next(self.at_s)) is not None:
                self.running.append((self.at_s, ticket))
            self._evict()
        self.at_s = end_s

    def flood(self, seconds: float, *, rate: int = 2000, first: int = 0) -> None:
        """Send requests from strangers, each from its own address."""
        for n in range(int(seconds * rate)):
            self.ask(f"/@nino/{n}", address=f"203.0.{(first + n) // 250 % 250}.{(first + n) % 250}")
            self.pass_time(1 / rate)

    def _evict(self) -> None:
        for ticket, because in self.shield.gate.evicted():
            self._refuse(ticket, because)

    def _refuse(self, ticket: Ticket, because: str) -> None:
        self.outcomes[ticket.channel, "refused"] += 1
        refused = self.shield.refused(ticket, because, at_s=self.at_s, jitter=0.5)
        assert refused.status in (429, 503)
        assert refused.retry_after_s is not None
        assert refused.retry_after_s >= 1
