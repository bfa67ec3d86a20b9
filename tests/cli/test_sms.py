"""`stormpetrel sms`: phones, texts and routes, while no role runs."""

from __future__ import annotations

import json
import re
import sqlite3

import pytest

from tests.cli.conftest import rows

NINO = ("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough")
NUMBER = "+995599123456"
ROUTE = {
    "STORMPETREL_SMS_ROUTE_DROP_PROVIDER": "file",
    "STORMPETREL_SMS_ROUTE_DROP_SENDER": "40404",
    "STORMPETREL_SMS_ROUTE_DROP_PRICE": "0.01",
}


@pytest.fixture
def nino(run, place, monkeypatch, tmp_path):
    monkeypatch.setenv("STORMPETREL_SMS_ROUTE_DROP_DIRECTORY", str(tmp_path / "drop"))
    for name, value in ROUTE.items():
        monkeypatch.setenv(name, value)
    run(*NINO)


def log(run, *options):
    return [json.loads(line) for line in run("sms", "log", *options).out.splitlines()]


def test_a_phone_is_linked_shown_and_unlinked(run, nino, place):
    assert run("sms", "link", "nino", "+995 599 12-34-56", "--pin", "1234", "--json").json == {"linked": 1}
    assert run("sms", "show", NUMBER, "--json").json == {
        "number": NUMBER,
        "account": "Nino",
        "linked": True,
        "stopped": False,
        "posting": True,
        "locked": False,
        "pin": True,
        "quiet": None,
        "digest": None,
        "language": "en",
        "waiting": 0,
        "sent_today": 0,
    }
    assert rows(place, "SELECT act, account_name, reason FROM audit_log") == [
        ("link_phone", "Nino", "phone +995…56")
    ]
    assert "+995599123456" not in str(rows(place, "SELECT * FROM phones"))
    run("sms", "unlock", NUMBER)
    run("sms", "unlink", NUMBER)
    assert run("sms", "show", NUMBER, "--json").json["linked"] is False
    assert rows(place, "SELECT act, account_name, reason FROM audit_log ORDER BY id") == [
        (act, "Nino", "phone +995…56") for act in ("link_phone", "unlock_phone", "unlink_phone")
    ]


def test_a_phone_is_named_by_its_account_too(run, nino, place):
    run("sms", "link", "Nino", NUMBER)
    by_number = run("sms", "show", NUMBER, "--json").json
    assert (
        run("sms", "show", "nino", "--json").json == run("sms", "show", "@Nino", "--json").json == by_number
    )
    assert run("sms", "unlock", "Nino").out == f"{NUMBER} may post again\n"
    assert run("sms", "unlink", "Nino").out == f"{NUMBER} is not linked any more\n"
    assert rows(place, "SELECT reason FROM audit_log") == [("phone +995…56",)] * 3


def test_the_log_finds_a_number_as_people_write_it(run, nino):
    run("sms", "send", NUMBER, "hello")
    assert [record["text"] for record in log(run, "--number", "+995 599 12-34-56")] == ["hello"]


def test_many_phones_are_linked_from_a_file(run, nino, tmp_path):
    run("user", "add", "ben", "--email", "ben@example.org", "--password", "long enough")
    path = tmp_path / "phones"
    path.write_text(f"Nino {NUMBER}\n\nben +15551234567\n")
    assert run("sms", "link", "--from", str(path), "--json").json == {"linked": 2}
    assert run("sms", "show", "+15551234567", "--json").json["account"] == "ben"


def test_a_code_has_six_digits_and_ten_minutes(run, nino):
    answer = run("sms", "code", "Nino", "--json").json
    assert len(answer["code"]) == 6
    assert (answer["expires_in"], answer["to"]) == (600, "40404")
    said = run("sms", "code", "Nino").out
    assert re.fullmatch(r"text GO \d{6} to 40404 before \d\d:\d\d:\d\d UTC, in 10 minutes\n", said)


def test_a_linked_phone_is_told_with_the_zone_of_its_times(run, nino):
    run("user", "add", "ben", "--email", "ben@example.org", "--password", "long enough")
    said = run("sms", "link", "ben", "+4915112345678").out
    assert said == "linked 1 phone; its quiet hours and digest are in the time of Europe/Berlin\n"


