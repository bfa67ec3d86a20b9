"""`mail test`: where the mail goes, what went wrong, and that the password is never shown."""

from __future__ import annotations

import email
import email.policy

import pytest
from aiosmtpd.controller import Controller

from tests.ports import reserved_ports


class Mailbox:
    def __init__(self):
        self.kept = []

    async def handle_DATA(self, server, session, envelope):
        self.kept.append(envelope)
        return "250 taken"


@pytest.fixture
def smtp(monkeypatch):
    """Configure a mail server that is not running yet, and yield its port."""
    with reserved_ports(1) as (port,):
        for name, value in (("TRANSPORT", "smtp"), ("PORT", port), ("SECURITY", "none")):
            monkeypatch.setenv(f"STORMPETREL_MAIL_{name}", str(value))
        yield port


def test_without_settings_the_test_mail_is_a_file_for_the_owner_alone(run, place, data_dir):
    out = run("mail", "test", "nino@example.org").out
    (path,) = (data_dir / "mail").glob("*.eml")
    assert str(path) in out
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert message["To"] == "nino@example.org"
    assert "test e-mail" in message.get_content()


def test_a_mail_server_gets_it(run, place, smtp):
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=smtp)
    controller.start()
    try:
        assert f"127.0.0.1:{smtp} accepted it" in run("mail", "test", "nino@example.org").out
    finally:
        controller.stop()
    assert [envelope.rcpt_tos for envelope in mailbox.kept] == [["nino@example.org"]]


def test_what_went_wrong_is_said_in_one_line(run, place, smtp):
    complaint = run("mail", "test", "nino@example.org", expect=3).complaint
    assert complaint.startswith("the mail was not sent: 127.0.0.1:")
    assert "not a valid" in run("mail", "test", "nonsense", expect=2).complaint


def test_the_mail_password_is_never_shown(run, place, monkeypatch):
    monkeypatch.setenv("STORMPETREL_MAIL_PASSWORD", "hush-hush")
    assert "hush" not in run("config").out + run("config", "--json").out
