"""The state of each channel, from its canaries and the workers' counts. A pure step, once a second.

Each second gives a verdict on each channel, and the verdict changes the channel's one state:

| verdict | when | next state |
|---|---|---|
| GOOD | every canary succeeded, confirmed, and 95 % of the known clients were served | operational |
| DOUBT | a canary's newest result differs from the one before; it is repeated at once | as before |
| SLOW | a canary took longer than SLOW_MS | degraded_performance |
| REFUSES | the shield refuses new visitors, or 5 % of new feed readers; members are served | degraded_performance |
| SOME | under 95 % of the known clients, or no new visitor, got answers; a canary fails at times | partial_outage |
| NONE | the member's canary failed, confirmed, or less than half of the known clients were served | major_outage |
| WORKED_ON | a maintenance of the channel is in progress | under_maintenance |
| SILENT | no canary has a result that is younger than SILENT_S | unknown |

A result is confirmed by a second one, or if it is a timeout while the counts do not say that all is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from stormpetrel.control.messages import CanaryState
from stormpetrel.model.channel import ChannelState
from stormpetrel.shield.held import clients_held
from stormpetrel.shield.reports import EXCESS, FAILED, FEEDS, WorkerReport

SILENT_S = 30.0
SLOW_MS = 2_000.0
"""Text messages are not measured by it: their canary waits for the answer to be sent."""
GOOD_SHARE = 0.95
HALF = 0.5
FEW_BAD = 2
"""Fewer requests that failed than this say nothing."""
UNSTEADY = 3
"""A canary with this many changes in its last results fails now and then, which no two results in a row say."""
MANY = 10
"""From this many requests on, counts that are well speak against a canary that failed once."""
COUNTS_S = 3.0
LONGER_S = 10.0
RARE = 20
"""A channel with fewer requests in COUNTS_S is judged by those of LONGER_S too: the failures of few requests are
seldom in one window of three seconds."""
WANTS_S = 30.0
"""A person's app or browser asks about this often. So a client that waits as it was asked to would have failed once
in this time, if it had not waited."""
STREAMS = "streaming"
KNOWN_CHANNELS = {
    "web": ("web", "returning"),
    "apps": ("apps",),
    "posting": ("posting",),
    "streaming": ("streaming",),
    "sign_in": ("sign_in",),
    "feeds": ("feeds",),
}
"""The channels of the workers' counts (reports.CHANNELS) that belong to a channel of the page."""
_UNTIMED = frozenset({"sms_in", "sms_out"})


class ChannelVerdict(Enum):
    """A second's verdict on a channel; see the module."""

    GOOD = "good"
    DOUBT = "doubt"
    SLOW = "slow"
    REFUSES = "refuses"
    SOME = "some"
    NONE = "none"
    WORKED_ON = "worked on"
    SILENT = "silent"


NEXT_STATE = {
    ChannelVerdict.GOOD: ChannelState.OPERATIONAL,
    ChannelVerdict.SLOW: ChannelState.DEGRADED,
    ChannelVerdict.REFUSES: ChannelState.DEGRADED,
    ChannelVerdict.SOME: ChannelState.PARTIAL,
    ChannelVerdict.NONE: ChannelState.MAJOR,
    ChannelVerdict.WORKED_ON: ChannelState.MAINTENANCE,
    ChannelVerdict.SILENT: ChannelState.UNKNOWN,
}
"""The state that a verdict leads to, from any state. DOUBT leads to none: it waits for the next result."""


@dataclass(frozen=True, slots=True)
class KnownCounts:
    """Requests of known clients in the last seconds: served well, and failed, refused or given up.

    `held`: those that would have failed, of clients that were refused and wait as long as they were asked to. They
    send nothing, and still have no service. `lasting`: accounts with open streams, which are served without a
    request. An account may open 60 in each worker, so a count of streams would show what a few have.
    """

    good: int = 0
    bad: int = 0
    held: int = 0
    lasting: int = 0

    @property
    def share(self) -> float:
        """Return the share that was served well, 1.0 without enough failures to speak of."""
        return self._share(self.bad + self.held)

    @property
    def most_fail(self) -> bool:
        """Return True if less than half of the requests that came were served."""
        return self._share(self.bad) < HALF

    def _share(self, bad: int) -> float:
        good = self.good + self.lasting
        return 1.0 if bad < FEW_BAD else good / (good + bad)

    @property
    def is_plain(self) -> bool:
        """Return True if many requests say that the channel works."""
        return self.good >= MANY and self.good >= GOOD_SHARE * (self.good + self.bad)


