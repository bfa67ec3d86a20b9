"""`shield` at the command line: its answers, its refusals, and that it never prints a token."""

from __future__ import annotations

import io
import sys
import threading
import time
from functools import partial

import pytest

from stormpetrel.control import asking, wire
from stormpetrel.shield.reports import IdentityRefusal, Offender
from stormpetrel.storage.journal import FILE_NAME, Journal, Note
from tests.cli.test_top_screen import a_status
from tests.watch.reporting import a_report
from tests.watch.watching import watching

BUSY = a_report(
    classes={"K1": {"served": 40, "refused": 2}},
    channels={"apps": {"served": 40, "refused": 2}},
    because={"queue/full": 2},
    offenders=(Offender("address:192.0.2.9", 0.4, 300, 250, 9),),
    overload_since_epoch_s=1_900_000_000.0,
    onset_epoch_s=1_900_000_000.0,
)


@pytest.fixture
def watch(place, data_dir):
    """Yield a watch of an instance with one busy worker."""
    with watching(data_dir, BUSY) as watch:
        yield watch


@pytest.fixture
def watch_of_either(either_place, data_dir):
    """Yield the same once per store, for lookups in the database."""
    with watching(data_dir, BUSY) as watch:
        yield watch


@pytest.fixture
def nino(run, data_dir):
    """Create a member and return their token, issued to the command line's own app."""
    run("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough")
    return run("token", "Nino").out.strip()


def lines(done):
    return done.out.splitlines()


# status


def test_status_shows_everything_that_matters_now(run, watch):
    watch.second()
    run("shield", "deny", "192.0.2.0/24", "--reason", "scans\n for  ids")
    run("shield", "pause", "--for", "10m")
    out = run("shield", "status").out
    for text in (
        "shield   overloaded for ",
        "mode full, 1 worker\n",
        "onset    2030-03-17 17:46:40 UTC",
        "paused   denies and demotions are off until ",
        "guard    not running\n",
        "not yet",
        "web-0 ",
        "queue/full",
        "address:192.0.2.9",
        "deny  address  192.0.2.0/24",
        "scans for ids",
    ):
        assert text in out
    found = run("shield", "status", "--json").json
    assert [one["name"] for one in found["workers"]] == ["web-0"]
    assert found["denied"][0]["value"] == "192.0.2.0/24"
    names = "channel person outcome at_epoch_s ms detail failures"
    assert set(found["canaries"][0]) == set(names.split())


# why


def test_why_answers_in_one_line_for_a_token_a_user_an_address_and_an_app(run, watch_of_either, nino):
    watch = watch_of_either
    refusal = IdentityRefusal(time.time(), "account:1", "Command line", "apps", "queue/full")
    asked = {
        nino: "of @Nino by 'Command line': class K1 (members' reading);",
        f"token:{nino}": "of @Nino by 'Command line': class K1 (members' reading);",
        "@Nino": "@Nino: class K1 (members' reading);",
        "nino": "@Nino: class K1 (members' reading);",
        "user:nino@example.org": "@Nino: class K1 (members' reading);",
        "192.0.2.9": "address 192.0.2.9: class K1 (members' reading);",
        "2001:db8::1": "address 2001:db8::1: ",
        "192.0.2.0/24": "address 192.0.2.0/24: ",
        "Command line": "app 'Command line': not refused since ",
        "app:Command line": "app 'Command line': not refused since ",
    }
    for typed, text in asked.items():
        done = run("shield", "why", typed)
        assert len(lines(done)) == 1
        assert text in done.out
        assert nino not in done.out + done.err
    watch.call(lambda: watch.cluster.collateral.add([refusal]))
    assert "refused 1x since" in run("shield", "why", "account:1").out
    assert "on apps because queue/full" in run("shield", "why", "Command line").out
    found = run("shield", "why", "account:1", "--json").json
    assert found["refusals"][0]["because"] == "queue/full"
    assert (found["lane"], found["limit"], found["remaining"]) == ("K1", 100, 60)


