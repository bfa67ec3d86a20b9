"""The targets of a run, and where a run (or the median of several) misses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from stormpetrel.drill.score import Scores

KEPT = {
    "apps": 0.995,
    "web": 0.995,
    "posting": 1.0,
    "streaming": 0.99,
    "returning": 0.98,
    "feeds": 0.99,
    "new": 0.95,
    "sms_in": 1.0,
    "sms_answers": 0.99,
    "sms_deliveries": 0.99,
}
"""G1, by channel. For new visitors the target is 90 % while the attackers pose as new visitors."""
NEW_IN_THEIR_OWN_VECTOR = 0.90
OWN_VECTORS = frozenset({"A1", "A2", "A4", "A15"})
CROWD = 0.99
COLLATERAL = 0.001
COLLATERAL_PEOPLE = 1
SHARED_TO_OWN = 1.1
MITIGATED_S = 5.0
RECOVERED_S = 10.0
RESTORED_S = 10.0
MEMBERS_P99_MS = 250.0
HOT_P99_MS = 150.0
SMS_ACKNOWLEDGED_P99_MS = 500.0
PAGE_P99_MS = 50.0
DOUBLED_TEXTS = 8
"""Texts in submission when A17 kills the role sms, which are sent again."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A target that was missed."""

    goal: str
    what: str


def shortfalls(runs: Sequence[Scores], *, strangers_attack: bool) -> list[Shortfall]:
    """Return the targets that the runs' median misses; losses, collateral and contract: over all runs.

    `strangers_attack`: a vector of the scenario poses as new visitors (OWN_VECTORS).
    """
    found: list[Shortfall] = []

    def at_least(goal: str, name: str, value: float | None, least: float) -> None:
        if value is not None and value < least:
            found.append(Shortfall(goal, f"{name} {value * 100:.2f} %, at least {least * 100:g} % required"))

    def at_most(goal: str, name: str, value: float | None, most: float, unit: str) -> None:
        if value is not None and value > most:
            found.append(Shortfall(goal, f"{name} {value:.1f} {unit}, at most {most:g} {unit} required"))

    for channel, least in KEPT.items():
        wanted = NEW_IN_THEIR_OWN_VECTOR if channel == "new" and strangers_attack else least
        shares = [one.kept[channel].share for one in runs if channel in one.kept]
        at_least("G1", channel, median(shares) if shares else None, wanted)
    at_least("G1", "crowd", _median(runs, lambda one: one.crowd.share if one.crowd else None), CROWD)
    refused = {name for one in runs for name in one.collateral.refused}
    known = sum(one.collateral.known for one in runs)
    if (
        len(refused) > COLLATERAL_PEOPLE
        and sum(len(one.collateral.refused) for one in runs) > known * COLLATERAL
    ):
        found.append(Shortfall("G2", f"{len(refused)} known users were refused, at most 1 allowed"))
    ratio = _median(runs, lambda one: one.collateral.shared_to_own)
    at_most("G2", "members on shared against own addresses", ratio, SHARED_TO_OWN, "times")
    at_most("G3", "mitigated in", _median(runs, lambda one: one.mitigated_s), MITIGATED_S, "s")
    windows = sum(one.windows_below for one in runs)
    if windows:
        found.append(Shortfall("G3", f"{windows} windows of 10 s below 97 % for members"))
    adjacent = sum(one.adjacent_below for one in runs)
    if adjacent:
        found.append(Shortfall("G3", f"{adjacent} pairs of windows of 10 s below 99 % for members"))
    at_most("G4", "recovered in", _median(runs, lambda one: one.recovered_s), RECOVERED_S, "s")
    at_most(
        "G4", "served again after the restart in", _median(runs, lambda one: one.restored_s), RESTORED_S, "s"
    )
    at_most("G5", "members' p99", _median(runs, lambda one: one.members_p99_ms), MEMBERS_P99_MS, "ms")
    at_most("G5", "the hot page's p99", _median(runs, lambda one: one.hot_p99_ms), HOT_P99_MS, "ms")
    acknowledged_ms = _median(runs, lambda one: one.latency["sms_in"][1] if "sms_in" in one.latency else None)
    at_most("G5", "the acknowledgement of texts, p99", acknowledged_ms, SMS_ACKNOWLEDGED_P99_MS, "ms")
    for name, texts in (("lost", [one.lost for one in runs]), ("doubled", [one.doubled for one in runs])):
        if count := sum(map(len, texts)):
            found.append(Shortfall("G7", f"{count} acknowledged posts {name}"))
    doubled = max((one.bill.doubled for one in runs if one.bill is not None), default=0)
    if doubled > DOUBLED_TEXTS:
        found.append(Shortfall("G7", f"{doubled} texts doubled, at most {DOUBLED_TEXTS} allowed"))
    broken = sum(one.contract.asked - one.contract.ok for one in runs)
    if broken:
        found.append(Shortfall("G8", f"{broken} refusals to apps or feed readers broke the contract"))
    alarms = sum(one.false_alarms for one in runs)
    if alarms:
        found.append(Shortfall("G9", f"{alarms} refusals without an attack"))
    return [*found, *_page(runs), *_money_spent(runs)]


def _page(runs: Sequence[Scores]) -> list[Shortfall]:
    found: list[Shortfall] = []
    for page in (one.page for one in runs if one.page is not None):
        if page.reached < page.looks:
            missed = page.looks - page.reached
            found.append(Shortfall("G10", f"the status page did not answer {missed} of {page.looks} times"))
        if page.p99_ms is not None and page.p99_ms > PAGE_P99_MS:
            text = f"the status page's p99 {page.p99_ms:.1f} ms, at most {PAGE_P99_MS:.0f} ms required"
            found.append(Shortfall("G10", text))
        if page.lie_seconds:
            found.append(Shortfall("G10", f"the status page lied for {page.lie_seconds} s"))
    return found


def _money_spent(runs: Sequence[Scores]) -> list[Shortfall]:
    return [
        Shortfall("G12", f"{_money(bill.cents)} for texts, at most {_money(bill.cap_cents)} allowed")
        for one in runs
        if (bill := one.bill) is not None and bill.is_over
    ]


def _money(cents: int) -> str:
    return f"{cents / 100:.2f}"


def _median(runs: Sequence[Scores], of: Callable[[Scores], float | None]) -> float | None:
    values = [value for one in runs if (value := of(one)) is not None]
    return median(values) if values else None
