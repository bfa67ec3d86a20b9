"""Computes every number of an insight report again, from the raw rows and in another way than the report's queries.

    python bench/recompute_insight.py REPORT.json DATA_DIR [COUNTRIES.csv]

It imports nothing of the product: it reads the rows with sqlite3 and their bodies with json, and adds up in Python.
It prints each number that differs, and each number that it cannot compute. Exit 1 if there is any.
"""

from __future__ import annotations

import csv
import ipaddress
import json
import math
import re
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Numbers = dict[str, Any]
Table = dict[tuple[Any, ...], Numbers]
AROUND_S, SLICES = 60, 120
SAME = 1e-9
ALL = ("served", "cached", "refused", "gone")
CLIENTS = {"web": "members", "posting": "members", "streaming": "members", "apps": "apps", "new": "visitors"}
CLIENTS |= {"returning": "visitors", "canary": "canaries", "feeds": "feeds", "sign_in": "sign-ins"}
PAGE_KINDS = (
    (r"/\Z", "start page"),
    (r"/(@|tags/).*\.atom\Z", "feed"),
    (r"/@[^/]*/", "post"),
    (r"/@", "profile"),
    (r"/tags/", "hashtag"),
    (r"/search\Z|/api/.*/search\Z", "search"),
    (r"/auth/|/oauth/", "sign-in"),
    (r"/api/", "API"),
    (r"/media/", "media"),
    (r"/sms/", "SMS"),
    (r"", "other"),
)


def client_of(channel: str) -> str:
    """Return the kind of client that uses a channel."""
    return CLIENTS.get(channel, "SMS" if channel.startswith("sms") else "others")


class Raw:
    """The rows of both files that belong to the time of the report."""

    def __init__(self, report: dict[str, Any], data_dir: Path) -> None:
        self.from_ms, self.until_ms = report["from_ms"], report["until_ms"]
        self.made_ms = report["made_ms"]
        self.from_s, self.until_s = self.from_ms // 1000, math.ceil(self.until_ms / 1000)
        attacks = _rows(data_dir / "attacks.sqlite", "SELECT at_s, body FROM moments ORDER BY at_s")
        self.moments = [(at_s, json.loads(body)) for at_s, body in attacks]
        self.during = [one for at_s, one in self.moments if self.from_s <= at_s <= self.until_s]
        self.around = [
            (at_s, one)
            for at_s, one in self.moments
            if self.from_s - AROUND_S <= at_s <= self.until_s + AROUND_S
        ]
        self.phases = [
            (json.loads(body) | {"ms": self.within_ms(began, ended), "ended": ended})
            for began, ended, body in _rows(
                data_dir / "attacks.sqlite", "SELECT began_ms, ended_ms, body FROM phases ORDER BY number"
            )
            if began <= self.until_ms and (not ended or ended >= self.from_ms)
        ]
        self.spans = [
            (number, onset, noticed, ended)
            for number, onset, noticed, ended in _rows(
                data_dir / "attacks.sqlite", "SELECT number, onset_ms, noticed_ms, ended_ms FROM spans"
            )
            if onset <= self.until_ms and (not ended or ended >= self.from_ms)
        ]
        self.entries = _rows(
            data_dir / "journal.sqlite",
            "SELECT at_ms, kind, who, address, application, channel, because, count, text FROM entries",
        )
        self.directions = _rows(
            data_dir / "journal.sqlite", "SELECT verdict, kind, expires_ms FROM directions"
        )

    def within_ms(self, began_ms: int, ended_ms: int) -> int:
        """Return the part of a time that is in the time of the report. `ended_ms`: 0 if it lasts."""
        return min(ended_ms or self.until_ms, self.until_ms) - max(began_ms, self.from_ms)

    def noted(self, *kinds: str, before_ms: int = 0, after_ms: int = 1999) -> list[tuple[Any, ...]]:
        """Return the journal's entries of these kinds in the time of the report."""
        return [
            row
            for row in self.entries
            if row[1] in kinds and self.from_ms - before_ms <= row[0] <= self.until_ms + after_ms
        ]


