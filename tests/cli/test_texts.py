"""The instance's texts, rules and announcements at the command line, and blocked e-mail domains."""

from __future__ import annotations

import io
import sys

from tests.cli.conftest import rows


def test_rules_texts_and_announcements(run, either_place, monkeypatch):
    rule_id = run("instance", "add-rule", "No spam", "--hint", "Nor boats").out.strip()
    listed = run("instance", "rules", "--json").json
    assert listed == [{"id": rule_id, "text": "No spam", "hint": "Nor boats"}]
    assert "No spam" in run("instance", "rules").out
    run("instance", "remove-rule", rule_id, "--yes")
    assert (
        run("instance", "remove-rule", rule_id, "--yes", expect=2).complaint == f"Rule not found: {rule_id}"
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO("We keep little.\n"))
    run("instance", "set-text", "privacy_policy")
    assert run("instance", "text", "privacy_policy").out == "We keep little.\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    run("instance", "set-text", "privacy_policy")
    assert "have not published this document" in run("instance", "text", "privacy_policy", expect=2).complaint
    announcement_id = run("instance", "announce", "We move").out.strip()
    run("instance", "withdraw", announcement_id, "--yes")
    assert (
        "Announcement not found" in run("instance", "withdraw", announcement_id, "--yes", expect=2).complaint
    )
    assert rows(either_place, "SELECT count(*) FROM audit_log") == [(6,)]


def test_e_mail_domains(run, either_place):
    run("instance", "block-email-domain", "@Spam.example")
    assert run("instance", "email-domains", "--json").json == ["spam.example"]
    assert "spam.example" in run("instance", "email-domains").out
    assert "is not a domain name" in run("instance", "block-email-domain", "spam", expect=2).complaint
    run("instance", "unblock-email-domain", "spam.example")
    assert "not blocked" in run("instance", "unblock-email-domain", "spam.example", expect=2).complaint
