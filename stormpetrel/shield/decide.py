"""The shield of one worker: decide on each visit from memory, and learn from the outcome.

`decide` returns a ticket, which may be refused already; then call `ask`, `next`, `done`, `leave` and
`refused`, and `turn` ten times a second. If all state here is lost, a bounded fair queue remains (admit.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from stormpetrel.shield.admit import Gate, Policy
from stormpetrel.shield.agents import AddressParts, FeedReaders
from stormpetrel.shield.answer import HEEDED, IGNORED, IGNORED_DEMOTES, Refused
from stormpetrel.shield.budgets import Budgets
from stormpetrel.shield.canary import canary_ticket, person_of
from stormpetrel.shield.classify import (
    ALLOWED,
    CHANGES,
    DEMOTED,
    DEVICE,
    ESTABLISHED,
    K3_FAR,
    KNOWN,
    LOOKED_UP,
    NEAR,
    OVER,
    READER,
    RETURNS,
    RULE_OF,
    SIGNS_IN,
    WRITES,
    channel_of,
)
from stormpetrel.shield.counters import Counters
from stormpetrel.shield.evidence import EvidenceCounts
from stormpetrel.shield.identify import Identity, TokenEntry, TokenTable, Visit
from stormpetrel.shield.marks import NO_MARKS, marks_of
from stormpetrel.shield.orders import Overrides
from stormpetrel.shield.overload import Overload
from stormpetrel.shield.paths import (
    API,
    FEED,
    PAGE,
    SEARCH,
    SIGN_IN,
    SIGN_INS,
    SIGN_UP,
    SIGNING,
    STREAM,
    TAG,
    TOKEN,
    PathFacts,
    PathTable,
    is_deep,
)
from stormpetrel.shield.prefixes import DAY_S, KNOWN_DAYS, Prefixes, prefix_of
from stormpetrel.shield.queues import GONE, Ticket
from stormpetrel.shield.reports import FAILED, Directions, WorkerReport
from stormpetrel.shield.usage import UsageMeter

WRITE_COST_S = 0.002
"""The cost of a write beyond its coroutine: the writer's time, and its echo."""
AGED_S = 3600
"""A visitor cookie of this age has its own ceiling and place in the queue; a younger one shares its address's.
A client that discards its cookie gets a new one with every page: 185 a second, each with a fresh ceiling."""
TOKEN_BYTES = 8
"""This much of a token's hash identifies it until it is looked up."""
TURNS_PER_ROLL = 10
"""`Usage` is updated once a second."""
PASSED = b"stormpetrel_passed=1"
"""Mode overcompensate: the cookie that its challenge sets."""
CHALLENGE = "mode/challenge"
LOOKS_UP = frozenset({API, STREAM})
_BUDGET_OF = {
    SIGN_IN: "sign-in", TOKEN: "token", SIGN_UP: "sign-up", SEARCH: "search", TAG: "tag", STREAM: "stream",
}  # fmt: skip
Credential = tuple[float, int | None, str, bool]
"""When it was issued (seconds since 1970), its account, its application or "", and if it is an operator's."""
UNKNOWN: Credential = (0.0, None, "", False)


