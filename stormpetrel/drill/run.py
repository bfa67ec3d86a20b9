"""One run: the instance, the people's process and the attackers' process side by side, and their lines."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stormpetrel.drill import attackers, carrier, fronts, people, place
from stormpetrel.drill.audience import DEADLINE_S
from stormpetrel.drill.fronts import Front
from stormpetrel.drill.people_plan import PeoplePlan
from stormpetrel.drill.place import Place, PlaceFailed, busy_s, cpu_s
from stormpetrel.drill.record import (
    AttackSecond,
    CarrierBill,
    CpuUsage,
    FoundPost,
    Line,
    PageLook,
    Run,
    bill_json,
    found_json,
    look_json,
    parse,
    read,
    run_json,
    usage_json,
)
from stormpetrel.drill.scenario import Scenario
from stormpetrel.drill.score import Scores, score
from stormpetrel.drill.status_page import StatusReader

WATCH_EVERY_S = 0.5
GRACE_S = 200.0
"""Longest time after the end of the scenario for checking posts and clearing up."""
SETTLE_S = DEADLINE_S + 0.5
"""How long the people wait after the scenario for posts in streams: usually as long as for a post of its end."""
LOOK_S = 8.0
"""Share of checking posts in the progress: about as long as it takes without interference."""
ATTACK_CONNECTIONS_PER_S = 4_500
"""The attackers' budget: their cap of 4,000, plus a margin."""


class RunFailed(RuntimeError):
    """A run without a result: one of its processes failed or did not end."""


@dataclass(frozen=True, slots=True)
class Result:
    """All records of a run. `bill`: None in records of versions without text messages.

    `looks`: at the status page.
    """

    run: Run
    lines: tuple[Line, ...]
    attacks: tuple[AttackSecond, ...]
    found: tuple[FoundPost, ...]
    usage: CpuUsage
    bill: CarrierBill | None = None
    looks: tuple[PageLook, ...] = ()

    def scores(self) -> Scores:
        """Return the scores of the run."""
        return score(
            self.run.scenario, self.lines, self.attacks, self.found, self.usage, self.bill, self.looks
        )

    def to_lines(self) -> Iterator[str]:
        """Yield the result as JSON lines, from which `results` restores it."""
        yield run_json(self.run)
        yield from (one.to_json() for one in self.lines)
        yield from (one.to_json() for one in self.attacks)
        for found in self.found:
            yield found_json(found)
        yield from map(look_json, self.looks)
        if self.bill is not None:
            yield bill_json(self.bill)
        yield usage_json(self.usage)


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Progress of a run. `done`: the share of its whole work, from 0 to 1, never decreasing. `kept`: the
    share of people's requests served since the last report, or None."""

    done: float
    phase: str
    kept: float | None


@dataclass(frozen=True, slots=True)
class Setting:
    """How instances are made: `prepared` holds `data/`, `community` is the community's file; `command` starts
    an instance in the environment that `environment(directory, **settings)` returns."""

    prepared: Path
    community: Path
    command: Sequence[str]
    environment: Callable[..., dict[str, str]]


def run(
    setting: Setting,
    directory: Path,
    *,
    scenario: Scenario,
    mode: str,
    seed: int,
    scale: float,
    tell: Callable[[RunProgress], None],
    settings: Mapping[str, object] | None = None,
    front: str = "",
    has_tls: bool = False,
) -> Result:
    """Run the scenario once in `directory`, which must be new, against an instance in the shield's `mode`.

    `front`: a proxy to put in front of it, or empty; one of fronts.SHIPPED with `has_tls`, or else of fronts.FRONTS.
    Raise PlaceFailed, RunFailed, or FrontUnavailable.
    """
    trust: Mapping[str, object] = {}
    if front:
        # As the manuals recommend, the front passes the client's address and the server trusts it.
        trust = fronts.settings_behind(front) if has_tls else {"edge_trusted_proxies": "127.0.0.1"}
    with place.free_ports(1) as (carrier_port,):
        chosen = {
            "shield_mode": mode,
            **carrier.settings(carrier_port, seconds=scenario.seconds),
            **trust,
            **(settings or {}),
        }
        with place.running(
            setting.prepared,
            directory,
            command=setting.command,
            environment=setting.environment,
            settings=chosen,
        ) as there:
            with _front(front, there, has_tls=has_tls) as door:
                usage, looks = _both(setting, directory, there, door, carrier_port, scenario, seed, tell)
            if not there.is_running():
                raise PlaceFailed(f"the instance stopped during the run: {there.last_words()}")
    lines: list[Line] = []
    found: list[FoundPost] = []
    attacks: list[AttackSecond] = []
    bill: CarrierBill | None = None
    for name in ("people.jsonl", "attackers.jsonl"):
        for one in read(directory / name):
            if isinstance(one, Line):
                lines.append(one)
            elif isinstance(one, FoundPost):
                found.append(one)
            elif isinstance(one, AttackSecond):
                attacks.append(one)
            elif isinstance(one, CarrierBill):
                bill = one
    what = Run(scenario, mode, front, seed, scale, has_tls)
    return Result(what, tuple(lines), tuple(attacks), tuple(found), usage, bill, looks)