def test_a_token_can_be_read_from_standard_input(run, watch, nino, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{nino}\n"))
    assert "of @Nino" in run("shield", "why", "-").out
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert run("shield", "why", "-", expect=2).complaint == "the token is empty"


def test_age_is_told_against_the_onset(run, watch, nino):
    watch.second()
    # The onset in these reports is in the year 2030, later than the token.
    assert "before the onset: established" in run("shield", "why", nino).out


def test_an_unknown_subject_is_repeated_unless_it_may_be_a_secret(run, watch_of_either):
    for short in ("WRONG", "999.1.1.1", "10.0.0.0/99", "2001:db8::1:99999"):
        assert run("shield", "why", short, expect=2).complaint.startswith(f"{short!r} is no token, address")
    secret = "S3cret-that-was-mistyped!"
    done = run("shield", "why", secret, expect=2)
    assert done.complaint.startswith("this text of 25 characters is no token, address, user or app")
    assert secret not in done.err
    token = "B" * 43
    done = run("shield", "why", token)
    assert "not valid here (any more)" in done.out
    assert token not in done.out
    assert run("shield", "why", "user:zoe", expect=2).complaint == (
        "there is no account 'zoe' (see stormpetrel user list)"
    )
    assert run("shield", "why", "app:Zoe", expect=2).complaint == "there is no application 'Zoe'"
    assert "not the id" in run("shield", "why", "account:x", expect=2).complaint
    assert "neither an address" in run("shield", "why", "address:here", expect=2).complaint


# allow, deny, pause


def test_what_is_said_of_somebody_is_shown_by_why_and_can_be_taken_back(run, watch, nino):
    said = run("shield", "allow", "@Nino", "--for", "2h", "--reason", "the mayor").out
    assert said.startswith("@Nino is allowed until ")
    assert said.endswith("(sent to 1 worker)\nRun the same command with --undo to remove the rule.\n")
    assert "allowed until" in run("shield", "why", nino).out
    assert "(the mayor)" in run("shield", "why", nino).out
    run("shield", "deny", nino, "--reason", "stolen")
    why = run("shield", "why", nino).out
    assert "denied until" in why
    assert "allowed until" in why
    assert run("shield", "allow", "@Nino", "--undo").out.startswith("rule removed for @Nino")
    run("shield", "deny", nino, "--undo")
    again = run("shield", "deny", nino, "--undo", expect=2)
    assert again.complaint.startswith("no rule for token ")
    assert nino not in again.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("deny", "192.0.2.1"), "deny needs --reason"),
        (("deny", "192.0.2.1", "--reason", "  "), "deny needs --reason"),
        (("deny", "192.0.2.1", "--for", "soon", "--reason", "x"), "is not a time such as"),
        (("deny", "192.0.2.1", "--for", "0s", "--reason", "x"), "is not a time such as"),
        (("deny", "192.0.2.1", "--for", "400d", "--reason", "x"), "within a year"),
        (("deny", "192.0.2.1", "--reason", "x" * 300), "a reason must have at most"),
        (("deny", "0.0.0.0/0", "--reason", "x"), "too wide"),
        (
            ("deny", "127.0.0.1", "--reason", "x"),
            "127.0.0.1 is this machine itself; stormpetrel",
        ),
        (("deny", "::1", "--reason", "x"), "this machine itself"),
        (("deny", "198.51.100.0/24", "--reason", "x"), "holds 198.51.100.7, where you are connected from"),
        (("allow", "192.0.2.1", "--force"), "--force"),
        (("deny", "session:7", "--reason", "x"), "name the kind with token:"),
        (("deny", "--reason", "x"), "WHO"),
        (("deny", "192.0.2.1", "--resaon", "x"), "did you mean --reason?"),
        (("allow", "192.0.2.1", "--undo"), "no rule for address 192.0.2.1"),
        (("pause",), "--for"),
        (("pause", "--for", "2d"), "within a day"),
        (("pause", "--for", "1h", "--end"), "not allowed with"),
        (("journal", "--kind", "denials"), "unknown value 'denials'"),
        (("journal", "--limit", "0"), "must be between"),
        (("journal", "--since", "yesterday"), "is not a time such as"),
        (("why",), "WHO"),
        (("stats",), "did you mean status?"),
    ],
)
def test_wrong_use_is_one_clear_line(run, watch, monkeypatch, arguments, text):
    monkeypatch.setenv("SSH_CONNECTION", "198.51.100.7 52100 192.0.2.2 22")
    assert text in run("shield", *arguments, expect=2).complaint