NO_COUNTS = KnownCounts()


def tally(outcomes: Iterable[Mapping[str, int]]) -> KnownCounts:
    """Return the sum of the counts of reports, by outcome (shield/reports.py)."""
    good = bad = 0
    for row in outcomes:
        failed = row.get(FAILED, 0)
        good += max(0, row.get("served", 0) + row.get("cached", 0) - failed)
        # A client over its own limit is refused for what it did, and one that leaves at once has lost nothing:
        # neither says anything of the service.
        bad += failed + max(0, row.get("gone", 0) + row.get("refused", 0) - row.get(EXCESS, 0))
    return KnownCounts(good, bad)


def known_counts(
    channel: str, reports: Sequence[WorkerReport], *, earlier: Sequence[WorkerReport] = ()
) -> KnownCounts:
    """Return the counts of a channel of the page.

    `reports`: those of the last COUNTS_S, oldest first; `earlier`: those before them, of LONGER_S.
    """
    names = KNOWN_CHANNELS.get(channel, ())
    newest = {report.worker: report for report in reports}.values()
    held = clients_held([report.held[name] for report in newest for name in names if name in report.held])
    rows = [report.known.get(name, {}) for report in reports for name in names]
    if channel == STREAMS:
        counts = tally(rows)
        # The requests of the last seconds are only those that opened a stream: most people opened theirs long ago.
        lasting = sum(report.streaming_members for report in newest)
        return replace(counts, held=max(0, held - counts.bad), lasting=lasting)
    return _lately(rows, [report.known.get(name, {}) for report in earlier for name in names], held=held)


def new_reader_counts(
    channel: str, reports: Sequence[WorkerReport], *, earlier: Sequence[WorkerReport] = ()
) -> KnownCounts:
    """Return the counts of new feed readers; none for another channel. Otherwise as `known_counts`.

    A feed reader has no cookie and no credential. So after a restart, or for a worker that never served it, a regular
    reader looks like a new one, and the counts of known clients do not have it. Each that waits counts as a request:
    readers ask seldom, so few requests of the last seconds stand for as few readers.
    """
    if channel != FEEDS:
        return KnownCounts()
    held = clients_held([report.held_readers for report in {one.worker: one for one in reports}.values()])
    counts = _lately([one.new_readers for one in reports], [one.new_readers for one in earlier], held=0)
    return replace(counts, held=held)


def _lately(
    rows: Sequence[Mapping[str, int]], earlier: Sequence[Mapping[str, int]], *, held: int
) -> KnownCounts:
    """Return the counts of COUNTS_S; those of LONGER_S, if there are few and the longer ones show more trouble."""
    counts = replace(tally(rows), held=round(held * COUNTS_S / WANTS_S))
    if counts.good + counts.bad < RARE:
        longer = replace(tally([*earlier, *rows]), held=round(held * LONGER_S / WANTS_S))
        # It can only show more trouble: a busy channel that hangs has few requests too, and served many before.
        if longer.share < min(counts.share, GOOD_SHARE):
            return longer
    return counts


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """A channel of the page. `since_epoch_s`: of this state. `measured_epoch_s`: of the newest result, 0 for none.

    `troubled_epoch_s`: since when people have had any trouble with it, 0 while they have none. `ms`: the duration of
    the newest member's canary that succeeded. `reason`: why it is not operational, for people. `hurt`: the
    applications whose people are hurt, by name. `is_measured`: False if this watch has no canary for the channel.
    """

    channel: str
    state: ChannelState
    since_epoch_s: float
    measured_epoch_s: float
    troubled_epoch_s: float = 0.0
    ms: float = 0.0
    reason: str = ""
    hurt: tuple[str, ...] = ()
    is_measured: bool = True