@contextmanager
def _front(name: str, there: Place, *, has_tls: bool) -> Iterator[Front | None]:
    if not name:
        yield None
        return
    with (
        fronts.shipped(name, upstream_port=there.web.port, status_port=there.status.port)
        if has_tls
        else fronts.FRONTS[name](upstream_port=there.web.port)
    ) as front:
        yield front


def _both(
    setting: Setting,
    directory: Path,
    there: Place,
    front: Front | None,
    carrier_port: int,
    scenario: Scenario,
    seed: int,
    tell: Callable[[RunProgress], None],
) -> tuple[CpuUsage, tuple[PageLook, ...]]:
    """Run people and attackers, and read the status page."""
    port = there.web.port if front is None else front.port
    certificate = f"{front.certificate}" if front is not None and front.certificate is not None else ""

    def front_cpu_s() -> float:
        return 0.0 if front is None else front.cpu_s()

    start_s = time.monotonic() + people.LEAD_S
    has_attack = any(phase.vectors for phase in scenario.phases)
    PeoplePlan(
        host=there.web.host,
        port=port,
        community=str(setting.community),
        scenario=scenario,
        seed=seed,
        start_s=start_s,
        sms_port=there.sms.port,
        carrier_port=carrier_port,
        name=fronts.DOMAIN if certificate else "",
        certificate=certificate,
    ).save(directory / "people.json")
    (directory / "attackers.json").write_text(
        attackers.AttackPlan(
            host=there.web.host,
            port=port,
            host_header=fronts.DOMAIN if certificate else f"{there.web.host}:{port}",
            community=str(setting.community),
            phases=scenario.phases,
            seed=seed,
            begin_s=start_s,
            connections=int(scenario.seconds * ATTACK_CONNECTIONS_PER_S),
            seconds=scenario.seconds,
            pids=_killable(there),
            sms_port=there.sms.port,
            certificate=certificate,
        ).to_json(),
        encoding="utf-8",
    )
    (directory / "attackers.jsonl").touch()
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with contextlib.ExitStack() as stack:
        for name in ("people", "attackers") if has_attack else ("people",):
            processes[name] = stack.enter_context(_process(name, directory))
        began_s, busy_before_s = time.monotonic(), busy_s()
        server_before_s, front_before_s = there.cpu_s(), front_cpu_s()
        reader = stack.enter_context(StatusReader(there.status, begin_s=start_s, seconds=scenario.seconds))
        used = _watch(processes, directory, there, scenario, start_s, tell)
    front_s = front_cpu_s() - front_before_s
    server_s = there.cpu_s() - server_before_s + front_s
    ours_s = server_s + sum(used.values())
    usage = CpuUsage(
        people_s=used["people"],
        attackers_s=used.get("attackers", 0.0),
        server_s=server_s,
        available_s=(time.monotonic() - began_s) * len(os.sched_getaffinity(0)),
        others_s=max(0.0, busy_s() - busy_before_s - ours_s),
        front_s=front_s,
    )
    return usage, tuple(reader.looks)


def _killable(there: Place) -> dict[str, int]:
    """Return the pids that A17 kills: a web worker, the watch, the courier (the store is a file) and the role sms."""
    children = there.children()
    wanted = {"web": "petrel-web-1", "watch": "petrel-watch", "store": "petrel-courier", "sms": "petrel-sms"}
    return {victim: children[name] for victim, name in wanted.items() if name in children}