def _rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    raw = sqlite3.connect(path)
    try:
        return raw.execute(query).fetchall()
    finally:
        raw.close()


# Numbers


def numbers(raw: Raw) -> Numbers:
    """Return the single numbers by name."""
    during = raw.during
    seconds = sum(one["period_s"] for one in during)
    before = [one for at_s, one in raw.moments if raw.from_s - AROUND_S <= at_s < raw.from_s]
    before_s = sum(one["period_s"] for one in before)
    outcomes: Counter[str] = Counter()
    for one in during:
        for row in one["classes"].values():
            outcomes.update(row)
    known: Counter[str] = Counter()
    for one in during:
        for channel, row in one["known"].items():
            if channel != "canary":
                known.update(row)
    wanted = sum(known[name] for name in ALL) - known["excess"]
    succeeded = known["served"] + known["cached"] - known["failed"]
    phase_ms = sum(one["ms"] for one in raw.phases)
    collateral = raw.noted("collateral")
    attacks = {f"attack:{span[0]}" for span in raw.spans}
    checks = [row for row in raw.entries if row[1] == "check" and row[2] in attacks]
    posts, missing = ([row[7] for row in checks if row[6] == name] for name in ("posts", "posts_missing"))
    found = {
        "requests": _sum(one["requests"] for one in during),
        "sampled": _sum(one["sampled"] for one in during),
        "seconds": _sum(one["period_s"] for one in during),
        "overloaded_s": _sum(one["period_s"] if one["is_overloaded"] else 0 for one in during),
        "requests_per_s": sum(one["requests"] for one in during) / seconds if seconds else None,
        "peak_per_s": max((one["requests"] / one["period_s"] for one in during), default=None),
        **{
            f"texts_{name}": _sum(one["texts"][name] for one in during if name in one.get("texts", {}))
            for name in ("in", "out", "new")
        },
        "usual_per_s": sum(one["requests"] for one in before) / before_s if before_s else None,
        "onset_ms": min((span[1] for span in raw.spans), default=None),
        "ended_ms": max((min(span[3] or raw.until_ms, raw.until_ms) for span in raw.spans), default=None),
        "attacks": len(raw.spans),
        "lasted_s": _sum(raw.within_ms(span[1], span[3]) / 1000 for span in raw.spans),
        "noticed_after_s": max(((span[2] - span[1]) / 1000 for span in raw.spans), default=None),
        "phases": len(raw.phases),
        "attack_share": sum(one["attack_share"] * (one["ms"]) for one in raw.phases) / phase_ms
        if phase_ms
        else None,
        "known_share": succeeded / max(wanted, 1) if known else None,
        "known_missed": wanted - succeeded if known else None,
        "answered": outcomes["served"] + outcomes["cached"] if outcomes else None,
        "refused": outcomes.get("refused"),
        "gone": outcomes.get("gone"),
        "refused_known": sum(row[7] for row in collateral),
        "people_refused": len({row[2] for row in collateral if row[2]}),
        "restarts": len(raw.noted("worker")),
        "entries_lost": sum(row[7] for row in raw.noted("watch") if row[8].endswith("are lost")),
        "posts_checked": sum(posts) if posts else None,
        "posts_missing": sum(missing) if missing else None,
    }
    for name in ("worst_wait_ms", "loop_lag_ms", "writer_wait_ms"):
        found[name] = max((one[name] for one in during), default=None)
    return found


def _sum(values: Any) -> Any:
    found = list(values)
    return math.fsum(found) if found else None


# Tables


