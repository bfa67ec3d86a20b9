"""Telnyx: webhooks signed with Ed25519, and a server on loopback in the place of its API."""

from __future__ import annotations

import base64
import json
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stormpetrel.errors import SetupError
from stormpetrel.gateway.provider import (
    Accepted,
    Forged,
    Rejected,
    SubmitFailed,
    Throttled,
    UnitReceipt,
    UnitState,
    Unreadable,
    WebhookRequest,
)
from stormpetrel.gateway.providers.telnyx import make
from tests.gateway.api_server import api_server, fixed
from tests.gateway.inbox import MemoryInbox, route, run, unit

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
NOW_S = 1_800_000_000
MESSAGE = {
    "id": "m1",
    "direction": "inbound",
    "type": "SMS",
    "from": {"phone_number": "+15551234567", "carrier": "T"},
    "to": [{"phone_number": "+15557654321", "status": "webhook_delivered"}],
    "text": "hello გ",
}


def telnyx(**keys):
    return make(
        route(
            "telnyx",
            **{"api_key": "KEY1", "public_key": PUBLIC, "webhook_url": "https://example.org/sms/main"} | keys,
        )
    )


def event(kind, payload):
    return json.dumps({"data": {"event_type": kind, "id": "e1", "payload": payload}, "meta": {}}).encode()


def webhook(body, *, provider=None, at_s=NOW_S, signed_body=None, key=PRIVATE, **headers):
    signature = base64.b64encode(key.sign(f"{at_s}|".encode() + (signed_body or body))).decode()
    found = {"telnyx-timestamp": str(at_s), "telnyx-signature-ed25519": signature} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return (provider or telnyx()).receive(WebhookRequest("POST", b"", found, body, NOW_S + 0.5))


def test_a_signed_message_is_taken():
    (found,), answer = webhook(event("message.received", MESSAGE))
    assert (found.key, found.sender, found.receiver, found.text, found.is_opt_out_answered) == (
        "m1",
        "+15551234567",
        "+15557654321",
        "hello გ",
        False,
    )
    assert answer.body == b""
    (stop,), _ = webhook(event("message.received", MESSAGE | {"autoresponse_type": "STOP"}))
    assert stop.is_opt_out_answered


def test_a_forged_late_or_future_webhook_is_refused():
    body = event("message.received", MESSAGE)
    assert webhook(body, at_s=NOW_S - 299)[0]
    wrong = [
        {"signed_body": body + b" "},
        {"key": Ed25519PrivateKey.generate()},
        {"at_s": NOW_S - 302},
        {"at_s": NOW_S + 302},
        {"telnyx_timestamp": str(NOW_S - 1)},
        {"telnyx_timestamp": ""},
        {"telnyx_signature_ed25519": ""},
        {"telnyx_signature_ed25519": "no base64"},
        {"telnyx_signature_ed25519": "Ā"},
        {"telnyx_signature_ed25519": base64.b64encode(b"x" * 64).decode()},
        {"provider": telnyx(public_key="")},
    ]
    for change in wrong:
        with pytest.raises(Forged):
            webhook(body, **change)


@pytest.mark.parametrize("timestamp", ["-5", "1e9", "²", " 1800000000", "9" * 30, "nan"])
def test_a_timestamp_that_is_no_number_is_refused_also_when_it_is_signed(timestamp):
    body = event("message.received", MESSAGE)
    signature = PRIVATE.sign(timestamp.encode("latin-1", "replace") + b"|" + body)
    headers = {
        "telnyx-timestamp": timestamp,
        "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
    }
    with pytest.raises(Forged):
        telnyx().receive(WebhookRequest("POST", b"", headers, body, NOW_S))