@contextmanager
def _process(name: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m stormpetrel.drill.NAME`; kill it by its pid if the block ends first."""
    with open(directory / f"{name}.log", "wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", f"stormpetrel.drill.{name}"),
                *(str(directory / f"{name}.json"), str(directory / f"{name}.jsonl")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _watch(
    processes: Mapping[str, subprocess.Popen[bytes]],
    directory: Path,
    there: Place,
    scenario: Scenario,
    start_s: float,
    tell: Callable[[RunProgress], None],
) -> dict[str, float]:
    """Wait until all processes have ended; return the CPU seconds of each. Restart the instance when it is due.

    Raise RunFailed if one failed, PlaceFailed if the instance does not start again.
    """
    used = dict.fromkeys(processes, 0.0)
    tail = _Tail(directory / "people.jsonl")
    until_s = start_s + scenario.seconds + GRACE_S
    restarts = [phase.start_s for phase in scenario.phases if phase.restarts]
    while True:
        running = [name for name, process in processes.items() if process.poll() is None]
        for name in running:
            with contextlib.suppress(OSError):
                used[name] = cpu_s(processes[name].pid)
        for name, process in processes.items():
            if process.returncode not in (None, 0):
                said = (directory / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip()
                last = said.splitlines()[-1] if said else f"exit {process.returncode}"
                raise RunFailed(f"the process of {name!r} failed: {last}")
        if not running:
            return used
        if time.monotonic() > until_s:
            raise RunFailed(f"the process of {running[0]!r} does not stop")
        there.cpu_s()
        if restarts and time.monotonic() - start_s >= restarts[0]:
            del restarts[0]
            there.stop()
            there.start()
        kept = tail.kept()
        tell(moment(scenario, time.monotonic() - start_s, looked=tail.looked, kept=kept))
        time.sleep(WATCH_EVERY_S)


def moment(scenario: Scenario, t: float, *, looked: float, kept: float | None) -> RunProgress:
    """Return the progress of a run `t` seconds after its start (negative before it).

    `looked`: the share of posts already looked for. The four parts are: before the start, the scenario,
    waiting for the last answers, and checking posts. Only the last one has no known duration.
    """
    if t < 0:
        phase = "before the start"
    elif t < scenario.seconds:
        phase = scenario.at(t).name
    else:
        phase = "checking posts" if looked else "waiting for the last answers"
    by_time_s = people.LEAD_S + scenario.seconds + SETTLE_S
    done_s = by_time_s if looked else min(max(t + people.LEAD_S, 0.0), by_time_s)
    return RunProgress((done_s + LOOK_S * looked) / (by_time_s + LOOK_S), phase, kept)


class _Tail:
    """Reads the people's lines as they are written. `looked`: the share of all posts already looked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._posted: set[str] = set()
        self._found: set[str] = set()

    @property
    def looked(self) -> float:
        return len(self._found) / max(1, len(self._posted | self._found))

    def kept(self) -> float | None:
        """Return the share of first attempts served since the last call; None without any."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return None
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        came = [parse(text.decode()) for text in whole.splitlines()]
        lines = [one for one in came if isinstance(one, Line)]
        self._posted.update(one.text for one in lines if one.text)
        self._found.update(one.text for one in came if isinstance(one, FoundPost))
        first = [one for one in lines if not one.is_retry]
        return sum(one.outcome == "ok" for one in first) / len(first) if first else None


def results(path: Path) -> list[Result]:
    """Return the runs in a file of JSON lines, in order."""
    found: list[Result] = []
    parts: tuple[Run, list[Line], list[AttackSecond], list[FoundPost], list[PageLook]] | None = None
    bill: CarrierBill | None = None
    for one in read(path):
        match one:
            case Run():
                parts, bill = (one, [], [], [], []), None
            case Line() if parts:
                parts[1].append(one)
            case AttackSecond() if parts:
                parts[2].append(one)
            case FoundPost() if parts:
                parts[3].append(one)
            case PageLook() if parts:
                parts[4].append(one)
            case CarrierBill() if parts:
                bill = one
            case CpuUsage() if parts:
                of_run, lines, attacks, posts, looks = parts
                found.append(
                    Result(of_run, tuple(lines), tuple(attacks), tuple(posts), one, bill, tuple(looks))
                )
                parts = None
    return found
