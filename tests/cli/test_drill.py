"""The `drill` command: its refusals, and that its scores can be recomputed from its lines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stormpetrel.cli.drill import side_by_side
from stormpetrel.cli.main import main
from stormpetrel.drill import scenario
from stormpetrel.drill.fronts import FrontUnavailable
from stormpetrel.drill.record import OK, REFUSED, AttackSecond, CpuUsage, FoundPost, Line, Run
from stormpetrel.drill.run import Result, RunFailed, results
from stormpetrel.errors import EnvironmentFailure
from stormpetrel.proxies import versions


def result(mode: str, outcome: str, *, late_ms: float = 0.1) -> Result:
    """Return a result with two requests of apps per second through calm, attack, calm."""
    one = scenario.build("only A3", (20, "calm", ()), (40, "A3", [("A3", 1.0)]), (20, "calm again", ()))
    lines = [
        Line(
            t=t / 2,
            phase=one.at(t / 2).name,
            kind="own",
            channel="apps",
            who=f"p{t}",
            app="Tusky",
            address_kind="own",
            status=200,
            ms=5.0,
            late_ms=late_ms,
            outcome=outcome if 20 <= t / 2 < 60 else OK,
            contract=True if outcome == REFUSED else None,
            known=True,
        )
        for t in range(160)
    ]
    posted = Line(
        30, "A3", "posting", "posting", "ana", "Ivory", "own", 200, 9.0, 0.1, OK, text="mine", known=True
    )
    usage = CpuUsage(people_s=1.0, attackers_s=2.0, server_s=3.0, available_s=160.0)
    return Result(Run(one, mode, "", 1, 1.0), (*lines, posted), (), (FoundPost("mine", 1),), usage)


def write(path: Path, *runs: Result) -> Path:
    path.write_text("".join(f"{line}\n" for one in runs for line in one.to_lines()), encoding="utf-8")
    return path


def test_a_file_without_its_option_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "again", "run.lines"]) == 2
    said = capsys.readouterr().err.strip()
    assert said == "stormpetrel: again reads the file of --lines: stormpetrel drill again --lines run.lines"


def test_lines_give_the_same_runs_again(tmp_path: Path) -> None:
    runs = [result("full", OK), result("off", REFUSED)]
    assert results(write(tmp_path / "lines", *runs)) == runs


def test_a_run_that_kept_everything_exits_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "again", "--lines", str(write(tmp_path / "lines", result("full", OK)))]) == 0
    out = capsys.readouterr().out
    assert out.endswith("kept: apps 100 · posts 100 · collateral 0.00 % · mitigated 0.0 s · lost 0\n")
    assert "missed target" not in out


def test_a_run_that_fell_short_exits_1_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drill", "again", "--lines", str(write(tmp_path / "lines", result("full", REFUSED)))]) == 1
    assert "missed target: G1 apps 0.00 %, at least 99.5 % required" in capsys.readouterr().out


def test_a_run_on_a_machine_that_is_too_busy_exits_1_and_still_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = write(tmp_path / "lines", result("full", OK, late_ms=90.0))
    assert main(["drill", "again", "--lines", str(lines)]) == 1
    out = capsys.readouterr().out
    first, second, *_ = out.splitlines()
    assert first.startswith(
        "not valid: full, seed 1: simulated users were 90 ms late themselves at p99 (at most 10 ms): stop "
    )
    assert second == "Ignore the figures below, and run the drill again."
    assert "kept: apps 100" in out


def test_a_run_that_is_not_valid_says_so_first_for_programs_and_on_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = write(tmp_path / "lines", result("full", OK), result("off", OK, late_ms=90.0))
    page = tmp_path / "page.html"
    assert main(["drill", "again", "--lines", str(lines), "--json", "--report", str(page)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert list(told)[:2] == ["valid", "invalid"]
    assert told["valid"] is False
    assert told["invalid"][0].startswith("off, seed 1: simulated users were 90 ms late")
    body = page.read_text(encoding="utf-8").partition("</h1>")[2]
    assert body.startswith('<section class="note bad" role="alert"><p><b>This drill is not valid')
    assert "off, seed 1: simulated users were 90 ms late" in body.partition("</section>")[0]
    assert "Every target was met" not in body


def test_several_modes_stand_side_by_side_and_the_first_one_decides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = write(tmp_path / "lines", result("full", OK), result("off", REFUSED))
    assert main(["drill", "again", "--lines", str(lines)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["full", "off"]
    assert "apps %" in out


def test_what_is_compared_runs_once_and_one_that_fails_is_left_out_and_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done: list[tuple[str, int]] = []

    def run(name: str, seed: int) -> Result:
        if name == "nginx":
            raise FrontUnavailable("nginx did not start: no such port")
        done.append((name, seed))
        return result(name, OK)

    found = side_by_side(["full", "nginx", "off"], range(1, 4), run)
    assert done == [("full", 1), ("full", 2), ("full", 3), ("off", 1)]
    assert [(name, len(runs)) for name, runs in found] == [("full", 3), ("off", 1)]
    assert capsys.readouterr().err == "stormpetrel: skipped: nginx: nginx did not start: no such port\n"


def behind(front: str) -> Result:
    """Return a result behind a front with TLS, which took 1 of the server's 4 s."""
    plain = result("full", OK)
    usage = CpuUsage(people_s=1.0, attackers_s=2.0, server_s=4.0, available_s=160.0, front_s=1.0)
    attacks = (AttackSecond(30.0, "A3", 900, 900, 0, 0, 10, 0.5, 1100),)
    return replace(plain, run=replace(plain.run, front=front, has_tls=True), usage=usage, attacks=attacks)


