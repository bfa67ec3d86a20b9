"""The cost of a decision of the shield: identify, classify, admit, and charge the CPU time.

    python bench/shield_decision.py [--rounds 7] [--requests 20000] [--quick] [--json]

On one core, without a socket, for each kind of sender, in calm and under an attack (the queue is full, every
request waits). *Decided*: until it is known whether a request runs, waits or is refused. *All*: also finding
the next request, and charging the cost at the end. Target: a decision in at most 5 µs.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import time
from collections.abc import Callable

import peers

from stormpetrel.http.routing import Router
from stormpetrel.roles.web import ROUTES
from stormpetrel.shield.admit import Policy
from stormpetrel.shield.cookies import mint
from stormpetrel.shield.decide import Shield
from stormpetrel.shield.identify import TokenEntry, TokenTable, address_identity, credentials_of, identify
from stormpetrel.shield.marks import mint_visitor
from stormpetrel.shield.queues import GONE, RUNNING, Ticket

SENDERS = 500
DAY_S = 86_400
COST_S = 0.001
"""The CPU seconds that the bench charges for each request."""


class Bench:
    """A shield, and the heads of requests of each kind."""

    def __init__(self, *, attacked: bool) -> None:
        self.tokens = TokenTable()
        self.at_s = 1000.0
        epoch_s = time.time()
        self.shield = Shield(
            Policy(requests_per_5min=1_000_000_000),
            tokens=self.tokens,
            secret=peers.SECRET,
            paths=Router(ROUTES).facts,
            at_s=self.at_s,
            epoch_s=epoch_s,
        )
        old_s = int(epoch_s) - DAY_S
        for n in range(SENDERS):
            digest = hashlib.sha256(b"token %d" % n).digest()
            self.tokens.put(digest, TokenEntry(n, old_s * 1000, self.at_s, None, application="Tusky"))
        self.sessions = [
            b"stormpetrel_session="
            + mint(peers.SECRET, session_id=n, account_id=n, issued_at_s=old_s).encode()
            for n in range(SENDERS)
        ]
        self.visitors = [
            b"stormpetrel_visitor=" + mint_visitor(peers.SECRET, mark_id=n, at_s=old_s).encode()
            for n in range(SENDERS)
        ]
        # Determined once per connection.
        self.addresses = [
            (address, address_identity(address))
            for address in (f"198.{n % 100}.{n // 100}.{n % 99}" for n in range(5000))
        ]
        self.held: list[Ticket] = []
        if attacked:
            for window in range(400):
                self.at_s += 0.1
                late_s = 1.0 if window > 350 else 0.0
                self.shield.turn(at_s=self.at_s, epoch_s=epoch_s + self.at_s - 1000.0, lag_s=late_s)
            assert self.shield.overload.is_overloaded
            # All slots are taken and the queue is full of strangers.
            for n in range(600):
                ticket = self.decide(n, None, None)
                if ticket.state == RUNNING:
                    self.held.append(ticket)

    def decide(self, n: int, bearer: bytes | None, cookie: bytes | None) -> Ticket:
        """Do all the work before the application."""
        address, stranger = self.addresses[n % len(self.addresses)]
        at_s = self.at_s
        credentials = credentials_of(bearer, cookie, b"") if bearer or cookie else None
        visit = identify(
            credentials,
            stranger=stranger,
            address=address,
            tokens=self.tokens,
            secret=peers.SECRET,
            at_s=at_s,
        )
        ticket = self.shield.decide(
            visit,
            method="GET",
            path=b"/api/v1/timelines/home",
            query=b"",
            cookie=cookie,
            headers=(),
            at_s=at_s,
        )
        if ticket.state != GONE:
            self.shield.ask(ticket, at_s)
        return ticket

    def finish(self, ticket: Ticket) -> None:
        """Do all the work after it. Under attack a slot becomes free and another request is next."""
        if ticket.state == RUNNING:
            self.shield.done(ticket, COST_S)
            return
        self.shield.done(self.held.pop(0), COST_S)
        following = self.shield.gate.next(self.at_s)
        assert following is not None
        self.held.append(following)
        self.shield.gate.evicted()


KINDS: dict[str, Callable[[Bench, int], tuple[bytes | None, bytes | None]]] = {
    "an app's token": lambda bench, n: (b"Bearer token %d" % (n % SENDERS), None),
    "a session": lambda bench, n: (None, bench.sessions[n % SENDERS]),
    "a returning visitor": lambda bench, n: (None, bench.visitors[n % SENDERS]),
    "a stranger": lambda bench, n: (None, None),
    "a forged token": lambda bench, n: (b"Bearer forged %d" % n, None),
}


def run(kind: str, *, attacked: bool, requests: int) -> tuple[float, float]:
    """Return the µs per request: of the decision, and of all the work."""
    bench = Bench(attacked=attacked)
    heads = [KINDS[kind](bench, n) for n in range(requests)]
    clock = time.perf_counter
    gc.collect()
    gc.disable()
    empty_s = clock()
    for _ in range(requests):
        clock()
    clock_s = (clock() - empty_s) / requests
    decided_s = 0.0
    began_s = clock()
    for n, (bearer, cookie) in enumerate(heads):
        if not n % 100:
            bench.at_s += 0.02
        asked_s = clock()
        ticket = bench.decide(n, bearer, cookie)
        decided_s += clock() - asked_s
        bench.finish(ticket)
    taken_s = clock() - began_s
    gc.enable()
    return (decided_s / requests - clock_s) * 1e6, (taken_s / requests - 2 * clock_s) * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--quick", action="store_true", help="one round of 2,000 requests")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.requests = 1, 2000
    times: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for _ in range(options.rounds):
        for kind in KINDS:
            for attacked in (False, True):
                times.setdefault((kind, attacked), []).append(
                    run(kind, attacked=attacked, requests=options.requests)
                )
    rows = []
    for kind in KINDS:
        row: dict[str, object] = {"sender": kind}
        for attacked, when in ((False, "calm"), (True, "attacked")):
            decided, whole = zip(*times[kind, attacked], strict=True)
            row |= {f"{when}_decided_us": peers.spread(decided), f"{when}_all_us": peers.spread(whole)}
        rows.append(row)
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