def test_a_text_is_queued_with_its_segments_and_lane(run, nino):
    assert run("sms", "send", NUMBER, "გამარჯობა " * 10, "--lane", "3", "--json").json == {"ids": ["o1"]}
    (record,) = log(run, "--direction", "out")
    assert (record["state"], record["lane"], record["segments"], record["kind"]) == ("queued", 3, 2, "sent")
    status = run("sms", "status", "--json").json
    assert status["outbox"]["lanes"]["3"]["queued"] == 1
    assert status["routes"] == [{"name": "drop", "provider": "file", "state": "down"}]
    assert status["money"]["spent_today"] == "0"
    assert "3     1       0 s     Followed posts" in run("sms", "status").out


def test_texts_are_queued_from_json_lines(run, nino, tmp_path):
    path = tmp_path / "texts"
    path.write_text(
        json.dumps({"to": NUMBER, "text": "one"}) + "\n" + json.dumps({"to": NUMBER, "text": "two"})
    )
    assert run("sms", "send", "--from", str(path), "--json").json == {"ids": ["o1", "o2"]}
    assert [record["text"] for record in log(run, "--number", NUMBER)] == ["one", "two"]


def test_a_number_that_has_sent_stop_gets_nothing(run, nino, place, tmp_path):
    run("sms", "link", "Nino", NUMBER)
    with sqlite3.connect(place.removeprefix("sqlite:///")) as db:
        db.execute("UPDATE phones SET stopped = TRUE")
    assert run("sms", "send", NUMBER, "hello", expect=1).out.strip().endswith("has sent STOP")
    path = tmp_path / "texts"
    path.write_text(json.dumps({"to": NUMBER, "text": "one"}))
    assert run("sms", "send", "--from", str(path), "--json").json == {"ids": [None]}
    # Linking by the operator does not undo it.
    run("sms", "link", "Nino", NUMBER)
    assert run("sms", "show", NUMBER, "--json").json["stopped"] is True


def test_a_stop_that_waits_in_the_spool_counts_until_a_later_start(run, nino, data_dir):
    run("sms", "link", "nino", NUMBER)
    path = data_dir / "sms.sqlite"
    run("sms", "status")
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO notices (number, kind, at_ms) VALUES (?, 'stop', ?)", (NUMBER, 10**14))
    assert run("sms", "send", NUMBER, "hello", "--json", expect=1).json == {"ids": [None]}
    with sqlite3.connect(path) as db:
        db.execute("UPDATE notices SET at_ms = 1")
    assert run("sms", "send", NUMBER, "hello", "--json").json == {"ids": ["o1"]}


def test_half_of_a_surrogate_pair_and_what_is_no_text_are_not_sent(run, nino, tmp_path):
    path = tmp_path / "texts"
    path.write_text(json.dumps({"to": NUMBER, "text": "\ud83d x"}))
    run("sms", "send", "--from", str(path))
    assert [one["text"] for one in log(run)] == ["? x"]
    path.write_text(json.dumps({"to": NUMBER, "text": None}))
    assert "line 1" in run("sms", "send", "--from", str(path), expect=2).complaint


def test_a_route_is_paused_and_resumed(run, nino):
    run("sms", "pause", "drop")
    assert run("sms", "status", "--json").json["routes"][0]["state"] == "paused"
    run("sms", "resume", "drop")
    assert run("sms", "status", "--json").json["routes"][0]["state"] == "down"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("send", "0599123456", "x"), "'0599123456': the number needs + and the country code"),
        (("send", NUMBER, " "), "a text is empty"),
        (("send", NUMBER, "x" * 2000), "a text has more than 10 segments"),
        (("send", NUMBER), "sms send needs NUMBER and TEXT, or --from FILE"),
        (("send", NUMBER, "x", "--route", "drpo"), "there is no route 'drpo' (did you mean drop?)"),
        (("link", "Nino"), "sms link needs NAME and NUMBER, or --from FILE"),
        (("link", "nobody", NUMBER), "there is no account 'nobody'"),
        (("link", "Nino", NUMBER, "--pin", "12"), "--pin must have 4 to 8 digits"),
        (("unlink", NUMBER), f"{NUMBER} is not linked"),
        (("replay", "x1"), "'x1' is no id of the log"),
        (("replay", "o" + "9" * 30), "is no id of the log"),
        (("replay", "i9"), "i9 cannot be done again"),
        (("pause", "carrier"), "there is no route 'carrier' (there are: drop)"),
        (("sned",), "unknown command 'sned' (did you mean send?)"),
    ],
)
def test_a_mistake_is_named_in_one_line(run, nino, arguments, said):
    assert said in run("sms", *arguments, expect=2).complaint