def test_a_front_is_named_in_the_line_the_table_the_json_and_on_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    again = ["drill", "again", "--lines", str(write(tmp_path / "lines", behind("caddy"), result("full", OK)))]
    assert main([*again, "--report", str(page)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["full", "behind", "caddy", "full"]
    assert "1.0 s of CPU, 25 % of the server's; attackers sent 900 requests and left out 1,100" in out
    assert out.splitlines()[-1].startswith("kept behind caddy: apps 100 · ")
    assert "shield mode full behind caddy, with TLS as in deploy/" in page.read_text(encoding="utf-8")
    assert main([*again, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["front"], list(told["runs"])) == ("caddy", ["full behind caddy", "full"])
    assert told["runs"]["full behind caddy"][0]["front"]["cpu_s"] == 1.0


@pytest.mark.parametrize("front", ["nginx", "haproxy", "caddy"])
def test_a_front_that_is_not_installed_is_one_line_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], front: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(versions, "SBIN", str(tmp_path))
    assert main(["drill", "smoke", "--front", front]) == 2
    assert capsys.readouterr().err == (
        f"stormpetrel: {front} is not installed; on Debian or Ubuntu: sudo apt-get install -y {front}\n"
    )


def test_another_front_is_refused_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "smoke", "--front", "apache"]) == 2
    assert "none, nginx, haproxy, caddy" in capsys.readouterr().err


def test_without_the_first_there_is_nothing_to_compare_with() -> None:
    def run(name: str, seed: int) -> Result:
        raise RunFailed("the people's process failed")

    with pytest.raises(EnvironmentFailure, match="the people's process failed"):
        side_by_side(["full", "off"], [1], run)


def test_json_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["drill", "again", "--json", "--lines", str(write(tmp_path / "lines", result("full", OK)))]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["runs"]["full"][0]["kept"]["apps"] == {"ok": 80, "asked": 80, "percent": 100.0}
    assert next(iter(told)) == "valid"
    assert (told["valid"], told["fell_short"], told["invalid"]) == (True, [], [])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["smoke", "A3"], "only the scenario `only` takes vectors"),
        (["only"], 'needs vectors, for example "only A3 A7"; there are: A1, A2,'),
        (["only", "A13"], "unknown vector A13; there are: A1, A2,"),
        (["sturm"], "storm"),
        (["smoke", "--mode", "fast"], "mode"),
        (["smoke", "--scale", "0"], "between 1 and"),
        (["smoke", "--lines", "/no/such/directory/lines"], "no such directory"),
        (["smoke", "--report", "/no/such/directory/page"], "no such directory"),
        (["again"], "needs --lines"),
    ],
)
def test_wrong_use_is_said_before_anything_starts(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drill", *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "no json\n", '{"run": {}}\n', '{"t": 1, "class": "own"}\n'])
def test_a_file_that_holds_no_run_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lines"
    path.write_text(text, encoding="utf-8")
    assert main(["drill", "again", "--lines", str(path)]) == 2
    assert str(path) in capsys.readouterr().err
