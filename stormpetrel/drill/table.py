"""Results for people: a table of channels, the scores, the missed targets, and one line for comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

from stormpetrel.drill.margins import Shortfall
from stormpetrel.drill.phases import RIGHT, UNKNOWN, WRONG, PhaseNotice
from stormpetrel.drill.score import KeptShare, Scores

if TYPE_CHECKING:
    from stormpetrel.drill.run import Result

HEADS = ("channel", "asked", "kept %", "worst %", "worst phase", "median ms", "p99 ms")
_SHORT = (
    *(("apps", "apps"), ("web", "web"), ("posting", "posts"), ("streaming", "streams")),
    *(("sms_in", "SMS"), ("new", "new")),
)
MIN_ASKED = 5
"""A phase with fewer requests is never the worst: one miss of three is not 67 %."""


def channel_rows(runs: Sequence[Scores]) -> list[tuple[str, ...]]:
    """Return a row for each channel over all runs: total requests, median kept, worst phase of any run."""
    rows: list[tuple[str, ...]] = []
    for channel in dict.fromkeys(name for one in runs for name in one.kept):
        mine = [one for one in runs if channel in one.kept]
        shares = [one.kept[channel].percent for one in mine]
        asked = sum(one.kept[channel].asked for one in mine)
        worst, phase = _worst(mine, channel)
        times = [one.latency[channel] for one in mine if channel in one.latency]
        rows.append(
            (
                channel,
                f"{asked:,}",
                percent(median(shares)),
                percent(worst) if phase else "",
                phase,
                _ms([middle for middle, _ in times]),
                _ms([late for _, late in times]),
            )
        )
    crowds = [one.crowd for one in runs if one.crowd is not None]
    if crowds:
        asked = sum(one.asked for one in crowds)
        rows.append(("crowd", f"{asked:,}", percent(median(one.percent for one in crowds)), "", "", "", ""))
    return rows


def _worst(runs: Sequence[Scores], channel: str) -> tuple[float, str]:
    found = [
        (kept[channel].percent, phase)
        for one in runs
        for phase, kept in one.kept_by_phase.items()
        if channel in kept and kept[channel].asked >= MIN_ASKED
    ]
    return min(found, default=(100.0, ""))


def _refused_requests(kept: KeptShare) -> str:
    refused = kept.asked - kept.ok
    per = f"{100_000 * refused / kept.asked:.0f}" if kept.asked else "0"
    return f"{refused:,} of {kept.asked:,} requests of known users refused, {per} per 100,000"


def score_rows(runs: Sequence[Scores]) -> list[tuple[str, str]]:
    """Return the scores G2 to G9, each with its value in words."""
    refused = {name for one in runs for name in one.collateral.refused}
    known = max((one.collateral.known for one in runs), default=0)
    apps = _worst_app(runs)
    return [
        ("G2 collateral", f"{len(refused)} of {known} known users refused at least once{apps}"),
        ("G2 requests", _refused_requests(pooled([one.collateral.requests for one in runs]))),
        ("G2 shared : own", _number([one.collateral.shared_to_own for one in runs], "times")),
        ("G3 mitigated in", _number([one.mitigated_s for one in runs], "s")),
        (
            "G3 windows of 10 s",
            f"{sum(one.windows_below for one in runs)} below 97 %, "
            f"{sum(one.adjacent_below for one in runs)} adjacent pairs below 99 % (members)",
        ),
        ("G4 recovered in", _number([one.recovered_s for one in runs], "s")),
        *(
            [("G4 restart", f"members served again after {_number([one.restored_s for one in runs], 's')}")]
            if any(one.restored_s is not None for one in runs)
            else []
        ),
        ("G5 members p99", _number([one.members_p99_ms for one in runs], "ms")),
        ("G5 hot page p99", _number([one.hot_p99_ms for one in runs], "ms")),
        (
            "G7 posts",
            f"{sum(one.posts for one in runs)} acknowledged, {sum(len(one.lost) for one in runs)} lost, "
            f"{sum(len(one.doubled) for one in runs)} doubled",
        ),
        *(
            (
                "G7 texts",
                f"{bill.texts} at the carrier, {one.lost_texts} that members waited for never came, "
                f"{bill.doubled} doubled",
            )
            for one in runs
            if (bill := one.bill) is not None
        ),
        (
            "G8 contract kept",
            f"{percent(pooled([one.contract for one in runs]).percent)} % of "
            f"{sum(one.contract.asked for one in runs)} refusals to apps and feed readers",
        ),
        ("G9 false alarms", f"{sum(one.false_alarms for one in runs)} refusals without an attack"),
        *(
            (
                "G10 status page",
                f"{page.reached} of {page.looks} times reached"
                + (f" (p99 {page.p99_ms:.0f} ms)" if page.p99_ms is not None else "")
                + f", lied for {page.lie_seconds} s"
                + (
                    f" ({', '.join(f'{name} {s} s' for name, s in page.lies_s.items())})"
                    if page.lies_s
                    else ""
                ),
            )
            for one in runs
            if (page := one.page) is not None
        ),
        *(("phases", _notice(phases)) for one in runs if (phases := one.phases)),
        *(
            (
                "front",
                f"{use.cpu_s:.1f} s of CPU, {use.cpu_s / use.server_s * 100:.0f} % of the server's; attackers sent "
                f"{use.sent:,} requests and left out {use.skipped:,}",
            )
            for one in runs
            if (use := one.front) is not None
        ),
        *(
            ("G12 money", f"{bill.cents / 100:.2f} of {bill.cap_cents / 100:.2f} for {bill.texts} texts")
            for one in runs
            if (bill := one.bill) is not None
        ),
    ]


def _notice(phases: Sequence[PhaseNotice]) -> str:
    """Return how soon the watch noticed the phases of a run, and how many it named."""
    counted = Counter(one.result for one in phases)
    missed = sum(one.noticed_s is None for one in phases)
    unnoticed = f" ({missed} not at all)" if missed else ""
    return (
        f"noticed after {_number([one.noticed_s for one in phases], 's')}{unnoticed}, over after "
        f"{_number([one.over_s for one in phases], 's')}; of {len(phases)} named right {counted[RIGHT]}, "
        f"wrong {counted[WRONG]}, unknown {counted[UNKNOWN]}"
    )


def _worst_app(runs: Sequence[Scores]) -> str:
    apps: dict[str, list[KeptShare]] = {}
    for one in runs:
        for name, kept in one.collateral.by_app.items():
            apps.setdefault(name, []).append(kept)
    hit = {
        name: all_.asked - all_.ok for name, kept in apps.items() if (all_ := pooled(kept)).ok < all_.asked
    }
    if not hit:
        return ""
    return "; by app: " + ", ".join(f"{name} {hit[name]}" for name in sorted(hit, key=lambda one: -hit[one]))


def pooled(kept: Sequence[KeptShare]) -> KeptShare:
    """Return the sum of `kept`."""
    return KeptShare(sum(one.ok for one in kept), sum(one.asked for one in kept))


def kept_line(runs: Sequence[Scores], *, behind: str = "") -> str:
    """Return the last line, for comparison: `kept: apps 99.7 · web 99.6 · … · lost 0`.

    `behind`: name of the front of the runs, if they had one with TLS: `kept behind nginx: …`.
    """
    parts = []
    for channel, name in _SHORT:
        shares = [one.kept[channel].percent for one in runs if channel in one.kept]
        if shares:
            parts.append(f"{name} {percent(median(shares))}")
    known = sum(one.collateral.known for one in runs)
    refused = sum(len(one.collateral.refused) for one in runs)
    parts.append(f"collateral {refused / known * 100 if known else 0.0:.2f} %")
    parts.append(f"mitigated {_number([one.mitigated_s for one in runs], 's')}")
    parts.append(f"lost {sum(len(one.lost) for one in runs)}")
    return f"kept{f' behind {behind}' if behind else ''}: {' · '.join(parts)}"


def percent(value: float) -> str:
    """Format with one decimal; "100" only if nothing is missing."""
    if value == 100.0:
        return "100"
    return f"{min(value, 99.9) if value >= 99.9 else value:.1f}"


def as_json(scores: Scores) -> dict[str, Any]:
    """Return the scores as plain values."""
    plain = asdict(scores)
    plain["kept"] = {name: _plain(kept) for name, kept in scores.kept.items()}
    plain["kept_by_phase"] = {
        phase: {name: _plain(kept) for name, kept in by.items()} for phase, by in scores.kept_by_phase.items()
    }
    plain["crowd"] = None if scores.crowd is None else _plain(scores.crowd)
    plain["contract"] = _plain(scores.contract)
    ratio = scores.collateral.shared_to_own
    plain["collateral"]["shared_to_own"] = None if ratio == float("inf") else ratio
    plain["latency"] = {
        name: {"median_ms": middle, "p99_ms": late} for name, (middle, late) in scores.latency.items()
    }
    return plain


def shortfall_lines(found: Sequence[Shortfall]) -> list[str]:
    """Return one line for each missed target."""
    return [f"missed target: {one.goal} {one.what}" for one in found]


def comparison(columns: Sequence[tuple[str, Sequence[Scores]]]) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows that compare the medians of the same drill in several modes."""
    heads = ["", *(name for name, _ in columns)]
    channels = dict.fromkeys(name for _, runs in columns for one in runs for name in one.kept)
    rows = [
        [f"{channel} %", *(_cell([_kept_percent(one, channel) for one in runs]) for _, runs in columns)]
        for channel in channels
    ]
    if any(one.crowd is not None for _, runs in columns for one in runs):
        rows.append(
            [
                "crowd %",
                *(_cell([one.crowd.percent if one.crowd else None for one in runs]) for _, runs in columns),
            ]
        )
    rows += [
        [
            "known users refused",
            *(str(len({n for one in runs for n in one.collateral.refused})) for _, runs in columns),
        ],
        [
            "shared : own",
            *(_number([one.collateral.shared_to_own for one in runs], "") for _, runs in columns),
        ],
        ["mitigated s", *(_number([one.mitigated_s for one in runs], "") for _, runs in columns)],
        ["members p99 ms", *(_number([one.members_p99_ms for one in runs], "") for _, runs in columns)],
        ["hot page p99 ms", *(_number([one.hot_p99_ms for one in runs], "") for _, runs in columns)],
        ["posts lost", *(str(sum(len(one.lost) for one in runs)) for _, runs in columns)],
        [
            "contract kept %",
            *(percent(pooled([one.contract for one in runs]).percent) for _, runs in columns),
        ],
    ]
    return heads, rows


