"""`stormpetrel insight` in a data directory where no process runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest

from stormpetrel.cli.main import build_parser, main
from stormpetrel.insight.make import made, read, store, window_of
from stormpetrel.insight.vectors import WORDS
from stormpetrel.model.attack import AttackSpan
from stormpetrel.model.insight import ReportWindow
from stormpetrel.storage.attack_record import AttackRecord
from stormpetrel.storage.insight_folder import InsightFolder
from tests.insight import recorded
from tests.repository import ROOT
from tools import try_install

FROM, TO = "2026-09-21T14:00", "2026-09-21T15:00"


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path))
    assert main(["init"]) == 0
    recorded.write_both(tmp_path)
    return tmp_path


def test_the_last_attack_is_printed_for_a_terminal_without_the_store(instance, capsys):
    (instance / "stormpetrel.db").unlink()
    assert main(["insight"]) == 0
    printed = capsys.readouterr().out
    assert "came under unusual traffic that lasted 10 min" in " ".join(printed.split())
    assert "WRONGLY REFUSED" in printed
    assert "charts" not in printed  # a terminal has none
    assert max(len(line) for line in printed.splitlines()) <= 110


def test_each_form_is_printed_or_written(instance, capsys, tmp_path):
    capsys.readouterr()
    assert main(["insight", "--last", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 4
    assert main(["insight", "--csv"]) == 0
    assert capsys.readouterr().out.startswith("table,key,number,value,file,query\n")
    assert main(["insight", "--html", str(tmp_path / "report.html")]) == 0
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_the_report_about_an_attack_is_shown_by_its_number(instance, capsys):
    for words in (["--markdown"], ["--csv"], ["--edition", "public"]):
        if "public" in words:
            stored(instance)
        capsys.readouterr()
        assert main(["insight", *words]) == 0
        last = capsys.readouterr().out
        assert main(["insight", "show", "3", *words]) == 0
        assert without_times(capsys.readouterr().out) == without_times(last)


def without_times(text):
    """Return a report without the time at which it was made."""
    return re.sub(r"\d\d:\d\d:\d\d|\b\d{13}\b", "", text)


def stored(instance):
    data = read(instance, window_of(recorded.SPAN, now_ms=recorded.SPAN.ended_ms), domain="127.0.0.1:8000")
    store(instance, recorded.SPAN.number, data)
    return data


def test_the_public_edition_is_printed_in_each_form_as_it_would_be_published(instance, capsys, tmp_path):
    stored(instance)
    folder, public = InsightFolder(instance), ["insight", "--edition", "public"]
    capsys.readouterr()
    for form, arguments in {"md": [], "json": ["--json"], "csv": ["--csv"]}.items():
        assert main([*public, *arguments]) == 0
        printed = capsys.readouterr().out
        assert printed == folder.read(3, "public", form).decode()
        assert recorded.PAGE not in printed
    assert main([*public, "--html", str(tmp_path / "report.html")]) == 0
    assert (tmp_path / "report.html").read_bytes() == folder.read(3, "public", "html")


def numbers_of(text):
    """Return all values of a report in JSON, by their places; None where it hides one."""
    report = json.loads(text)
    found = {("", "", name): one["value"] for name, one in report["numbers"].items()}
    for table, rows in report["tables"].items():
        for row in rows:
            for name, one in row["numbers"].items():
                found[table, str(row["key"]), name] = one["value"]
    return found


def small_differences(one, other):
    return {
        place: other[place] - value
        for place, value in one.items()
        if place[2] in ("requests", "refused", "answered", "gone", "succeeded", "people")
        and isinstance(value, int)
        and isinstance(other.get(place), int)
        and 0 < other[place] - value < 10
    }


def test_two_public_editions_of_one_attack_cannot_be_subtracted(instance, capsys):
    record = AttackRecord(instance / "attacks.sqlite")
    # In the last second, one member of an app is refused once, and the totals are large.
    last = replace(
        recorded.moment(recorded.ONSET_S + 595, load=0),
        classes={"K1": {"served": 60, "refused": 1}},
    )
    record.write(attack=3, moments=[last], phases=[], spans=[])
    record.close()
    stored(instance)
    short = ReportWindow(recorded.SPAN.onset_ms, (recorded.ONSET_S + 594) * 1000, 0, is_over=True)
    long = replace(short, until_ms=(recorded.ONSET_S + 596) * 1000)
    nested = [made(read(instance, window, domain="a.example"), edition="public") for window in (short, long)]
    # Each alone hides small counts, and together they would tell one.
    found = small_differences(*(numbers_of(one.form("json")) for one in nested))
    assert found["classes", "{'classes': 'K1'}", "refused"] == 1
    capsys.readouterr()
    printed = []
    for to in ("2026-09-21T14:14", "2026-09-21T14:15", TO):
        assert main(["insight", "--from", FROM, "--to", to, "--edition", "public", "--json"]) == 0
        printed.append(capsys.readouterr().out)
    assert len(set(printed)) == 1
    assert json.loads(printed[0])["until_ms"] == recorded.SPAN.ended_ms


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([], "attack 3 has no public edition"),
        ([AttackSpan(4, recorded.SPAN.ended_ms + 90_000, recorded.SPAN.ended_ms + 91_000, 0)], "3, 4"),
        ([replace(recorded.SPAN, ended_ms=0)], "attack 3 is not over"),
    ],
)
def test_a_public_edition_is_of_one_attack_that_is_over(instance, capsys, spans, said):
    record = AttackRecord(instance / "attacks.sqlite")
    record.write(attack=3, moments=[], phases=[], spans=spans)
    record.close()
    assert main(["insight", "--from", FROM, "--to", TO, "--edition", "public"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("form", ["--json", "--csv", "--markdown"])
def test_a_path_cannot_control_the_terminal_that_prints_a_report(instance, capsys, form):
    record = AttackRecord(instance / "attacks.sqlite")
    moment = replace(recorded.moment(recorded.ONSET_S + 1, load=50), pages={"/\x9b2J\u202e": 9_999_999})
    record.write(attack=3, moments=[moment], phases=[], spans=[])
    record.close()
    capsys.readouterr()
    assert main(["insight", form]) == 0
    printed = capsys.readouterr().out
    assert "2J" in printed
    assert "\x9b" not in printed
    assert "\u202e" not in printed


def test_a_report_about_a_time_has_the_numbers_of_that_time(instance, capsys):
    capsys.readouterr()
    assert main(["insight", "--from", FROM, "--to", "2026-09-21T14:15", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["from_ms"] == recorded.SPAN.onset_ms
    assert report["numbers"]["lasted_s"]["value"] == (report["until_ms"] - report["from_ms"]) / 1000
    assert report["tables"]["verdicts"][0]["key"]["verdict"] == "crowd"
    path = instance / "report.json"
    path.write_text(json.dumps(report))
    script = [sys.executable, ROOT / "bench" / "recompute_insight.py", path, instance]
    assert "(100.0 %)" in subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert report["numbers"]["requests"]["value"] == sum(
        one.requests for one in recorded.moments() if recorded.ONSET_S <= one.at_s <= recorded.ONSET_S + 100
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "2020-01-01", "--to", "2020-02-01"], "no attack was recorded in this time"),
        (["--from", TO, "--to", FROM], "--to must be later than --from"),
        (["--from", "noon"], "is not a time"),
        (["--last", "--from", FROM], "cannot be combined"),
        (["publish"], "needs the number"),
        (["publish", "9"], "no report about attack 9"),
        (["withdraw", "9"], "no report about attack 9"),
        (["withdraw", "N"], "'N' is not a whole number"),
        (["--from", "2999-01-01"], "--from is in the future"),
        (["list", "1"], "insight list takes no number: it lists all"),
        (["accounts", "1"], "insight accounts takes no number: it lists all"),
        (["publish", "1", "--from", FROM], "insight publish takes none of them"),
        (["accounts", "--last"], "insight accounts takes none of them"),
        (["list", "--edition", "public"], "insight list takes none of them"),
        (["list", "--html", "list.html"], "insight list takes none of them"),
        (["3"], "to print the report about attack 3: insight show 3"),
        (["show"], "insight show needs the number of an attack"),
        (["show", "9"], "no attack 9 was recorded; the last ones: 3"),
        (["show", "3", "--from", FROM], "insight show takes none of them"),
        (["publish", "3", "--json"], "insight publish prints one sentence, and takes no --json"),
    ],
)
def test_a_wrong_use_is_explained_in_one_line(instance, capsys, arguments, said):
    capsys.readouterr()
    assert main(["insight", *arguments]) == 2
    found = capsys.readouterr().err
    assert said in found
    assert found.count("\n") == 1


def test_without_an_instance_or_an_attack_there_is_no_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / "none"))
    assert main(["insight"]) == 2
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path))
    assert main(["init"]) == 0
    capsys.readouterr()
    assert main(["insight"]) == 2
    assert "no attack was recorded" in capsys.readouterr().err


def test_a_damaged_record_is_a_failure_of_the_environment(instance, capsys):
    for path in instance.glob("attacks.sqlite*"):
        path.write_bytes(b"no database " * 500)
    assert main(["insight"]) == 3


def test_every_command_of_the_page_about_reports_works(instance, capsys, monkeypatch):
    monkeypatch.chdir(instance)
    stored(instance)
    page = (ROOT / "docs" / "insight.md").read_text(encoding="utf-8")
    commands = [command for found in try_install.commands(page).values() for _, command in found]
    assert len(commands) >= 9
    for command in commands:
        program, *arguments = shlex.split(command, comments=True)
        assert program == "stormpetrel"
        assert main(["3" if argument == "N" else argument for argument in arguments]) == 0, command
        assert capsys.readouterr().out
    assert (instance / "report.html").exists()


def test_every_command_of_the_advice_exists():
    values = {"ADDRESS": "192.0.2.1", "TEXT": "flood"}
    for words in WORDS.values():
        arguments = [values.get(word, word) for word in shlex.split(words.command)[1:]]
        assert build_parser().parse_args(arguments)


def test_reports_are_listed_published_and_withdrawn(instance, capsys):
    assert main(["insight", "list"]) == 0
    assert "no reports yet" in capsys.readouterr().out
    assert made(stored(instance), edition="public").report.edition == "public"
    assert main(["insight", "publish", "3"]) == 0
    assert InsightFolder(instance).is_published(3)
    capsys.readouterr()
    assert main(["insight", "list", "--json"]) == 0
    assert [(one["number"], one["published"]) for one in json.loads(capsys.readouterr().out)] == [(3, True)]
    assert main(["insight", "withdraw", "3"]) == 0
    assert main(["insight", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[-1] == "no"
