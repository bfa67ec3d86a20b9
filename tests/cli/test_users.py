import io
import sys

import pytest

from stormpetrel.cli.store import change, open_store
from stormpetrel.model.account import Role
from stormpetrel.process.cpu_worker import verify_password_now
from stormpetrel.rules.accounts import sign_up
from tests.cli.conftest import rows

GOOD = "long enough"


@pytest.fixture
def add(run):
    """Return a function that adds a user of the given name through the command line."""

    def add_user(name, *more):
        return run("user", "add", name, "--email", f"{name}@Example.org", "--password", GOOD, *more)

    return add_user


def waiting(url, name):
    """Sign up an account on an instance where registration needs approval."""
    with open_store(url) as connection, change(connection) as at_ms:
        sign_up(
            connection,
            username=name,
            email=f"{name}@example.org",
            password_hash="!",
            reason="I fix\tbicycles \x1b[31m and bring cake",
            locale="en",
            registration="approval",
            now_ms=at_ms,
        )


def test_a_user_is_added_as_written_and_can_sign_in(add, either_place):
    done = add("Nino_McBird")
    assert done.out == "Nino_McBird <Nino_McBird@Example.org> is now a member\n"
    [(name, email, state, role, hashed)] = rows(
        either_place,
        "SELECT username, email, state, role, password_hash FROM users JOIN accounts ON accounts.id = account_id",
    )
    assert (name, email, state, role) == ("Nino_McBird", "Nino_McBird@Example.org", "active", "member")
    assert verify_password_now(hashed, GOOD)


def test_an_admin_is_added_and_the_answer_can_be_json(add, place):
    done = add("Ida", "--admin", "--json")
    assert done.json["username"] == "Ida"
    assert done.json["role"] == "admin"
    assert done.json["state"] == "active"
    assert rows(place, "SELECT id, role FROM accounts JOIN users ON account_id = id") == [
        (int(done.json["id"]), Role.ADMIN)
    ]


def test_an_operator_adds_users_also_where_registration_is_closed(place, add, monkeypatch):
    monkeypatch.setenv("STORMPETREL_REGISTRATION", "closed")
    add("Nino")


@pytest.mark.parametrize(
    ("name", "email", "password", "complaint"),
    [
        ("has space", "a@example.org", GOOD, "username must contain only letters, numbers and underscores"),
        ("x" * 31, "a@example.org", GOOD, "username is too long (maximum is 30 characters)"),
        ("", "a@example.org", GOOD, "username can't be blank"),
        ("Nino", "nino", GOOD, "email is not a valid e-mail address"),
        ("Nino", "a@example.org", "short", "password is too short (minimum is 8 characters)"),
        ("Nino", "a@example.org", "x" * 129, "password is too long (maximum is 128 characters)"),
        ("IDA", "a@example.org", GOOD, "username has already been taken"),
        ("Nino", "ida@EXAMPLE.org", GOOD, "email has already been taken"),
    ],
)
def test_a_user_who_cannot_be_is_explained_and_nothing_is_stored(
    add, run, place, name, email, password, complaint
):
    add("Ida")
    words = ("user", "add", name, "--email", email, "--password", password)
    # The value, except a password's, is repeated after the name of the field.
    field, _, problem = complaint.partition(" ")
    value = {"username": f" {name!r}", "email": f" {email!r}", "password": ""}[field]
    assert run(*words, expect=2).complaint == f"{field}{value} {problem}"
    assert rows(place, "SELECT count(*) FROM accounts") == [(1,)]


@pytest.mark.parametrize("option", [(), ("--password-stdin",)])
def test_the_password_may_come_from_standard_input(run, place, monkeypatch, option):
    monkeypatch.setattr(sys, "stdin", io.StringIO("from a pipe\nnot this line\n"))
    run("user", "add", "Nino", "--email", "nino@example.org", *option)
    [(hashed,)] = rows(place, "SELECT password_hash FROM users")
    assert verify_password_now(hashed, "from a pipe")


def test_a_name_and_an_address_are_checked_before_the_password_is_asked_for(add, run, place, monkeypatch):
    add("Ida")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    complaint = run("user", "add", "IDA", "--email", "nino", expect=2).complaint
    assert complaint == "username 'IDA' has already been taken; email 'nino' is not a valid e-mail address"


def test_no_password_at_all_is_said(run, place, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    complaint = run("user", "add", "Nino", "--email", "nino@example.org", expect=2).complaint
    assert complaint == "no password: use --password, or write the password to the first line of stdin"


def test_a_password_and_standard_input_exclude_each_other(run):
    words = ("user", "add", "x", "--email", "e@example.org", "--password", GOOD, "--password-stdin")
    assert "not allowed with argument --password" in run(*words, expect=2).complaint


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("second", "code"), [(GOOD, 0), ("another one", 2)])
def test_on_a_terminal_the_password_is_asked_for_twice(run, place, monkeypatch, second, code):
    answers = iter([GOOD, second])
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    run("user", "add", "Nino", "--email", "nino@example.org", expect=code)
    assert rows(place, "SELECT count(*) FROM users") == [(1 if code == 0 else 0,)]