def test_with_force_this_machine_is_denied(run, watch):
    said = run("shield", "deny", "127.0.0.1", "--reason", "a trial", "--force").out
    assert said.startswith("address 127.0.0.1 is denied until ")
    assert run("shield", "deny", "127.0.0.1", "--undo").out.startswith("rule removed for address 127.0.0.1")


def test_a_pause_begins_and_ends(run, watch):
    assert run("shield", "pause", "--for", "10m").out.startswith("denies and demotions are off until ")
    assert watch.call(lambda: watch.cluster.orders.paused_until_epoch_s) > time.time()
    assert run("shield", "pause", "--end").out == "denies and demotions are on (sent to 1 worker)\n"
    assert watch.call(lambda: watch.cluster.orders.paused_until_epoch_s) == 0


def test_a_busy_watch_does_not_let_a_rule_that_never_was_seem_removed(run, place, data_dir, monkeypatch):
    monkeypatch.setattr(asking, "order", partial(asking.order, timeout_s=1.0))
    sock = wire.listen(data_dir)
    sock.setblocking(True)

    def serve():
        """Read the order and answer nothing; answer the question that follows."""
        first, _ = sock.accept()
        second, _ = sock.accept()
        wire.receive_blocking(second)
        second.sendall(wire.framed(a_status()))
        first.close()
        second.close()

    watch = threading.Thread(target=serve)
    watch.start()
    try:
        said = run("shield", "deny", "192.0.2.77", "--undo").out
    finally:
        watch.join()
        sock.close()
    assert said.startswith("no rule for address 192.0.2.77 is in force (the watch is busy")


# journal, and commands without a watch


def test_the_journal_is_read_oldest_first_also_without_a_watch(run, place, data_dir):
    assert len(lines(run("shield", "journal"))) == 1
    now_ms = int(time.time() * 1000)
    journal = Journal(data_dir / FILE_NAME)
    journal.write(
        [
            Note(now_ms - 7_200_000, "overload", "began"),
            Note(now_ms, "collateral", "refused\x1b[31m", "account:1", "", "Tusky", "apps", "queue/full", 3),
        ]
    )
    journal.close()
    listed = lines(run("shield", "journal"))
    assert [line.split()[3] for line in listed[1:]] == ["overload", "collateral"]
    assert "\x1b" not in listed[2]
    assert listed[2].endswith("[Tusky]")
    assert len(lines(run("shield", "journal", "--since", "1h"))) == 2
    assert len(lines(run("shield", "journal", "--kind", "overload"))) == 2
    (newest,) = run("shield", "journal", "--limit", "1", "--json").json
    assert (newest["id"], newest["count"], newest["application"]) == ("2", 3, "Tusky")


def test_a_journal_that_cannot_be_read_is_the_environments_fault(run, place, data_dir):
    (data_dir / FILE_NAME).write_bytes(b"this is no database; " * 100)
    assert "cannot be read" in run("shield", "journal", expect=3).complaint


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("why", "192.0.2.1"),
        ("allow", "192.0.2.1"),
        ("deny", "192.0.2.1", "--reason", "x"),
        ("pause", "--end"),
    ],
)
def test_without_a_watch_it_says_so(run, place, arguments):
    complaint = run("shield", *arguments, expect=3).complaint
    assert complaint.startswith("the watch role is not running in ")