class Shield:
    """See the module. `secret` signs cookies; `paths`: facts by raw path; `number`, `epoch_s`: for reports."""

    def __init__(
        self,
        policy: Policy,
        *,
        tokens: TokenTable,
        secret: bytes,
        paths: PathTable,
        at_s: float,
        epoch_s: float,
        number: int = 0,
    ) -> None:
        self.gate = Gate(policy, at_s=at_s)
        self.ask = self.gate.ask
        self.overload: Overload = self.gate.overload
        self.usage = UsageMeter()
        self.budgets = Budgets()
        self.prefixes = Prefixes()
        self.counters = Counters()
        self.evidence = EvidenceCounts()
        self.orders = Overrides()
        self.cutoff_epoch_s = 0.0
        self.is_paused = False
        self._tokens = tokens
        self._paths = paths
        self._secret = secret
        self._is_full = policy.mode == "full"
        self._challenges = policy.mode == "overcompensate"
        self._epoch_less_loop_s = epoch_s - at_s
        self._started_epoch_s = self._reported_epoch_s = epoch_s
        self._number = number
        self._sequence = self._turns = 0
        self._readers = FeedReaders()
        self._parts = AddressParts()
        self._day = int(epoch_s // DAY_S)

    # The life of a visit

    def decide(
        self,
        visit: Visit,
        *,
        method: str,
        path: bytes,
        query: bytes,
        cookie: bytes | None,
        headers: Sequence[tuple[bytes, bytes]],
        at_s: float,
        canary: bytes | None = None,
    ) -> Ticket:
        """Return the visit's ticket. If it is refused at once, it is GONE and `because` gives the reason.

        `cookie`: the Cookie header. `headers`: all of them, names in lower case. `canary`: the mark of the
        watch's own requests (canary.py).
        """
        if canary is not None and (probe := self._of_canary(canary, method, path, at_s)) is not None:
            return probe
        identity = visit.identity
        facts = self._paths[path]
        changes = method in WRITES
        if changes:
            kind = facts.changing_kind
            flags = CHANGES | SIGNS_IN if kind in SIGNING else CHANGES
        else:
            kind = facts.kind
            flags = 0
        cutoff_s = self.cutoff_epoch_s
        credential = self._credential(visit, cutoff_s)
        issued_s, account_id, application, is_operator = credential
        prefix = prefix_of(visit.address)
        if credential is not UNKNOWN:
            flags |= KNOWN
            if not cutoff_s or issued_s < cutoff_s or is_operator:
                flags |= ESTABLISHED
                if self.prefixes.days.get(prefix) != self._day:
                    self._saw(prefix, identity, cutoff_s, at_s)
        elif cookie is not None:
            identity, flags = self._marks(identity, flags, cookie, prefix, at_s)
        # Not needed for established credentials.
        is_near = not flags & ESTABLISHED and (self.prefixes.days.get(prefix) or -1) >= self._day - KNOWN_DAYS
        if is_near:
            flags |= NEAR
        suspect = identity
        if self._is_full and not self.is_paused:
            identity, flags, suspect = self._weigh(
                visit, identity, flags, kind, facts, query, headers, cutoff_s, is_near, at_s
            )
            if self.orders.any_allowed and self.orders.is_allowed(
                visit, account_id=account_id, application=application, epoch_s=at_s + self._epoch_less_loop_s
            ):
                flags = flags & ~(DEMOTED | OVER) | ALLOWED
        rule = RULE_OF[flags]
        is_known = bool(flags & KNOWN)
        ticket = Ticket(
            identity,
            rule.lane,
            None,
            rule.because,
            channel_of(kind, flags, is_app=visit.entry is not None),
            application,
            is_known,
            is_near,
        )
        ticket.suspect = suspect
        if changes:
            ticket.fixed_cost_s = WRITE_COST_S
        because = ""
        if self.orders.any_denied and self._is_full and not self.is_paused:
            because = self.orders.denied_because(
                visit,
                account_id=account_id,
                application=application,
                is_known=is_known,
                is_established=bool(flags & ESTABLISHED),
                is_operator=is_operator,
                epoch_s=at_s + self._epoch_less_loop_s,
            )
        elif self._challenges:
            because = _challenge(kind, cookie, cutoff_s)
        if not because:
            because = self.gate.spend(identity, at_s, visit.token_hash, changes and kind in SIGN_INS)
            ticket.remaining = self.gate.ceiling.remaining
        if because:
            ticket.because = because
            ticket.state = GONE
        return ticket

    def _of_canary(self, canary: bytes, method: str, path: bytes, at_s: float) -> Ticket | None:
        """Return the ticket of a canary's request; None if the mark is not valid."""
        person = person_of(self._secret, canary, now_epoch_s=at_s + self._epoch_less_loop_s)
        return person and canary_ticket(person, self._paths[path], changes=method in WRITES)

    def _credential(self, visit: Visit, cutoff_s: float) -> Credential:
        """Return the visit's token or session, UNKNOWN without a valid one. Note an operator's address."""
        entry = visit.entry
        if entry is not None and entry.identity is not None:
            if entry.is_operator:
                self.orders.saw_operator(visit.address)
            return (entry.created_at_ms / 1000, entry.account_id, entry.application, entry.is_operator)
        session = visit.session
        if session is None or visit.is_unverified:
            return UNKNOWN
        # Look up only where it matters: an established credential with no denies in force does not need it.
        is_operator = (
            bool((cutoff_s and session.issued_at_s >= cutoff_s) or self.orders.any_denied)
        ) and self._is_operators(session.session_id)
        if is_operator:
            self.orders.saw_operator(visit.address)
        return (session.issued_at_s, session.account_id, "", is_operator)

    def _saw(self, prefix: str, identity: Identity, cutoff_s: float, at_s: float) -> None:
        """Note the day's first visit with an established credential from a network."""
        if not cutoff_s or prefix in self.prefixes.days:
            self.prefixes.saw(prefix, epoch_s=at_s + self._epoch_less_loop_s, learn=not cutoff_s)
        else:
            self.prefixes.shelter(prefix, identity)

    def _weigh(
        self,
        visit: Visit,
        identity: Identity,
        flags: int,
        kind: int,
        facts: PathFacts,
        query: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        cutoff_s: float,
        is_near: bool,  # noqa: FBT001 - positional: this runs for every request
        at_s: float,
    ) -> tuple[Identity, int, Identity]:
        """Return identity and flags by the client's acts, and the identity to demote: the same, or a part of it."""
        if kind == FEED and self._readers.is_known(visit.address, headers, learn=not cutoff_s):
            flags |= READER
            if cutoff_s:
                self.prefixes.shelter(prefix_of(visit.address), identity)
        suspect = identity
        # In calm no identity is demoted, so an address is counted as a whole.
        if identity.kind == "address" and (
            self.overload.is_overloaded or self.gate.patience.seen or self.usage.demoted
        ):
            suspect = self._parts.of(identity, headers)
        if self.gate.patience.seen:
            flags |= self._behaviours(suspect, flags, at_s)
        if self.usage.demoted and self.usage.is_demoted(suspect, at_s):
            flags |= DEMOTED
        if not flags & (KNOWN | DEVICE):
            flags |= self._spend(visit, kind, facts, query, flags, is_near, at_s)
            if flags & LOOKED_UP:
                # Not in its address's place: a carrier's address may have hundreds of clients with tokens.
                token_hash, session = visit.token_hash, visit.session
                if token_hash is not None:
                    identity = suspect = Identity("token", token_hash[:TOKEN_BYTES].hex())
                elif session is not None:
                    identity = suspect = Identity("token", f"session {session.session_id}")
        return identity, flags, suspect

    def done(self, ticket: Ticket, cpu_s: float) -> None:
        """Take the ticket's slot back, once, and record its cost. `cpu_s`: the CPU time used so far."""
        cost_s = self.gate.done(ticket, cpu_s)
        if cost_s >= 0.0:
            self.usage.spent(ticket, cost_s)
            self.evidence.cost_s[ticket.kind] += cost_s
            self.counters.count(ticket, "served")

    def spent_later(self, ticket: Ticket, cpu_s: float) -> None:
        """Charge CPU time that the request used after it gave its slot back."""
        self.gate.charge(ticket, cpu_s)
        self.usage.spent_later(ticket.suspect, cpu_s)
        self.evidence.cost_s[ticket.kind] += cpu_s

    def failed(self, ticket: Ticket) -> None:
        """Count a request that got an error of the server instead of an answer, besides as served."""
        self.counters.count(ticket, FAILED)

    def leave(self, ticket: Ticket, *, at_s: float) -> None:
        """Drop a waiting ticket whose client has disconnected."""
        self.gate.leave(ticket)
        self.counters.left(ticket, at_s=at_s)

    def refused(self, ticket: Ticket, because: str, *, at_s: float, jitter: float) -> Refused:
        """Count a refusal and return it; remember how long the client should wait."""
        epoch_s = at_s + self._epoch_less_loop_s
        self.counters.refused(ticket, because, epoch_s=epoch_s)
        self.usage.refused(ticket)
        if because.startswith("deny/"):
            return Refused(429, because, "Too many requests", self.gate.denial_s(ticket.suspect, at_s))
        return self.gate.refusal(
            because, ticket.identity, suspect=ticket.suspect, at_s=at_s, epoch_s=epoch_s, jitter=jitter
        )

    def refused_again(self, ticket: Ticket, because: str, *, at_s: float) -> None:
        """Count a refusal that was sent again with the same bytes."""
        self.counters.refused(ticket, because, epoch_s=at_s + self._epoch_less_loop_s)
        self.usage.refused(ticket)

    def stranger(self, identity: Identity) -> Ticket:
        """Return a ticket for counting a request that had none: it waited for another's rendering."""
        return Ticket(identity, K3_FAR, channel="new")

    @property
    def is_stressed(self) -> bool:
        """Return True under overload while the shield is fully active."""
        return self.overload.is_overloaded and self._is_full and not self.is_paused

    # Periodic work

    def turn(self, *, at_s: float, epoch_s: float, lag_s: float = 0.0, writer_wait_s: float = 0.0) -> None:
        """Run ten times a second. `lag_s`: how late this call is; `writer_wait_s`: see `WorkerReport`."""
        self._epoch_less_loop_s = epoch_s - at_s
        self._day = int(epoch_s // DAY_S)
        gate = self.gate
        gate.turn(at_s)
        overload = self.overload
        overload.turn(
            at_s=at_s,
            epoch_s=epoch_s,
            oldest_waits_s=gate.oldest_waits_s(at_s),
            lag_s=lag_s,
            writer_wait_s=writer_wait_s,
        )
        directions = self.orders.directions
        if self.orders.expire(epoch_s):
            overload.direct(0.0)
            self.usage.merge(())
        self.is_paused = epoch_s < directions.paused_until_epoch_s and bool(directions.expires_epoch_s)
        self.cutoff_epoch_s = overload.cutoff_epoch_s
        gate.stress(self.is_stressed, lag_s=lag_s)
        self._turns += 1
        if self._turns >= TURNS_PER_ROLL:
            self._turns = 0
            self.usage.turn(at_s, is_overloaded=overload.is_overloaded and self._is_full)

    def direct(self, directions: Directions, *, epoch_s: float) -> None:
        """Apply directions from `watch`. Raise ValueError, changing nothing, if an entry is invalid."""
        if not self.orders.take(directions):
            return
        self.prefixes.load(directions.known_prefixes)
        self.usage.merge(directions.offenders)
        self.overload.direct(directions.onset_epoch_s, is_calm=directions.is_calm)
        self.cutoff_epoch_s = self.overload.cutoff_epoch_s
        self.is_paused = epoch_s < directions.paused_until_epoch_s
        if self.is_paused:
            self.usage.pardon()

    def report(
        self, *, at_s: float, connections: int, cached: int, because: dict[str, int], repeated: int = 0
    ) -> WorkerReport:
        """Return the report for the time since the last one, and start a new period.

        Not counted yet: `cached` answers and `repeated` refusals from memory, and the edge's own (`because`).
        """
        epoch_s = at_s + self._epoch_less_loop_s
        self.counters.add_visitors(cached=cached, repeated=repeated)
        self.counters.because.update(because)
        counts, all_because, refusals, sums = self.counters.take()
        overload = self.overload
        self._sequence += 1
        period_s, self._reported_epoch_s = epoch_s - self._reported_epoch_s, epoch_s
        worst_wait_s, overload.worst_wait_s = overload.worst_wait_s, 0.0
        worst_lag_s, overload.worst_lag_s = overload.worst_lag_s, 0.0
        return WorkerReport(
            worker=self._number,
            sequence=self._sequence,
            started_epoch_s=self._started_epoch_s,
            at_epoch_s=epoch_s,
            period_s=period_s,
            mode=self.gate.policy.mode,
            running=self.gate.running,
            connections=connections,
            worst_wait_s=worst_wait_s,
            loop_lag_s=worst_lag_s,
            writer_wait_s=overload.writer_wait_s,
            overload_since_epoch_s=overload.since_epoch_s,
            onset_epoch_s=overload.onset_epoch_s,
            directions_version=self.orders.directions.version,
            paused=self.is_paused,
            demoted=self.usage.demoted_count(at_s),
            classes=counts.classes,
            channels=counts.channels,
            applications=counts.applications,
            known=counts.known,
            known_applications=counts.known_applications,
            new_readers=counts.new_readers,
            because=all_because,
            waiting=self.gate.waiting_by_class(),
            offenders=self.usage.offenders(self.gate.patience),
            refusals=refusals,
            more_refusals=sums,
            prefixes=self.prefixes.news(),
            sources=self.usage.sources(self.gate.patience) if self.orders.directions.wants_sources else (),
            sheltered=self.prefixes.take_sheltered(is_calm=not self.cutoff_epoch_s),
        )

    # Flags of a visit

    def _marks(
        self, identity: Identity, flags: int, cookie: bytes, prefix: str, at_s: float
    ) -> tuple[Identity, int]:
        """Apply visitor and device cookies that are older than the attack."""
        epoch_s = at_s + self._epoch_less_loop_s
        marks = marks_of(self._secret, cookie, epoch_s=epoch_s)
        if marks is NO_MARKS:
            return identity, flags
        cutoff_s = self.cutoff_epoch_s
        visitor, device = marks
        if device is not None and (not cutoff_s or device.issued_at_s < cutoff_s):
            # A member's, signed out: also a returning visitor. All devices of an account are one identity.
            identity, flags = tuple.__new__(Identity, ("device", device.account_id)), flags | DEVICE | RETURNS
        elif visitor is not None and (not cutoff_s or visitor.issued_at_s < cutoff_s):
            flags |= RETURNS
            if epoch_s - visitor.issued_at_s >= AGED_S:
                identity = tuple.__new__(Identity, ("visitor", visitor.mark_id))
        if cutoff_s and flags & RETURNS:
            self.prefixes.shelter(prefix, identity if flags & DEVICE else visitor)
        return identity, flags

    def _behaviours(self, identity: Identity, flags: int, at_s: float) -> int:
        """Return NEAR if the client heeded its Retry-After; demote it if it ignored several in a row."""
        patience = self.gate.patience
        said = patience.arrived(identity, at_s)
        self.evidence.ignored += said == IGNORED
        if said == HEEDED:
            self.evidence.heeded += 1
            return NEAR
        # Many people share an address: one of them who comes early says nothing about the others.
        if said == IGNORED and not flags & (KNOWN | NEAR) and patience.ignored(identity) >= IGNORED_DEMOTES:
            self.usage.demote(identity, at_s)
        return 0

    def _spend(
        self,
        visit: Visit,
        kind: int,
        facts: PathFacts,
        query: bytes,
        flags: int,
        is_near: bool,  # noqa: FBT001 - given by place: it is asked for every request of a stranger
        at_s: float,
    ) -> int:
        """Return OVER if the unknown clients' budget for this kind of request is spent.

        Return LOOKED_UP for a token within its budget: after a restart, members' tokens are unknown too. That
        counts only where a token is looked up and the work is cheap: at sign-in or search, any random token
        would replace a small budget by a large one.
        """
        changes = bool(flags & CHANGES)
        dear = _BUDGET_OF.get(kind)
        if visit.is_unverified or (
            visit.token_hash is not None
            and visit.entry is None
            and kind in LOOKS_UP
            and not self._tokens.is_unknown(visit.token_hash, at_s)
        ):
            dear = "miss"
        elif dear is None:
            if changes:
                dear = "write"
            elif query and is_deep(query):
                dear = "deep"
            elif not facts.exists:
                dear = "nowhere"
        if dear is None:
            return 0
        if not self.budgets.take(dear, near=is_near, at_s=at_s):
            return OVER
        return LOOKED_UP if dear == "miss" else 0

    def _is_operators(self, session_id: int) -> bool:
        """Return whether the session is the operator's, if it was looked up lately."""
        entry: TokenEntry | None = self._tokens.get(b"session:%d" % session_id, 0.0)
        return entry is not None and entry.is_operator


def _challenge(kind: int, cookie: bytes | None, cutoff_s: float) -> str:
    """Return the reason to challenge a request in mode overcompensate; "" if there is none."""
    return CHALLENGE if cutoff_s and (kind != PAGE or PASSED not in (cookie or b"")) else ""
