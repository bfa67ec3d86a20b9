"""The Android gateway: its signed events, old and new, and a server on loopback in the place of its API."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.gateway.provider import (
    Accepted,
    Forged,
    Rejected,
    SubmitFailed,
    UnitReceipt,
    UnitState,
    Unreadable,
    WebhookRequest,
)
from stormpetrel.gateway.providers.android import make
from tests.gateway.api_server import api_server, fixed
from tests.gateway.inbox import MemoryInbox, route, run, unit

KEY = "sign ing"
NOW_S = 1_800_000_000
OLD = {
    "messageId": "abc123",
    "message": "hello გ",
    "phoneNumber": "6505551212",
    "simNumber": None,
    "receivedAt": "2024-06-22T15:46:11.000+07:00",
}
NEW = {
    "messageId": "abc123",
    "message": "hello გ",
    "sender": "6505551212",
    "recipient": "+15557654321",
    "receivedAt": "2024-06-22T08:46:11.000Z",
}


def android(**keys):
    given = {"base_url": "http://127.0.0.1:1", "username": "u", "password": "p", "signing_key": KEY} | keys
    return make(route("android", **given))


def signature_of(body, timestamp, key=KEY):
    return hmac.new(key.encode(), body + timestamp.encode("latin-1"), hashlib.sha256).hexdigest()


def webhook(kind, payload, *, provider=None, device="d1", at_s=NOW_S, id="e1", **headers):
    body = json.dumps(
        {"deviceId": device, "event": kind, "id": id, "payload": payload, "webhookId": "w"}
    ).encode()
    return receive(body, provider=provider, at_s=at_s, **headers)


def receive(body, *, provider=None, at_s=NOW_S, **headers):
    found = {"x-timestamp": str(at_s), "x-signature": signature_of(body, str(at_s))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return (provider or android()).receive(WebhookRequest("POST", b"", found, body, NOW_S + 0.5))


def test_old_and_new_names_of_fields_give_the_same_message():
    (old,), _ = webhook("sms:received", OLD, id="e1")
    (new,), answer = webhook("sms:received", NEW, id="e2", at_s=NOW_S - 100)
    assert (old.sender, old.receiver, old.text) == ("6505551212", "40404", "hello გ")
    assert (new.sender, new.receiver, new.text) == ("6505551212", "+15557654321", "hello გ")
    assert old.key == new.key
    assert answer.body == b""


def test_a_batch_has_the_keys_of_its_messages_and_a_broken_one_does_not_hide_the_others():
    second = NEW | {"message": "again"}
    broken = [NEW | {"sender": ""}, NEW | {"message": 7}, "x", {}]
    found, _ = webhook("sms:batch:received", {"messages": [NEW, *broken, second]})
    assert [each.text for each in found] == ["hello გ", "again"]
    (alone,), _ = webhook("sms:received", NEW)
    assert found[0].key == alone.key


def test_the_key_is_of_device_sender_time_and_text():
    changes = [
        ({}, "d1"),
        ({}, "d2"),
        ({"sender": "6505551213"}, "d1"),
        ({"receivedAt": "2024-06-22T08:46:12.000Z"}, "d1"),
        ({"receivedAt": "once"}, "d1"),
        ({"message": "hello"}, "d1"),
    ]
    keys = [webhook("sms:received", NEW | change, device=device)[0][0].key for change, device in changes]
    assert len(set(keys)) == len(keys)
    again = webhook("sms:received", NEW | {"messageId": "other", "simNumber": 2})[0][0].key
    assert again == keys[0]


def test_a_text_in_an_object_and_a_lone_surrogate_are_read():
    payload = {"sender": "+1555", "textMessage": {"text": "a\ud800"}, "receivedAt": "x"}
    ((found,), _) = webhook("sms:received", payload)
    assert found.text == "a?"


@pytest.mark.parametrize(
    ("kind", "payload", "receipt"),
    [
        ("sms:sent", {"messageId": "u1", "partsCount": 2}, UnitReceipt(UnitState.SENT, unit_id="u1")),
        (
            "sms:delivered",
            {"messageId": "u1"},
            UnitReceipt(UnitState.DELIVERED, unit_id="u1", part_report="e1"),
        ),
        (
            "sms:failed",
            {"messageId": "u1", "reason": "x" * 500},
            UnitReceipt(UnitState.FAILED, unit_id="u1", error="x" * 100),
        ),
    ],
)
def test_events_of_sent_messages_become_receipts(kind, payload, receipt):
    assert webhook(kind, payload)[0] == [receipt]


def test_each_part_of_a_text_is_delivered_by_an_event_of_its_own():
    ((receipt,), _) = webhook("sms:delivered", {"messageId": "u1"}, id="Ey6ECgOkVVFjz3CL48B")
    assert receipt == UnitReceipt(UnitState.DELIVERED, unit_id="u1", part_report="Ey6ECgOkVVFjz3CL48B")
    ((receipt,), _) = webhook("sms:sent", {"messageId": "u1", "partsCount": 2}, id="Ey6ECgOkVVFjz3CL48B")
    assert receipt == UnitReceipt(UnitState.SENT, unit_id="u1")


def test_every_other_event_is_acknowledged_or_it_would_come_for_two_days():
    for kind in ("sms:data-received", "mms:received", "mms:downloaded", "sms:cancelled", "app:started"):
        assert webhook(kind, {"any": 1})[0] == []
    for kind, payload in (("system:ping", None), ("sms:sent", {}), (7, []), ("sms:received", None)):
        assert webhook(kind, payload)[0] == []


def test_a_forged_late_or_unsigned_event_is_refused():
    wrong = [
        {"at_s": NOW_S - 302},
        {"at_s": NOW_S + 302},
        {"x_timestamp": str(NOW_S - 1)},
        {"x_timestamp": ""},
        {"x_timestamp": "é"},
        {"x_signature": ""},
        {"x_signature": "é" * 64},
        {"x_signature": signature_of(b"other", str(NOW_S))},
        {"provider": android(signing_key="other")},
    ]
    for change in wrong:
        with pytest.raises(Forged):
            webhook("sms:received", NEW, **change)
    unsigned = android(signing_key="")
    body = b"{}"
    with pytest.raises(Forged):
        receive(body, provider=unsigned, x_signature=signature_of(body, str(NOW_S), ""))


def test_signed_nonsense_is_unreadable():
    for body in (b"", b"[]", b"{", b"\xff"):
        with pytest.raises(Unreadable):
            receive(body)


def test_the_id_is_the_same_on_each_attempt_and_another_one_for_another_text():
    first, again, other = (
        send(fixed(202, {}), text)[1].json["id"] for text in ("hello", "hello", "hello again")
    )
    assert first == again != other
    assert len(first) < 36


def send(answer, text="hello გ"):
    async def main(url):
        provider = android(base_url=url + "/3rdparty/v1/")
        await provider.start(MemoryInbox())
        result = await provider.send(unit(text, id="u1"))
        await provider.stop()
        return result

    with api_server(answer) as api:
        result = run(lambda: main(api.url))
    (request,) = api.requests
    return result, request


def test_a_message_is_submitted_with_our_id_and_again_without_a_second_one():
    for status in (202, 200, 409):
        result, request = send(fixed(status, {"id": "u1", "state": "Pending"}))
        assert result == Accepted("u1")
    assert request.path == "/3rdparty/v1/messages"
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"u:p").decode()
    message = request.json
    assert webhook("sms:delivered", {"messageId": message["id"]})[0] == [
        UnitReceipt(UnitState.DELIVERED, unit_id="u1", part_report="e1")
    ]
    assert message == {
        "id": message["id"],
        "textMessage": {"text": "hello გ"},
        "phoneNumbers": ["+15551234567"],
        "withDeliveryReport": True,
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, Rejected("400")), (401, SubmitFailed("401", 30.0)), (503, SubmitFailed("503", 5.0))],
)
def test_errors_of_the_api_mean_later_or_never(status, expected):
    assert send(fixed(status, {"message": "…"}))[0] == expected


@pytest.mark.parametrize("key", ["base_url", "username", "password"])
def test_a_missing_key_is_named(key):
    with pytest.raises(SetupError, match=rf"sms\.route\.main\.{key} is missing"):
        android(**{key: ""})


def test_the_key_cannot_be_made_without_the_signing_key():
    parts = ("d1", "+995599123456", "", "1234 hello")
    plain = hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
    (found,), _ = webhook("sms:received", {"sender": parts[1], "message": parts[3]}, device=parts[0])
    assert found.key != plain
