"""The attackers' process against a small real instance: each vector sends its attack requests, and ends in time."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from stormpetrel.drill.attackers import AttackPlan, Killer, fires
from stormpetrel.drill.community import Community, save
from stormpetrel.drill.loopback import NotLoopback
from stormpetrel.drill.record import AttackSecond, read
from stormpetrel.drill.scenario import Phase
from stormpetrel.drill.vectors.catalogue import CATALOGUE
from tests.drill.attacked import invented_community, real_community
from tests.people import Place

ATTACK_S = 2.0
SCALE = 0.05
ASKING = ("A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A12", "A16")
"""Vectors whose attack requests are single requests."""


@pytest.fixture(scope="module")
def community(quiet_place: Place) -> Community:
    return real_community(quiet_place)


def plan_for(
    directory: Path, port: int, community: Community, *phases: Phase, **more: object
) -> tuple[Path, Path, AttackPlan]:
    """Write a plan that begins when the process is ready. Return its path, the path of its lines, and the
    plan.
    """
    save(community, directory / "community.json")
    fields = {
        "host": "127.0.0.1",
        "port": port,
        "host_header": f"127.0.0.1:{port}",
        "community": str(directory / "community.json"),
        "phases": phases,
        "seed": 1,
        "begin_s": 0.0,
        "connections": 100_000,
        "seconds": phases[-1].end_s + 12.0,  # for late answers; the process ends sooner if none are pending
        "pids": {},
    } | more
    plan = AttackPlan(**fields)  # type: ignore[arg-type]
    (directory / "plan.json").write_text(plan.to_json(), encoding="utf-8")
    return directory / "plan.json", directory / "lines", plan


def run(plan: Path, lines: Path) -> list[AttackSecond]:
    """Run the process as the drill does, and return its lines."""
    done = subprocess.run(
        [sys.executable, "-m", "stormpetrel.drill.attackers", plan, lines],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in read(lines) if isinstance(line, AttackSecond)]


@pytest.fixture(scope="module")
def attacked(
    quiet_place: Place, community: Community, tmp_path_factory: pytest.TempPathFactory
) -> tuple[AttackPlan, list[AttackSecond]]:
    """Return the plan and the lines of a run with every vector that sends, all at once for two seconds."""
    directory = tmp_path_factory.mktemp("attackers")
    vectors = tuple((name, SCALE) for name in CATALOGUE if name != "A17")
    port = int(quiet_place.base_url.rpartition(":")[2])
    plan_path, lines, plan = plan_for(
        directory,
        port,
        community,
        Phase("all", 0.0, ATTACK_S, vectors),
        connections=20_000,
        sms_port=int(quiet_place.instance.sms_url.rpartition(":")[2]),
    )
    return plan, run(plan_path, lines)


def totals(lines: list[AttackSecond]) -> dict[str, Counter[str]]:
    """Return per vector: the totals sent, ok, refused and failed, and the largest number of connections."""
    found: dict[str, Counter[str]] = {}
    for line in lines:
        total = found.setdefault(line.vector, Counter())
        for name in ("sent", "ok", "refused", "failed"):
            total[name] += getattr(line, name)
        total["connections"] = max(total["connections"], line.connections)
    return found


def expected(plan: AttackPlan, community: Community, name: str) -> int:
    """Return the number of attack requests of a vector in the plan."""
    return sum(fire.vector == name for fire in fires(plan, community))


@pytest.mark.parametrize("name", ASKING)
def test_a_vector_sends_every_request_that_it_claims_and_counts_every_answer(attacked, community, name):
    plan, lines = attacked
    total = totals(lines)[name]
    assert total["sent"] == expected(plan, community, name) > 0
    assert total["ok"] + total["refused"] + total["failed"] == total["sent"]
    assert total["ok"] > 0
    assert total["failed"] == 0


def test_the_crowd_comes_and_each_of_it_reads_on(attacked, community):
    plan, lines = attacked
    total = totals(lines)["A1"]
    people = expected(plan, community, "A1")
    assert people <= total["sent"] <= 3 * people
    assert total["ok"] == total["sent"]
    assert total["connections"] > 0


@pytest.mark.parametrize("name", ["A10", "A11"])
def test_sockets_that_are_held_stay_open_until_the_phase_is_over(attacked, community, name):
    plan, lines = attacked
    total = totals(lines)[name]
    assert total["sent"] == expected(plan, community, name) > 0
    assert total["connections"] > total["sent"] / 3
    assert total["failed"] == 0
    assert [line.connections for line in lines if line.vector == name][-1] == 0


def test_churn_opens_what_it_claims_and_keeps_nothing(attacked, community):
    plan, lines = attacked
    total = totals(lines)["A15"]
    assert total["sent"] == expected(plan, community, "A15") > 0
    assert total["connections"] == 0


def test_the_process_tells_what_it_used_of_the_processor_once_a_second(attacked):
    _, lines = attacked
    seconds = {line.t for line in lines}
    told = {line.t for line in lines if line.cpu_s > 0}
    assert told == seconds
    assert sum(line.cpu_s > 0 for line in lines) == len(seconds)


def test_the_place_is_still_there_and_failed_at_nothing(attacked, quiet_place):
    assert quiet_place.visitor.get("/about").status_code == 200
    assert " failed" not in quiet_place.instance.log


# Limits --------------------------------------------------------------------------------------------------


def test_a_budget_of_connections_ends_an_attack(quiet_place, community, tmp_path):
    port = int(quiet_place.base_url.rpartition(":")[2])
    plan, lines, _ = plan_for(
        tmp_path, port, community, Phase("all", 0.0, 30.0, (("A2", 0.2),)), connections=40
    )
    total = totals(run(plan, lines))["A2"]
    assert total["sent"] == 40


def test_an_attack_begins_at_its_moment_and_what_is_long_over_is_not_made_up_for(
    quiet_place, community, tmp_path
):
    port = int(quiet_place.base_url.rpartition(":")[2])
    phases = (Phase("missed", 0.0, 5.0, (("A2", 0.1),)), Phase("now", 900.0, 5000.0, (("A4", 0.1),)))
    plan, lines, _ = plan_for(
        tmp_path, port, community, *phases, begin_s=time.monotonic() - 999.0, connections=20
    )
    total = totals(run(plan, lines))
    assert total["A2"]["sent"] == 0
    assert total["A4"]["sent"] == 20


def test_a_budget_of_time_ends_an_attack(quiet_place, community, tmp_path):
    port = int(quiet_place.base_url.rpartition(":")[2])
    plan, lines, _ = plan_for(
        tmp_path, port, community, Phase("all", 0.0, 600.0, (("A2", 0.2),)), seconds=1.0
    )
    assert {line.t for line in run(plan, lines)} <= {0.0, 1.0}


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("host", ["192.0.2.1", "10.0.0.1"])
def test_no_vector_leaves_this_machine(tmp_path, name, host):
    plan, lines, _ = plan_for(
        tmp_path, 80, invented_community(), Phase("all", 0.0, 1.0, ((name, 1.0),)), host=host
    )
    from stormpetrel.drill.attackers import attack

    with pytest.raises(NotLoopback):
        attack(plan, lines)
    assert not lines.exists()


def test_where_nobody_listens_every_shot_failed(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        plan, lines, made = plan_for(
            tmp_path,
            port,
            invented_community(),
            Phase("all", 0.0, 0.5, (("A3", 0.1), ("A5", 1.0), ("A10", 1.0))),
        )
        for name, total in totals(run(plan, lines)).items():
            assert total["failed"] == total["sent"] == expected(made, invented_community(), name)
            assert total["connections"] == 0


# A17 -----------------------------------------------------------------------------------------------------


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_a17_kills_the_processes_of_the_plan_and_no_other(tmp_path):
    victims = {name: sleeper() for name in ("web", "watch", "store", "sms")}
    bystander = sleeper()
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            plan, lines, _ = plan_for(
                tmp_path,
                server.getsockname()[1],
                invented_community(),
                Phase("all", 0.0, 1.0, (("A17", 1.0),)),
                pids={name: process.pid for name, process in victims.items()},
            )
            total = totals(run(plan, lines))["A17"]
        assert total == {"sent": 4, "ok": 4, "refused": 0, "failed": 0, "connections": 0}
        assert {process.wait(10) for process in victims.values()} == {-signal.SIGKILL}
        assert bystander.poll() is None
    finally:
        for process in (*victims.values(), bystander):
            process.kill()
            process.wait()


def test_a_pid_that_was_given_to_somebody_else_is_left_alone():
    process = sleeper()
    try:
        killer = Killer({"web": process.pid, "watch": 0})
        killer._processes["web"] = (process.pid, 1)  # as if another process had reused this pid
        assert not killer.kill("web")
        assert not killer.kill("watch")
        assert not killer.kill("nobody")
        assert process.poll() is None
        os.kill(process.pid, 0)
    finally:
        process.kill()
        process.wait()


def test_lines_are_of_whole_seconds_and_can_be_read_as_json(attacked, tmp_path):
    _, lines = attacked
    assert all(line.t == int(line.t) for line in lines)
    assert all(json.loads(line.to_json())["vector"] in CATALOGUE for line in lines)
