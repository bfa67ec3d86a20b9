"""The mails of an update: whole, in plain text, with one link, and safe against any text of an operator."""

from __future__ import annotations

import dataclasses
import email
import email.policy

import pytest

from stormpetrel.config import Config, StatusConfig
from stormpetrel.courier.status_letters import template
from stormpetrel.model.status_subscription import (
    StatusNotice,
    StatusSubscription,
    SubscriptionKind,
    SubscriptionState,
)

TOKEN = "ab" * 24
CONFIG = dataclasses.replace(
    Config(),
    public_url="https://a-long-name-of-a-host-so-that-lines-must-be-broken.birds.example",
    title="Vögel",
    status=StatusConfig(public_url="https://status.birds.example/"),
)
NOTICE = StatusNotice(
    "aaaaaaaaaaaa", "bbbbbbbbbbbb", "Apps fail", "major", ("apps",), "identified", "Words.", 60_000, False, 0
)


def one(target="ann@example.org", id=7):
    return StatusSubscription(id, SubscriptionKind.EMAIL, target, (), SubscriptionState.ACTIVE, "nonce")


def parsed(notice=NOTICE, config=CONFIG):
    data = template(notice, config).mail(one(), token=TOKEN).data
    assert data.count(b"\n") == data.count(b"\r\n")
    assert max(map(len, data.split(b"\r\n"))) <= 998
    return email.message_from_bytes(data, policy=email.policy.default)


def test_a_mail_has_the_update_and_the_links():
    message = parsed()
    base = CONFIG.base_url
    assert message["To"] == "ann@example.org"
    assert message["Subject"] == "Identified: Apps fail · Vögel"
    assert message["Message-ID"].startswith("<aaaaaaaaaaaa.7@")
    assert message["List-Unsubscribe"] == f"<{base}/status/leave?token={TOKEN}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content().replace("\r\n", "\n")
    for part in ("Words.", "Identified, 1970-01-01 00:01 UTC", "Impact: major", "Services: Apps", "Vögel"):
        assert part in text
    assert "https://status.birds.example/incidents/bbbbbbbbbbbb\n" in text
    assert text.endswith(f"{base}/status/subscription?token={TOKEN}\n")


def test_mails_of_two_subscribers_differ_only_in_their_parts():
    made = template(NOTICE, CONFIG)
    first = made.mail(one(), token=TOKEN).data
    other = made.mail(one("ben@example.org", 8), token="cd" * 24).data
    assert other == first.replace(b"ann@", b"ben@").replace(b".7@", b".8@").replace(b"ab" * 24, b"cd" * 24)


def test_maintenance_tells_its_times():
    planned = StatusNotice(
        *("c" * 12, "d" * 12, "New disks", "maintenance", (), "scheduled", "Posting pauses.", 0, False, 0),
        scheduled_for_ms=3_600_000,
        scheduled_until_ms=7_200_000,
    )
    text = parsed(planned).get_content()
    assert "Planned: 1970-01-01 01:00 UTC to 1970-01-01 02:00 UTC" in text
    assert "Services" not in text


@pytest.mark.parametrize(
    "body",
    [".\r\n.hidden", "a" * 3000, "ünïcode ☃ = =3D", "line\rline\nline", "From x\n\n--\n", "\x00\x1b[2J"],
)
def test_any_text_arrives_and_changes_no_header(body):
    notice = StatusNotice(
        "e" * 12, "f" * 12, "Name\r\nBcc: all@example.org", "minor", (), "identified", body, 0, True, 0
    )
    message = parsed(notice)
    assert message["Bcc"] is None
    words = message.get_content().split()
    assert [word for word in body.split() if word not in words] == []
    assert "automatically," in words