def tables(raw: Raw) -> dict[str, Table]:
    """Return the tables by name, rows by key."""
    return {
        "spans": {
            (number,): {
                "onset_ms": onset,
                "noticed_ms": noticed,
                "ended_ms": ended,
                "lasted_s": raw.within_ms(onset, ended) / 1000,
            }
            for number, onset, noticed, ended in raw.spans
        },
        **_phase_tables(raw),
        "clients": _outcomes(raw, "channels", client_of),
        "classes": _outcomes(raw, "classes"),
        "channels": _outcomes(raw, "channels"),
        "applications": _outcomes(raw, "applications"),
        "known": _known(raw, "known"),
        "known_applications": _known(raw, "known_applications"),
        **{name: _shares(raw, name, "sampled") for name in ("kinds", "sources", "agents", "referrers")},
        "cost": _shares(raw, "cost_ms", "cpu_ms"),
        "because": {(name,): {"refused": value} for name, value in _added(raw, "because").items()},
        "connections": {
            (name,): {
                "most": max(one["connections"][name] for one in raw.during if name in one["connections"])
            }
            for name in {name for one in raw.during for name in one["connections"]}
        },
        "features": _features(raw),
        **_pages(raw),
        **_journal_tables(raw),
    }


def _phase_tables(raw: Raw) -> dict[str, Table]:
    verdicts: Counter[str] = Counter()
    found: dict[str, Table] = {name: {} for name in ("phases", "vectors", "vector_evidence")}
    for one in raw.phases:
        verdicts[one["verdict"]] += one["ms"]
        found["phases"][(one["number"],)] = {
            "began_ms": one["began_ms"],
            "ended_ms": one["ended"],
            "lasted_s": (one["ms"]) / 1000,
            "attack_share": one["attack_share"],
            "volume_rule": int(one["volume_rule_says_attack"]),
            "addresses": one["addresses"],
            "networks": one["networks"],
        }
        for vector in one["vectors"]:
            found["vectors"][one["number"], vector["name"]] = {"share": vector["share"]}
            for item in vector["evidence"]:
                key = one["number"], vector["name"], item["name"]
                found["vector_evidence"][key] = {"value": item["value"], "usual": item["usual"]}
    for name in ("evidence_for", "evidence_against"):
        found[name] = {
            (one["number"], item["name"]): {"value": item["value"], "usual": item["usual"]}
            for one in raw.phases
            for item in one[name]
        }
    found["verdicts"] = {(name,): {"seconds": ms / 1000} for name, ms in verdicts.items()}
    return found


def _by_outcome(raw: Raw, path: str, name_of: Any = str) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for one in raw.during:
        for name, row in one[path].items():
            found[name_of(name)].update(row)
    return {name: row for name, row in found.items() if row}


def _outcomes(raw: Raw, path: str, name_of: Any = str) -> Table:
    return {
        (name,): {
            "requests": (all_ := sum(row[one] for one in ALL)),
            "answered": (answered := row["served"] + row["cached"]),
            "refused": row["refused"],
            "gone": row["gone"],
            "answered_share": answered / max(all_, 1),
        }
        for name, row in _by_outcome(raw, path, name_of).items()
    }


def _known(raw: Raw, path: str) -> Table:
    return {
        (name,): {
            "requests": (wanted := sum(row[one] for one in ALL) - row["excess"]),
            "succeeded": (succeeded := row["served"] + row["cached"] - row["failed"]),
            "failed": row["failed"],
            "refused": row["refused"],
            "gone": row["gone"],
            "succeeded_share": succeeded / max(wanted, 1),
        }
        for name, row in _by_outcome(raw, path).items()
    }


def _added(raw: Raw, path: str) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for one in raw.during:
        for name, value in one[path].items():
            found[name].append(value)
    return {name: math.fsum(values) for name, values in found.items()}


def _shares(raw: Raw, path: str, column: str) -> Table:
    found = _added(raw, path)
    all_ = max(math.fsum(found.values()), 1)
    return {(name,): {column: value, "share": value / all_} for name, value in found.items()}


