"""What `check` says about mails."""

from __future__ import annotations

import pytest

from tests.ports import reserved_ports


@pytest.fixture
def smtp(monkeypatch):
    """Configure a mail server that is not running yet, and yield its port."""
    with reserved_ports(1) as (port,):
        for name, value in (("TRANSPORT", "smtp"), ("PORT", port), ("SECURITY", "none")):
            monkeypatch.setenv(f"STORMPETREL_MAIL_{name}", str(value))
        yield port


def test_check_says_whether_the_mail_server_is_there(run, place, smtp):
    checks = {one["subject"]: one for one in run("check", "--json", expect=1).json["checks"]}
    assert checks["mail"]["verdict"] == "fail"
    assert "mail.host" in checks["mail"]["todo"]


def test_check_warns_where_nobody_gets_the_link_that_they_need(run, place, monkeypatch):
    monkeypatch.setenv("STORMPETREL_MAIL_CONFIRM", "required")
    checks = {one["subject"]: one for one in run("check", "--json", expect=None).json["checks"]}
    assert checks["mail"]["verdict"] == "warn"
