"""`incident` and `maintenance`, beside a running watch and without one."""

from __future__ import annotations

import io
import sys

import pytest

from stormpetrel.storage.status_history import FILE_NAME
from tests.watch.watching import watching


@pytest.fixture(params=["watch", "file"])
def either(request, place, data_dir):
    """Run the test beside a watch, and with the file alone."""
    if request.param == "file":
        yield request.param
        return
    with watching(data_dir):
        yield request.param


def test_an_incident_is_opened_updated_shown_and_resolved(run, either):
    out = run("incident", "start", "Apps get errors", "--text", "We look into it.", "--channel", "apps").out
    id = out.split()[1]
    assert out.startswith(f"incident {id} is investigating: Apps get errors\n")
    assert ("The watch role is not running" in out) == (either == "file")
    run(
        "incident",
        "update",
        id[:6],
        "--text",
        "A disk\nwas full.",
        "--status",
        "identified",
        "--impact",
        "major",
    )
    listed = run("incident", "list").out.splitlines()
    assert listed[0].split() == ["ID", "STATUS", "IMPACT", "BEGAN", "CHANNELS", "BY", "NAME"]
    assert [word in listed[1] for word in (id, "identified", "major", "apps", "operator")] == [True] * 5
    shown = run("incident", "show", id).out
    assert "  A disk\n  was full.\n" in shown
    assert run("incident", "resolve", id, "--json").json["status"] == "resolved"
    assert run("incident", "list").out == "No open incidents.\n"
    (one,) = run("incident", "list", "--all", "--json").json
    assert [update["status"] for update in one["updates"]] == ["investigating", "identified", "resolved"]


def test_maintenance_is_scheduled_started_ended_and_cancelled(run, either):
    def scheduled(*when):
        return run(
            "maintenance", "schedule", "New disks", "--text", "x", *when, "--for", "30m", "--json"
        ).json

    one = scheduled("--in", "2h")
    assert (one["status"], one["scheduled_until_ms"] - one["scheduled_for_ms"]) == ("scheduled", 1_800_000)
    assert "is in progress" in run("maintenance", "start", one["id"]).out
    assert "\nin progress, maintenance, channels" in run("incident", "show", one["id"]).out
    assert "is completed" in run("maintenance", "end", one["id"], "--text", "Done.").out
    other = scheduled("--at", "2999-12-01T22:00")
    assert other["scheduled_for_ms"] == 32_501_080_800_000
    assert "is cancelled" in run("maintenance", "cancel", other["id"]).out
    assert "from 2999-12-01 22:00:00 UTC until" in run("incident", "show", other["id"]).out


def test_a_text_may_come_from_standard_input(run, either, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("From a file.\n"))
    (update,) = run("incident", "start", "x", "--text", "-", "--json").json["updates"]
    assert update["body"] == "From a file."


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("incident", "start", "x"), "--text"),
        (("incident", "start", "x", "--text", " "), "a text is missing"),
        (("incident", "start", "x", "--text", "y", "--channel", "fax"), "fax"),
        (("incident", "update", "ffff", "--text", "y"), "no incident or maintenance ffff"),
        (
            ("incident", "resolve", "ffff"),
            "no incident or maintenance ffff (stormpetrel incident list --all)",
        ),
        (("maintenance", "end", "ffff"), "no incident or maintenance ffff"),
        (("incident", "show", "ffff"), "no incident or maintenance ffff"),
        (
            ("maintenance", "schedule", "x", "--text", "y", "--in", "soon", "--for", "1h"),
            "'soon' is not a time",
        ),
        (
            ("maintenance", "schedule", "x", "--text", "y", "--at", "noon", "--for", "1h"),
            "'noon' is not a time",
        ),
        (
            ("maintenance", "schedule", "x", "--text", "y", "--at", "2001-01-01", "--for", "1h"),
            "in the future",
        ),
    ],
)
def test_mistakes_are_one_line(run, either, arguments, complaint):
    assert complaint in run(*arguments, expect=2).complaint


def test_names_do_not_control_the_terminal(run, place):
    run("incident", "start", "\x1b[2Jx", "--text", "\x1b]0;y\x07")
    for command in ("list", "show"):
        arguments = (
            [command] if command == "list" else [command, run("incident", "list", "--json").json[0]["id"]]
        )
        assert "\x1b" not in run("incident", *arguments).out


def test_no_file_is_made_where_no_instance_is(run, data_dir):
    data_dir.mkdir()
    assert run("incident", "start", "x", "--text", "y", expect=2).complaint
    assert not (data_dir / FILE_NAME).exists()
