"""Moderation and the instance's texts at the command line: output, stored rows, refusals, notifications."""

from __future__ import annotations

import pytest

from stormpetrel.cli.store import change, open_store
from stormpetrel.model.post import Draft
from stormpetrel.rules.accounts import user_by_login
from stormpetrel.rules.posts import create_post
from stormpetrel.rules.reports import create_report
from tests.cli.conftest import rows

REASON = ("--reason", "rule 2")


@pytest.fixture
def nino(run, either_place):
    """Return a member's post and a report about it by another member: (post id, report id), as text."""
    for name in ("Nino", "Lomi"):
        run("user", "add", name, "--email", f"{name}@example.org", "--password", "long enough")
    with open_store(either_place) as connection, change(connection) as at_ms:
        ids = {name: user_by_login(connection, login=name).account_id for name in ("Nino", "Lomi")}
        post = create_post(
            connection,
            author_id=ids["Nino"],
            draft=Draft("Buy boats \x1b[31m"),
            max_characters=500,
            domain="here.example",
            now_ms=at_ms,
        )
        report = create_report(
            connection,
            reporter_id=ids["Lomi"],
            account_id=ids["Nino"],
            post_ids=[post.post_id],
            comment="again",
            category="spam",
            rule_ids=[],
            now_ms=at_ms,
        )
    return str(post.post_id), str(report.id)


def test_reports_are_listed_shown_and_resolved(run, nino):
    post_id, report_id = nino
    lines = run("moderation", "reports").out.splitlines()
    assert lines[1].split() == [report_id, "Nino", "Lomi", "spam", "1", "open", "again"]
    shown = run("moderation", "show", report_id)
    assert "Buy boats" in shown.out
    assert "\x1b" not in shown.out
    assert run("moderation", "show", report_id, "--json").json["post_ids"] == [post_id]
    assert run("moderation", "resolve", report_id, *REASON).out == f"resolve {report_id}: done\n"
    assert run("moderation", "reports", "--json").json == []
    assert [one["id"] for one in run("moderation", "reports", "--resolved", "--json").json] == [report_id]
    refused = run("moderation", "resolve", report_id, *REASON, expect=2)
    assert refused.complaint == "This report is already resolved"


def test_posts_are_hidden_shown_and_deleted_and_it_is_all_in_the_log(run, nino, either_place):
    post_id, _ = nino
    for verb, more in (("hide", ()), ("unhide", ()), ("delete-post", ("--yes",))):
        done = run("moderation", verb, post_id, *REASON, *more, "--json").json
        assert done == {"act": verb.replace("-", "_"), "post_id": post_id, "reason": "rule 2"}
    assert rows(either_place, "SELECT count(*) FROM posts") == [(0,)]
    log = run("moderation", "log", "--json").json
    assert [(one["actor"], one["act"], one["account"]) for one in log] == [
        ("cli", act, "Nino") for act in ("delete_post", "unhide", "hide")
    ]
    assert run("moderation", "hide", post_id, *REASON, expect=2).complaint == f"Post not found: {post_id}"


def test_accounts_are_warned_silenced_and_suspended_and_running_processes_told(run, nino, either_place):
    for verb in ("warn", "silence", "unsilence", "suspend", "unsuspend"):
        run("moderation", verb, "nino", *REASON)
    lines = run("moderation", "log", "--account", "NINO").out.splitlines()
    assert [line.split()[3] for line in lines[1:]] == ["unsuspend", "suspend", "unsilence", "silence", "warn"]
    payloads = [p for (p,) in rows(either_place, "SELECT payload FROM outbox WHERE kind = 'events'")]
    assert any('"hidden":true' in payload for payload in payloads)
    assert run("moderation", "unsilence", "Nino", *REASON, expect=2).complaint == "@Nino is not silenced"


def test_a_role_is_given_and_the_last_admin_kept(run, nino):
    assert run("user", "role", "Nino", "moderator").out == "Nino is now a moderator\n"
    assert run("user", "role", "Nino", "admin", "--json").json["role"] == "admin"
    for words in (("user", "role", "Nino", "member"), ("user", "suspend", "Nino")):
        assert "last admin" in run(*words, expect=2).complaint
    assert "did you mean moderator?" in run("user", "role", "Nino", "moderater", expect=2).complaint


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("hide", "12345"), "--reason"),
        (("hide", "12345", "--reason", " "), "Post not found: 12345"),
        (("silence", "Nobody", *REASON), "there is no account 'Nobody' (see stormpetrel user list)"),
        (("silence", "Nino", "--reason", " "), "reason can't be blank"),
        (("show", "12345"), "Report not found"),
        (("show", "boat"), "'boat' is not a whole number"),
        (("log", "--limit", "0"), "must be between 1 and 1000"),
        (("silense", "Nino"), "did you mean silence?"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_and_nothing_is_written(
    run, nino, place_rows, words, complaint
):
    assert complaint in run("moderation", *words, expect=2).complaint
    assert place_rows("SELECT count(*) FROM audit_log") == [(0,)]


@pytest.fixture
def place_rows(either_place):
    return lambda query: rows(either_place, query)