def invalid_lines(
    columns: Sequence[tuple[str, Sequence[Result]]], scored: Sequence[tuple[str, Sequence[Scores]]]
) -> list[str]:
    """Return a line for each reason why a run is not valid: the run, the reason, and what to do."""
    return [
        f"{name}, seed {result.run.seed}: {problem}"
        for (name, results), (_, scores) in zip(columns, scored, strict=True)
        for result, one in zip(results, scores, strict=True)
        for problem in one.invalid
    ]


def _kept_percent(one: Scores, channel: str) -> float | None:
    return one.kept[channel].percent if channel in one.kept else None


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return percent(median(known)) if known else ""


def _plain(kept: KeptShare) -> dict[str, float]:
    return {"ok": kept.ok, "asked": kept.asked, "percent": round(kept.percent, 3)}


def _ms(values: Sequence[float]) -> str:
    return f"{median(values):,.0f}" if values else ""


def _number(values: Sequence[float | None], unit: str) -> str:
    """Return the median, and the worst value if there are several."""
    known = [value for value in values if value is not None]
    if not known:
        return "unknown"
    middle = median(known)
    text = f"{middle:.1f}"
    if len(known) > 1 and max(known) != middle:
        text += f" (worst {max(known):.1f})"
    return f"{text} {unit}".strip()