def _features(raw: Raw) -> Table:
    found: dict[str, list[float]] = defaultdict(list)
    for one in raw.during:
        for name, value in one["features"].items():
            found[name].append(value)
    return {
        (name,): {"mean": math.fsum(values) / len(values), "most": max(values)}
        for name, values in found.items()
    }


def _pages(raw: Raw) -> dict[str, Table]:
    pages = _added(raw, "pages")
    kinds: dict[str, list[float]] = defaultdict(list)
    for path, sampled in pages.items():
        kinds[next(kind for pattern, kind in PAGE_KINDS if re.match(pattern, path))].append(sampled)
    return {
        "pages": {(path,): {"sampled": sampled} for path, sampled in pages.items()},
        "page_kinds": {
            (kind,): {"sampled": math.fsum(found), "pages": len(found)} for kind, found in kinds.items()
        },
    }


def _journal_tables(raw: Raw) -> dict[str, Table]:
    alarms = [row for row in raw.noted("canary") if row[6] != "ok"]
    noticed: dict[str, int] = {}
    names = {"overload": "watch", "incident": "operator"}
    for row in raw.noted("overload", "phase", "canary", "incident", before_ms=30_000, after_ms=90_000):
        if (row[1] == "canary" and row[6] == "ok") or (row[1] == "incident" and row[6] != "start"):
            continue
        name = names.get(row[1], row[1])
        noticed[name] = min(row[0], noticed.get(name, row[0]))
    on: dict[tuple[str, str], list[int]] = defaultdict(list)
    for verdict, kind, expires_ms in raw.directions:
        if expires_ms > raw.made_ms:
            on[verdict, kind].append(expires_ms)
    orders = Counter(row[1] for row in raw.noted("allow", "deny", "undo", "pause"))
    return {
        "collateral": _collateral(raw, lambda row: (row[5], row[4], row[6])),
        "collateral_channels": _collateral(raw, lambda row: (row[5], row[6])),
        "orders": {(name,): {"count": count} for name, count in orders.items()},
        "canaries": {
            (channel,): {
                "alarms": sum(row[5] == channel for row in alarms),
                "first_ms": min(row[0] for row in alarms if row[5] == channel),
            }
            for channel in {row[5] for row in alarms}
        },
        "rules_on": {key: {"count": len(ends), "last_end_ms": max(ends)} for key, ends in on.items()},
        "noticed": {(name,): {"at_ms": at_ms} for name, at_ms in noticed.items()},
    }


def _collateral(raw: Raw, key_of: Any) -> Table:
    found: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for row in raw.noted("collateral"):
        found[key_of(row)].append(row)
    return {
        key: {
            "refused": sum(row[7] for row in rows),
            "people": len({row[2] for row in rows if row[2]}),
            "first_ms": min(row[0] for row in rows),
            "last_ms": max(row[0] for row in rows),
        }
        for key, rows in found.items()
    }


# Series


