"""The attackers' process: fires a plan's vectors at the instance, writes a line per second and vector.

    python -m stormpetrel.drill.attackers PLAN OUT

It is a separate process, so that its work delays neither the simulated people nor their clocks. The plan's
budget bounds what it may do; loopback.py restricts where it may connect to.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TextIO

from stormpetrel.drill.attack_connection import Fire, Tally
from stormpetrel.drill.community import Community, load
from stormpetrel.drill.engine import Engine
from stormpetrel.drill.loopback import Address, TrafficBudget, resolve
from stormpetrel.drill.record import AttackSecond, write
from stormpetrel.drill.scenario import Phase
from stormpetrel.drill.tls import TlsName
from stormpetrel.drill.vectors.attack_requests import Form, World, scattered
from stormpetrel.drill.vectors.catalogue import CATALOGUE, within_cap
from stormpetrel.drill.vectors.heads import BROWSERS, browse
from stormpetrel.drill.wire import connect

FORMS = 8
"""Sign-in forms fetched before the attack and reused: a bot pays for a form only once."""
FORM_VECTORS = frozenset({"A5", "A16", "A19", "A20"})
_FORM_TOKEN = re.compile(rb'name="csrf" value="([^"]+)"')
_FORM_TIMEOUT_S = 5.0
_PREPARING_S = 60.0
"""Much longer than fetching the forms takes: during the preparation only the connections are bounded."""


@dataclass(frozen=True, slots=True)
class AttackPlan:
    """The attackers' orders, as JSON. `host`, `port`: where to connect; `host_header`: the instance's name.

    `community`: path of the file written by community.save. `begin_s`: second 0 of the run on the machine's
    monotonic clock; 0 means as soon as the process is ready. `connections`, `seconds`: the budget. `pids`:
    the processes that A17 may kill, by the names of vectors/kills.py. `sms_port`: the instance's port for webhooks.
    `certificate`: path of the front's certificate for `host_header`; empty without a front.
    """

    host: str
    port: int
    host_header: str
    community: str
    phases: tuple[Phase, ...]
    seed: int
    begin_s: float
    connections: int
    seconds: float
    pids: dict[str, int]
    sms_port: int = 0
    certificate: str = ""

    def to_json(self) -> str:
        """Return the plan as JSON text."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> AttackPlan:
        """Return the plan in `text`, which `to_json` wrote."""
        raw = json.loads(text)
        phases = tuple(
            Phase(**(one | {"vectors": tuple((name, scale) for name, scale in one["vectors"])}))
            for one in raw["phases"]
        )
        return AttackPlan(**(raw | {"phases": phases}))


def attack(plan_path: Path, out_path: Path) -> None:
    """Carry out the plan and return when it is over. Raise NotLoopback before anything is sent."""
    plan = AttackPlan.from_json(plan_path.read_text(encoding="utf-8"))
    target = resolve(plan.host, plan.port)
    community = load(Path(plan.community), https=bool(plan.certificate))
    tls = TlsName(Path(plan.certificate), plan.host_header) if plan.certificate else None
    killer = Killer(plan.pids)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    budget = TrafficBudget.of(connections=plan.connections, seconds=_PREPARING_S)
    forms: tuple[Form, ...] = ()
    if FORM_VECTORS & {name for phase in plan.phases for name, _ in phase.vectors}:
        forms = asyncio.run(fetch_forms(target, plan.host_header, budget, tls))
    # Everything allocated so far lives until the end: keep the collector from scanning a thousand people
    # repeatedly.
    gc.freeze()
    begin_s = plan.begin_s or time.monotonic()
    budget.until_s = begin_s + plan.seconds
    with open(out_path, "a", encoding="utf-8") as out:
        engine = Engine(
            target,
            budget=budget,
            begin_s=begin_s,
            each_second=Clerk(out).each_second,
            kill=killer.kill,
            sms=resolve(plan.host, plan.sms_port),
            tls=tls,
        )
        engine.run(fires(plan, community, forms), seconds=plan.seconds)


def fires(plan: AttackPlan, community: Community, forms: tuple[Form, ...] = ()) -> Iterator[Fire]:
    """Yield every attack request of the plan in time order; always the same for a plan, community and forms."""
    for turn, phase in enumerate(plan.phases):
        seconds = phase.end_s - phase.start_s
        yield from heapq.merge(
            *(
                _fires_of(
                    name,
                    World(plan.host_header, community, scale, seconds, turn, forms),
                    phase,
                    Random(f"{plan.seed} {turn} {name}"),  # noqa: S311 - an attack, not a secret
                )
                for name, scale in within_cap(phase.vectors)
            ),
            key=lambda fire: fire.at_s,
        )


def _fires_of(name: str, world: World, phase: Phase, rng: Random) -> Iterator[Fire]:
    vector = CATALOGUE[name]
    most = round(vector.sockets * world.scale)
    for attack_request in vector.attack_requests(world, rng):
        yield Fire(phase.start_s + attack_request.at_s, phase.end_s, name, attack_request, most)


async def fetch_forms(
    target: Address, host: str, budget: TrafficBudget, tls: TlsName | None = None
) -> tuple[Form, ...]:
    """Fetch up to FORMS sign-in forms, each from a different address; failed fetches are left out."""
    found = []
    for number in range(FORMS):
        source = scattered(164, 1, number)
        try:
            exchange = await connect(
                target,
                source=source,
                budget=budget,
                timeout_s=_FORM_TIMEOUT_S,
                tls=tls.client() if tls is not None else None,
            )
        except (OSError, TimeoutError):
            continue
        try:
            answer = await exchange.send(
                browse(host, "/auth/sign_in", BROWSERS[0]), timeout_s=_FORM_TIMEOUT_S
            )
        except (OSError, TimeoutError):
            continue
        finally:
            exchange.close()
        token = _FORM_TOKEN.search(answer.body)
        if token is not None:
            cookie = "; ".join(f"{name}={value}" for name, value in answer.cookies().items())
            found.append(Form(cookie, token[1].decode("latin-1")))
    return tuple(found)


class Clerk:
    """Writes the tallies of each second. The first line also carries the CPU time of that second."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._cpu_s = time.process_time()

    def each_second(self, second: int, tallies: dict[str, Tally]) -> None:
        """Write a line for each vector."""
        before_s, self._cpu_s = self._cpu_s, time.process_time()
        lines = [
            AttackSecond(
                float(second),
                name,
                tally.sent,
                tally.ok,
                tally.refused,
                tally.failed,
                tally.connections,
                self._cpu_s - before_s if number == 0 else 0.0,
                tally.skipped,
            )
            for number, (name, tally) in enumerate(tallies.items())
        ]
        write(self._out, lines)
        self._out.flush()


class Killer:
    """Kills processes by pid, each once, only if the pid is still the same process as at the start."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._processes = {name: (pid, _started_at_ticks(pid)) for name, pid in pids.items()}

    def kill(self, name: str) -> bool:
        """Send SIGKILL to the process `name`; return False if it no longer exists."""
        pid, started = self._processes.pop(name, (0, None))
        if started is None or _started_at_ticks(pid) != started:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


def _started_at_ticks(pid: int) -> int | None:
    """Return a process's start in clock ticks since boot (proc(5), field 22); None if it does not exist."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])


if __name__ == "__main__":
    attack(Path(sys.argv[1]), Path(sys.argv[2]))
