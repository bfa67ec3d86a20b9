"""The lines of a run: one for each legitimate request, one for each second and vector. All scores and tables
are computed from them and can be computed again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from stormpetrel.drill.scenario import Scenario, from_plain

OK = "ok"
"""Served within the time that the person would wait."""
REFUSED = "refused"
"""The server refused: 429, 503, or a challenge."""
FAILED = "failed"
"""An error, a closed connection, or a wrong answer."""
TIMEOUT = "timeout"
"""No complete answer while the person waited."""
LATE = "late"
"""Complete, but too late to be useful (a streamed post after its deadline)."""
OUTCOMES = (OK, REFUSED, FAILED, TIMEOUT, LATE)

CHANNELS = (
    *("apps", "web", "posting", "streaming", "sign_in", "sign_up", "feeds", "returning", "new"),
    *("sms_in", "sms_answers", "sms_deliveries"),
)
"""Named as in the shield's reports, where both have the channel."""


@dataclass(frozen=True, slots=True)
class Line:
    """One legitimate request.

    `t`: intended time, in seconds since the start. `kind` ("class" in JSON): kind of people. `channel`: one
    of CHANNELS. `who`: the person's name, the same in all pooled runs. `app`: the OAuth application, or
    empty. `address_kind`: own, carrier, school, tor. `status`: 0 without an answer. `ms`: from the intended
    time to the last byte. `late_ms`: from the intended time until the generator sent it (its own lateness).
    `contract`: for a refusal to an API or feed client, True if it kept the contract, else None.
    `retry_after`: seconds, or None. `is_retry`: the client's retry after a failure. `text`: of an
    acknowledged post, the text to look for. `is_hot`: a request for the victim's page. `known`: the
    credential is older than the attack.
    """

    t: float
    phase: str
    kind: str
    channel: str
    who: str
    app: str
    address_kind: str
    status: int
    ms: float
    late_ms: float
    outcome: str
    contract: bool | None = None
    retry_after: float | None = None
    is_retry: bool = False
    text: str = ""
    is_hot: bool = False
    known: bool = False

    def to_json(self) -> str:
        """Return one line of JSON without a newline."""
        fields: dict[str, Any] = {
            "t": round(self.t, 4),
            "phase": self.phase,
            "class": self.kind,
            "channel": self.channel,
            "who": self.who,
            "app": self.app,
            "address_kind": self.address_kind,
            "status": self.status,
            "ms": round(self.ms, 2),
            "late_ms": round(self.late_ms, 2),
            "outcome": self.outcome,
            "contract": self.contract,
            "retry_after": self.retry_after,
        }
        for name in ("is_retry", "text", "is_hot", "known"):
            if value := getattr(self, name):
                fields[name] = value
        return json.dumps(fields, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class FoundPost:
    """After the run: how often an acknowledged post's text is there (1 is right, 0 lost, 2 doubled)."""

    text: str
    times: int


@dataclass(frozen=True, slots=True)
class AttackSecond:
    """One second of one vector. `cpu_s`: CPU of the attackers' process since the line before, or 0.

    `skipped`: requests of the plan that were not sent.
    """

    t: float
    vector: str
    sent: int
    ok: int
    refused: int
    failed: int
    connections: int
    cpu_s: float = 0.0
    skipped: int = 0

    def to_json(self) -> str:
        """Return one line of JSON without a newline."""
        return json.dumps(
            {
                "t": round(self.t, 3),
                "vector": self.vector,
                "sent": self.sent,
                "ok": self.ok,
                "refused": self.refused,
                "failed": self.failed,
                "connections": self.connections,
                "cpu_s": round(self.cpu_s, 4),
                "skipped": self.skipped,
            }
        )


@dataclass(frozen=True, slots=True)
class PageLook:
    """The status page at a second of the run: the state of each channel by name; empty if it did not answer.

    `ms`: how long reading it took. `verdict`, `vectors`: of the watch's metrics on the present traffic, "" and none
    if they were not read.
    """

    t: float
    ms: float
    shown: dict[str, str]
    verdict: str = ""
    vectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CarrierBill:
    """After the run: texts that the carrier took, their price, and the instance's limit of money.

    `doubled`: texts to members' phones that came twice; 0 in records of versions that did not count them.
    """

    texts: int
    cents: int
    cap_cents: int
    doubled: int = 0

    @property
    def is_over(self) -> bool:
        """Return True if more was spent than the limit allows."""
        return self.cents > self.cap_cents


@dataclass(frozen=True, slots=True)
class Run:
    """The first line of a run: its parameters. `front`: the proxy in front of the instance, or empty.

    `has_tls`: the front is configured as in deploy/, with TLS; otherwise with the limits that its manual advises.
    """

    scenario: Scenario
    mode: str
    front: str
    seed: int
    scale: float
    has_tls: bool = False

    @property
    def column(self) -> str:
        """Return the name of the run in tables: `full`, `full behind nginx`, or `nginx` for its own limits."""
        if self.front:
            return f"{self.mode} behind {self.front}" if self.has_tls else self.front
        return self.mode


@dataclass(frozen=True, slots=True)
class CpuUsage:
    """CPU seconds of a whole run: people's and attackers' processes, the server, the total available.

    `others_s`: of all other processes on the machine. `front_s`: of the front, a part of `server_s`.
    """

    people_s: float
    attackers_s: float
    server_s: float
    available_s: float
    others_s: float = 0.0
    front_s: float = 0.0


Entry = Line | AttackSecond | FoundPost | PageLook | CarrierBill | CpuUsage | Run
"""A line of a record."""


def found_json(found: FoundPost) -> str:
    """Return one line of JSON."""
    return json.dumps({"found": found.text, "times": found.times}, ensure_ascii=False)


def look_json(look: PageLook) -> str:
    """Return one line of JSON."""
    fields: dict[str, Any] = {"page": look.shown, "t": round(look.t, 3), "ms": round(look.ms, 2)}
    if look.verdict:
        fields |= {"verdict": look.verdict, "vectors": look.vectors}
    return json.dumps(fields)


def bill_json(bill: CarrierBill) -> str:
    """Return one line of JSON."""
    return json.dumps({"bill": asdict(bill)})


def usage_json(usage: CpuUsage) -> str:
    """Return one line of JSON."""
    return json.dumps(
        {
            "usage": {
                "people_s": round(usage.people_s, 3),
                "attackers_s": round(usage.attackers_s, 3),
                "server_s": round(usage.server_s, 3),
                "available_s": round(usage.available_s, 3),
                "others_s": round(usage.others_s, 3),
                "front_s": round(usage.front_s, 3),
            }
        }
    )


def run_json(run: Run) -> str:
    """Return one line of JSON."""
    return json.dumps({"run": asdict(run)}, ensure_ascii=False)


def parse(line: str) -> Entry | None:
    """Parse a line; return None for an unknown kind (of a later version)."""
    raw: dict[str, Any] = json.loads(line)
    if "class" in raw:
        raw["kind"] = raw.pop("class")
        return Line(**raw)
    if "vector" in raw:
        return AttackSecond(**raw)
    if "found" in raw:
        return FoundPost(raw["found"], raw["times"])
    if "page" in raw:
        vectors = tuple(raw.get("vectors", ()))
        return PageLook(raw["t"], raw["ms"], raw["page"], raw.get("verdict", ""), vectors)
    if "bill" in raw:
        return CarrierBill(**raw["bill"])
    if "usage" in raw:
        return CpuUsage(**raw["usage"])
    if "run" in raw:
        return Run(**(raw["run"] | {"scenario": from_plain(raw["run"]["scenario"])}))
    return None


def read(path: Path) -> Iterator[Entry]:
    """Yield every entry of a file that `parse` knows; skip a truncated last line."""
    with open(path, encoding="utf-8") as file:
        for text in file:
            if text.endswith("\n") and (one := parse(text)) is not None:
                yield one


def write(file: TextIO, lines: Iterable[Line | AttackSecond]) -> None:
    """Append lines to `file`."""
    file.writelines(f"{line.to_json()}\n" for line in lines)