def step(
    before: ChannelStatus,
    canaries: Iterable[CanaryState],
    counts: KnownCounts,
    *,
    now_epoch_s: float,
    newcomers: KnownCounts = NO_COUNTS,
    is_worked_on: bool = False,
    hurt: tuple[str, ...] = (),
) -> ChannelStatus:
    """Return the channel's status after this second. `canaries`: its own, one for each person.

    `newcomers`: of clients that are not known from before. `is_worked_on`: a maintenance of it is in progress.
    `hurt`: applications whose people are hurt.
    """
    results = tuple(canaries)
    if before.state is ChannelState.OPERATIONAL:
        # Programs of an attack are refused too, and never come back: those that wait can only make a trouble last.
        newcomers = replace(newcomers, held=0)
    verdict, reason = judge(results, counts, newcomers, now_epoch_s=now_epoch_s)
    if is_worked_on:
        verdict, reason = ChannelVerdict.WORKED_ON, "Maintenance is in progress."
    elif hurt and verdict in (ChannelVerdict.GOOD, ChannelVerdict.DOUBT):
        verdict, reason = ChannelVerdict.SOME, "Some apps get errors."
    state = NEXT_STATE.get(verdict, before.state)
    ms = next((one.ms for one in results if one.outcome == "ok"), before.ms)
    return ChannelStatus(
        before.channel,
        state,
        before.since_epoch_s if state is before.state else now_epoch_s,
        max((one.at_epoch_s for one in results), default=0.0),
        _troubled(before, state, now_epoch_s),
        ms,
        before.reason if verdict is ChannelVerdict.DOUBT else reason,
        hurt,
    )


def _troubled(before: ChannelStatus, state: ChannelState, now_epoch_s: float) -> float:
    if state in (ChannelState.OPERATIONAL, ChannelState.MAINTENANCE):
        return 0.0
    # Without a measurement a trouble neither begins nor ends.
    return before.troubled_epoch_s or (0.0 if state is ChannelState.UNKNOWN else now_epoch_s)


def judge(
    results: tuple[CanaryState, ...],
    counts: KnownCounts,
    newcomers: KnownCounts = NO_COUNTS,
    *,
    now_epoch_s: float,
) -> tuple[ChannelVerdict, str]:
    """Return the verdict on a channel, and its reason for people; "" if it is good."""
    fresh = [one for one in results if one.outcome and now_epoch_s - one.at_epoch_s < SILENT_S]
    if not fresh:
        return ChannelVerdict.SILENT, "There is no measurement of the last 30 s."
    if counts.most_fail:
        return ChannelVerdict.NONE, "Most requests fail."
    has_member = any(one.person == "member" for one in fresh)
    found = [_of_canary(one, counts, has_member=has_member) for one in fresh]
    worst = max(found, key=lambda each: _GRAVITY.index(each[0]))
    if counts.share < GOOD_SHARE and _GRAVITY.index(worst[0]) < _GRAVITY.index(ChannelVerdict.SOME):
        return ChannelVerdict.SOME, "Some requests fail."
    if newcomers.share < GOOD_SHARE and _GRAVITY.index(worst[0]) < _GRAVITY.index(ChannelVerdict.REFUSES):
        return ChannelVerdict.REFUSES, "New feed readers are asked to try again later."
    if worst[0] is ChannelVerdict.GOOD and len(fresh) < len(results):
        # One of the persons was not measured: the state before stays.
        return ChannelVerdict.DOUBT, ""
    return worst


_GRAVITY = (
    ChannelVerdict.GOOD,
    ChannelVerdict.DOUBT,
    ChannelVerdict.SLOW,
    ChannelVerdict.REFUSES,
    ChannelVerdict.SOME,
    ChannelVerdict.NONE,
)


def _of_canary(one: CanaryState, counts: KnownCounts, *, has_member: bool) -> tuple[ChannelVerdict, str]:
    is_decided = one.in_row >= 2 or (one.outcome == "timeout" and not counts.is_plain)
    if one.changes >= UNSTEADY and (one.outcome == "ok" or not is_decided):
        return ChannelVerdict.SOME, "Some requests fail."
    if one.outcome == "ok":
        if not (one.in_row >= 2 or one.is_first):
            return ChannelVerdict.DOUBT, ""
        if one.ms > SLOW_MS and one.channel not in _UNTIMED:
            return ChannelVerdict.SLOW, "Responses are slow."
        return ChannelVerdict.GOOD, ""
    if not is_decided:
        return ChannelVerdict.DOUBT, ""
    if one.person == "visitor":
        if one.outcome == "refused":
            return ChannelVerdict.REFUSES, "New visitors are asked to try again later."
        return (ChannelVerdict.SOME if has_member else ChannelVerdict.NONE), _REASONS[one.outcome]
    return (ChannelVerdict.SOME if counts.is_plain else ChannelVerdict.NONE), _REASONS[one.outcome]


_REASONS = {
    "refused": "Requests are refused.",
    "failed": "Requests fail.",
    "timeout": "There is no response.",
}