def series(raw: Raw) -> dict[str, list[list[Any]]]:
    """Return the rows of each chart, keys first."""
    width_s = max(1, math.ceil((raw.until_s - raw.from_s + 2 * AROUND_S + 1) / SLICES))
    slices: dict[int, list[tuple[int, Numbers]]] = defaultdict(list)
    for at_s, one in raw.around:
        slices[(at_s - (raw.from_s - AROUND_S)) // width_s].append((at_s, one))
    found: dict[str, list[list[Any]]] = {"outcomes": [], "clients": [], "sources": []}
    for number, members in sorted(slices.items()):
        outcomes: Counter[str] = Counter()
        clients: dict[str, Counter[str]] = defaultdict(Counter)
        sources: Counter[str] = Counter()
        for _, one in members:
            for row in one["classes"].values():
                outcomes.update(row)
            for channel, row in one["channels"].items():
                if row:
                    clients[client_of(channel)].update(row)
            sources.update(one["sources"])
        found["outcomes"].append(
            [
                number,
                min(at_s for at_s, _ in members),
                sum(one["period_s"] for _, one in members),
                sum(one["requests"] for _, one in members),
                outcomes["served"] + outcomes["cached"],
                outcomes["refused"],
                outcomes["gone"],
            ]
        )
        found["clients"] += [
            [number, name, row["served"] + row["cached"], sum(row[one] for one in ALL)]
            for name, row in sorted(clients.items())
        ]
        found["sources"] += [[number, name, value] for name, value in sorted(sources.items())]
    return found


def countries(raw: Raw, table: Path) -> dict[str, int]:
    """Return the entries about noted addresses by country."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row and not row[0].startswith("#")]
    networks = sorted(
        ((ipaddress.ip_network(row[0].strip(), strict=False), row[1].strip()) for row in rows),
        key=lambda one: -one[0].prefixlen,
    )
    found: Counter[str] = Counter()
    for row in raw.noted("offender"):
        if row[3]:
            address = ipaddress.ip_address(row[3])
            found[next((name for network, name in networks if address in network), "not in the table")] += 1
    return dict(found)


# Comparing


def same(reported: Any, computed: Any, below: int = 0) -> bool:
    """Return whether two values are the same number, or both None. `below`: the limit of an inexact count."""
    if below:
        return reported is None and 0 < computed < below
    if reported is None or computed is None:
        return reported is computed
    return math.isclose(reported, computed, rel_tol=SAME, abs_tol=SAME)


def _both_series(report: dict[str, Any], raw: Raw) -> Iterator[tuple[str, dict[str, Any], list[list[Any]]]]:
    """Yield each series with the rows computed for it, but those that a public report leaves out."""
    expected = series(raw)
    for name, found in report["series"].items():
        if found["rows"] or report["edition"] != "public":
            yield name, found, expected.get(name, [])


def differences(report: dict[str, Any], raw: Raw, table: Path | None) -> tuple[int, list[str]]:
    """Return how many numbers the report has, and the differences."""
    checked, wrong = 0, []
    missing = object()

    def compare(place: str, reported: Any, computed: Any, below: int = 0) -> None:
        nonlocal checked
        checked += 1
        if computed is missing:
            wrong.append(f"{place}: {reported} cannot be computed")
        elif not same(reported, computed, below):
            shown = f"fewer than {below}" if below else reported
            wrong.append(f"{place}: {shown} in the report, {computed} computed")

    expected = numbers(raw)
    for name, number in report["numbers"].items():
        compare(name, number["value"], expected.get(name, missing), number.get("below", 0))
    expected_tables = tables(raw)
    for name, rows in report["tables"].items():
        for row in rows:
            key = tuple(row["key"].values())
            computed = expected_tables.get(name, {}).get(key, {})
            for column, number in row["numbers"].items():
                place = f"{name} {key} {column}"
                compare(place, number["value"], computed.get(column, missing), number.get("below", 0))
    for name, found, rows in _both_series(report, raw):
        if len(rows) != len(found["rows"]):
            wrong.append(f"series {name}: {len(found['rows'])} rows in the report, {len(rows)} computed")
        for mine, its in zip(rows, found["rows"], strict=False):
            for column, reported, computed in zip(found["columns"], its, mine, strict=True):
                if isinstance(reported, str):
                    if reported != computed:
                        wrong.append(f"series {name}: {reported} in the report, {computed} computed")
                else:
                    compare(f"series {name} {mine[0]} {column}", reported, computed)
    by_country = countries(raw, table) if table is not None and report["countries"] else {}
    for name, number in report["countries"].items():
        compare(f"countries {name}", number["value"], by_country.get(name, missing))
    return checked, wrong


def main(arguments: list[str]) -> int:
    """Compare a report with the files; return the exit code."""
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    report = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    table = Path(arguments[2]) if len(arguments) == 3 else None
    checked, wrong = differences(report, Raw(report, Path(arguments[1])), table)
    for text in wrong:
        print(text)
    right = checked - len(wrong)
    print(f"{right} of {checked} numbers are the same ({100 * right / max(checked, 1):.1f} %)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