def test_users_are_listed_oldest_first(place, add, run):
    add("Zoe")
    add("Ada", "--admin")
    lines = run("user", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "Zoe", "Ada"]
    assert lines[2].split()[1:4] == ["Ada@Example.org", "admin", "active"]
    assert [user["username"] for user in run("user", "list", "--json").json] == ["Zoe", "Ada"]


def test_who_waits_is_listed_with_the_reason_and_let_in(add, run, either_place):
    add("Ida")
    waiting(either_place, "Nino")
    lines = run("user", "list", "--pending").out.splitlines()
    assert len(lines) == 2
    # The text of a sign-up must not control the operator's terminal.
    assert "\x1b" not in lines[1]
    assert "I fix bicycles" in lines[1]
    assert run("user", "approve", "nino").out == "Nino can sign in now\n"
    assert run("user", "list", "--pending", "--json").json == []
    assert rows(either_place, "SELECT state FROM accounts WHERE username = 'Nino'") == [("active",)]


def test_who_waits_is_rejected_and_gone(run, either_place):
    waiting(either_place, "Nino")
    done = run("user", "reject", "@Nino", "--yes", "--json")
    assert done.json["state"] == "rejected"
    assert rows(either_place, "SELECT count(*) FROM accounts") == [(0,)]


def test_a_suspension_and_its_end(add, run, either_place):
    add("Nino")
    assert run("user", "suspend", "NINO").out == "Nino is suspended\n"
    assert run("user", "suspend", "Nino", expect=2).complaint == "@Nino is already suspended"
    assert run("token", "Nino", expect=2).complaint == "This account is suspended"
    assert run("user", "unsuspend", "nino@example.org", "--json").json["state"] == "active"
    assert run("user", "unsuspend", "Nino", expect=2).complaint == "@Nino is not suspended"
    run("token", "Nino")


def test_the_reason_of_a_suspension_is_in_the_log_and_reaches_the_account(add, run, either_place):
    add("Nino")
    run("user", "suspend", "Nino", "--reason", "rule 2")
    run("user", "unsuspend", "Nino", "--reason", "a mistake")
    run("user", "suspend", "Nino")
    run("user", "role", "Nino", "moderator", "--reason", "nights")
    log = [(one["act"], one["reason"]) for one in run("moderation", "log", "--json").json]
    assert log == [
        ("set_role", "moderator: nights"),
        ("suspend", "by the operator, at the command line"),
        ("unsuspend", "a mistake"),
        ("suspend", "rule 2"),
    ]
    reasons = rows(either_place, "SELECT reason FROM warnings ORDER BY id")
    assert [reason for (reason,) in reasons] == [reason for _, reason in log[:0:-1]]
    for command in (("unsuspend", "Nino"), ("role", "Nino", "member")):
        refused = run("user", *command, "--reason", " ", expect=2)
        assert refused.complaint == "reason can't be blank"


def test_a_change_is_told_to_a_running_server(add, run, either_place):
    add("Nino")
    run("user", "suspend", "Nino")
    payloads = [
        payload for (payload,) in rows(either_place, "SELECT payload FROM outbox WHERE kind = 'events'")
    ]
    assert any('"access"' in payload for payload in payloads)


@pytest.mark.parametrize("verb", ["approve", "reject", "suspend", "unsuspend"])
def test_nobody_of_that_name_is_said(run, place, verb):
    complaint = run("user", verb, "Nobody", expect=2).complaint
    assert complaint == "there is no account 'Nobody' (see stormpetrel user list)"


@pytest.mark.parametrize("words", [("approve",), ("reject", "--yes")])
def test_only_who_waits_is_approved_or_rejected(place, add, run, words):
    add("Nino")
    assert run("user", *words, "Nino", expect=2).complaint == "@Nino is not waiting for approval"


def test_a_command_that_fails_tells_and_stores_nothing(add, run, place):
    add("Nino")
    before = rows(place, "SELECT count(*) FROM outbox")
    run("user", "approve", "Nino", expect=2)
    assert rows(place, "SELECT count(*) FROM outbox") == before


def test_a_password_is_set_and_everything_that_was_signed_in_is_out(run, either_place):
    run("user", "add", "Nino", "--email", "nino@example.org", "--password", "the first one")
    run("token", "Nino", "--scopes", "read")
    out = run("user", "password", "nino", "--password", "the second one").out
    assert out == "Nino has a new password and is signed out everywhere\n"
    assert rows(either_place, "SELECT count(*) FROM tokens") == [(0,)]
    ((kept,),) = rows(either_place, "SELECT password_hash FROM users")
    assert verify_password_now(kept, "the second one")
    assert "too short" in run("user", "password", "Nino", "--password", "x", expect=2).complaint
    assert "no account" in run("user", "password", "Nobody", "--password", "long enough", expect=2).complaint


def test_an_account_is_deleted_and_its_name_stays_taken(run, either_place):
    run("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough")
    answer = run("user", "delete", "Nino", "--yes", "--json").json
    assert (answer["username"], answer["state"]) == ("Nino", "deleted")
    assert run("user", "list", "--json").json == []
    again = run("user", "add", "nino", "--email", "n@example.org", "--password", "long enough", expect=2)
    assert "taken" in again.complaint
    assert rows(either_place, "SELECT kind FROM outbox WHERE kind = 'erase_account'") == [("erase_account",)]