@pytest.mark.parametrize(
    ("kind", "status", "errors", "receipt"),
    [
        ("message.sent", "sent", [], UnitReceipt(UnitState.SENT, "m1")),
        ("message.finalized", "delivered", [], UnitReceipt(UnitState.DELIVERED, "m1")),
        ("message.finalized", "delivery_unconfirmed", [], UnitReceipt(UnitState.SENT, "m1")),
        (
            "message.finalized",
            "delivery_failed",
            [{"code": "40008"}, {"code": 7}, "x"],
            UnitReceipt(UnitState.FAILED, "m1", error="40008"),
        ),
        (
            "message.finalized",
            "sending_failed",
            [{"code": "40300"}],
            UnitReceipt(UnitState.FAILED, "m1", error="40300", has_opted_out=True),
        ),
    ],
)
def test_events_of_sent_messages_become_receipts(kind, status, errors, receipt):
    payload = {"id": "m1", "to": [{"status": status}], "errors": errors}
    assert webhook(event(kind, payload))[0] == [receipt]


def test_other_events_and_senders_that_are_no_numbers_are_acknowledged():
    for body in (
        event("message.received", MESSAGE | {"from": {"phone_number": "whatsapp:+1"}}),
        event("message.received", MESSAGE | {"from": None}),
        event("message.finalized", {"id": "m1", "to": [{"status": "queued"}]}),
        event("message.finalized", {"id": "m1", "to": "x"}),
        event("call.initiated", {}),
        event(7, []),
        b"{}",
    ):
        assert webhook(body)[0] == []


def test_signed_nonsense_is_unreadable():
    for body in (b"", b"[]", b"{", event("message.received", MESSAGE | {"id": ""})):
        with pytest.raises(Unreadable):
            webhook(body)


def send(answer, **keys):
    async def main(url):
        provider = telnyx(base_url=url, **keys)
        await provider.start(MemoryInbox())
        result = await provider.send(unit("hello გ"))
        await provider.stop()
        return result

    with api_server(answer) as api:
        result = run(lambda: main(api.url))
    (request,) = api.requests
    return result, request


def test_a_message_is_submitted_with_our_webhook():
    created = {"data": {"id": "m9", "parts": 2, "cost": {"amount": "0.0102", "currency": "USD"}}}
    result, request = send(fixed(200, created), messaging_profile_id="P1")
    assert result == Accepted("m9", 2, Decimal("0.0102"))
    assert (request.path, request.headers["authorization"]) == ("/v2/messages", "Bearer KEY1")
    assert request.json == {
        "to": "+15551234567",
        "from": "40404",
        "text": "hello გ",
        "messaging_profile_id": "P1",
        "webhook_url": "https://example.org/sms/main",
    }


@pytest.mark.parametrize(
    ("status", "codes", "expected"),
    [
        (400, ["40300"], Rejected("400 40300", has_opted_out=True)),
        (403, ["40300"], Rejected("403 40300", has_opted_out=True)),
        (422, ["40310"], Rejected("422 40310")),
        (403, ["40013"], Rejected("403 40013")),
        (403, ["10010"], SubmitFailed("403 10010", 30.0)),
        (400, ["40318"], Throttled(10.0)),
        (429, ["10011"], Throttled(1.0)),
        (401, ["10009"], SubmitFailed("401 10009", 30.0)),
        (500, [], SubmitFailed("500", 5.0)),
    ],
)
def test_errors_of_the_api_mean_later_or_never(status, codes, expected):
    errors = {"errors": [{"code": code, "title": "…"} for code in codes]}
    assert send(fixed(status, errors))[0] == expected


def test_an_answer_of_another_program_is_no_acceptance():
    assert send(fixed(200, b"<html>"))[0] == SubmitFailed("the answer has no id", 30.0)


def test_missing_and_wrong_keys_are_named():
    for key, value, problem in (
        ("api_key", "", "is missing"),
        ("base_url", "", "is missing"),
        ("public_key", "abc", "must be 32 bytes in Base64"),
        ("public_key", base64.b64encode(b"short").decode(), "must be 32 bytes in Base64"),
        ("webhook_url", "example.org", "must be a URL"),
    ):
        with pytest.raises(SetupError, match=rf"sms\.route\.main\.{key} {problem}"):
            telnyx(**{key: value})
