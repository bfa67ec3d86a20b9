"""Twilio: webhooks signed by Twilio's own package, and a server on loopback in the place of its API."""

from __future__ import annotations

import base64
import hashlib
import hmac
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from stormpetrel.errors import SetupError
from stormpetrel.gateway.provider import (
    Accepted,
    Forged,
    LinkState,
    Rejected,
    SubmitFailed,
    Throttled,
    UnitReceipt,
    UnitState,
    Unreadable,
    WebhookRequest,
)
from stormpetrel.gateway.providers.twilio import make
from tests.gateway.api_server import api_server, fixed
from tests.gateway.inbox import MemoryInbox, route, run, unit
from tests.gateway.webhook_server import ask, serving

TOKEN = "token-1"
URL = "https://example.org/sms/main?tenant=7"
FORM = "application/x-www-form-urlencoded"
MESSAGE = {
    "MessageSid": "SM1",
    "SmsStatus": "received",
    "AccountSid": "AC1",
    "From": "+15551234567",
    "To": "+15557654321",
    "Body": "follow @alice & bob = ü გ 😀",
    "NumMedia": "0",
    "FromCity": "",
}


def twilio(**keys):
    given = {"account_sid": "AC1", "auth_token": TOKEN, "webhook_url": URL} | keys
    return make(route("twilio", **given))


def signed(url, fields, token=TOKEN, **more):
    return RequestValidator(token).compute_signature(url, fields, **more)


def webhook(fields, *, provider=None, signature=None, headers=None, method="POST", query=b"tenant=7"):
    body = urlencode(fields).encode()
    found = {
        "content-type": FORM,
        "x-twilio-signature": signed(URL, fields) if signature is None else signature,
        "host": "other.example",
        "x-forwarded-host": "other.example",
    } | (headers or {})
    return (provider or twilio()).receive(WebhookRequest(method, query, found, body, 0.0))


def test_a_signed_message_is_taken_and_answered_without_a_text():
    (found,), answer = webhook(MESSAGE | {"NewParameter": "x", "ChannelMetadata": '{"type":"sms"}'})
    assert (found.key, found.sender, found.receiver, found.text, found.is_opt_out_answered) == (
        "SM1",
        "+15551234567",
        "+15557654321",
        MESSAGE["Body"],
        False,
    )
    assert answer.body == b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
    assert answer.content_type == "text/xml; charset=utf-8"


def test_the_documented_example_of_a_signature_is_accepted():
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    expected = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    provider = twilio(auth_token="12345", webhook_url="https://mycompany.com/myapp.php?foo=1&bar=2")
    assert webhook(fields, provider=provider, signature=expected)[0] == []


def test_a_forged_signature_is_refused_whatever_the_headers_say():
    good = signed(URL, MESSAGE)
    wrong = [
        "",
        good[:-2],
        good + "A",
        good.lower(),
        signed(URL, MESSAGE, "other"),
        signed("https://other.example/sms/main?tenant=7", MESSAGE),
        signed("https://example.org/sms/main", MESSAGE),
        signed(URL, {}),
    ]
    for signature in wrong:
        with pytest.raises(Forged):
            webhook(MESSAGE, signature=signature)
    for changed in ({"Body": "x"}, {"From": "+15550000000"}, {"Extra": "1"}):
        with pytest.raises(Forged):
            webhook(MESSAGE | changed, signature=good)
    with pytest.raises(Forged):
        webhook({name: MESSAGE[name] for name in MESSAGE if name != "To"}, signature=good)


def test_two_tokens_are_accepted_while_one_is_rotated():
    provider = twilio(auth_token="new , token-1")
    assert webhook(MESSAGE, provider=provider)[0]
    assert webhook(MESSAGE, provider=provider, signature=signed(URL, MESSAGE, "new"))[0]
    with pytest.raises(Forged):
        webhook(MESSAGE, provider=provider, signature=signed(URL, MESSAGE, "new , token-1"))


def test_the_port_of_the_url_may_be_written_or_not():
    for signed_url in ("https://example.org:443/sms/main?tenant=7", URL):
        assert webhook(MESSAGE, signature=signed(signed_url, MESSAGE))[0]
        provider = twilio(webhook_url="https://example.org:443/sms/main?tenant=7")
        assert webhook(MESSAGE, provider=provider, signature=signed(signed_url, MESSAGE))[0]
    with pytest.raises(Forged):
        webhook(MESSAGE, signature=signed("https://example.org:8443/sms/main?tenant=7", MESSAGE))


def test_connection_overrides_are_handed_out_and_not_signed():
    overrides = URL + "#rc=5&rp=all"
    assert webhook(MESSAGE, provider=twilio(webhook_url=overrides))[0]
    _, request = send(fixed(201, {"sid": "SM9"}), webhook_url=overrides)
    assert request.form["StatusCallback"] == overrides


def test_a_shared_key_signs_with_sha256_and_other_algorithms_are_refused():
    header = "x-twilio-webhooks-signature-settings"
    signature = signed(URL, MESSAGE, algorithm="HMAC_SHA256")
    settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    assert webhook(MESSAGE, signature=signature, headers={header: settings})[0]
    for wrong in ("algorithm=HMAC_MD5", "algorithm=none", ""):
        with pytest.raises(Forged):
            webhook(MESSAGE, signature=signature, headers={header: wrong})


def test_a_repeated_parameter_is_signed_with_each_value():
    body = urlencode([*MESSAGE.items(), ("Tag", "b"), ("Tag", "a"), ("Tag", "b")]).encode()
    joined = URL + "".join(k + v for k, v in sorted([*MESSAGE.items(), ("Tag", "a"), ("Tag", "b")]))
    signature = base64.b64encode(hmac.digest(TOKEN.encode(), joined.encode(), "sha1")).decode()
    headers = {"content-type": FORM, "x-twilio-signature": signature}
    assert twilio().receive(WebhookRequest("POST", b"", headers, body, 0.0))[0]


def test_a_webhook_by_get_is_signed_with_its_query():
    query = urlencode(MESSAGE)
    headers = {"x-twilio-signature": signed(f"https://example.org/sms/main?{query}", {})}
    request = WebhookRequest("GET", query.encode(), headers, b"", 0.0)
    ((found,), _) = twilio().receive(request)
    assert found.text == MESSAGE["Body"]
    with pytest.raises(Forged):
        twilio().receive(WebhookRequest("GET", query.encode() + b"&To=x", headers, b"", 0.0))


def test_a_json_body_is_covered_by_its_hash_in_the_url():
    body = b'{"MessageSid": "SM1", "From": "+15551234567", "Body": "hello"}'
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {
        "content-type": "application/json",
        "x-twilio-signature": signed(f"https://example.org/sms/main?{query}", {}),
    }
    ((found,), _) = twilio().receive(WebhookRequest("POST", query.encode(), headers, body, 0.0))
    assert found.text == "hello"
    for other in (body + b" ", body.replace(b"hello", b"help!")):
        with pytest.raises(Forged):
            twilio().receive(WebhookRequest("POST", query.encode(), headers, other, 0.0))
    headers["x-twilio-signature"] = signed("https://example.org/sms/main", {})
    with pytest.raises(Forged):
        twilio().receive(WebhookRequest("POST", b"", headers, body, 0.0))


def test_a_confirmed_opt_out_is_marked_also_with_a_keyword_of_the_account():
    for kind, body, text in (
        ("STOP", "Stop", "Stop"),
        ("STOP", "halt", "STOP"),
        ("START", "yes", "START"),
        ("HELP", "hilfe", "HELP"),
    ):
        ((found,), _) = webhook(MESSAGE | {"OptOutType": kind, "Body": body})
        assert (found.text, found.is_opt_out_answered) == (text, True)


def test_senders_that_are_no_numbers_and_events_that_mean_nothing_are_acknowledged():
    for change in (
        {"From": "whatsapp:+15551234567"},
        {"From": "rcs:brand_agent"},
        {"From": "messenger:123"},
        {"From": ""},
        {"MessageSid": ""},
        {"MessageStatus": "queued"},
        {"MessageStatus": "invented"},
    ):
        assert webhook(MESSAGE | change)[0] == []
    assert webhook({"CallSid": "CA1", "CallStatus": "ringing"})[0] == []


@pytest.mark.parametrize(
    ("status", "code", "receipt"),
    [
        ("sent", "", UnitReceipt(UnitState.SENT, "SM1")),
        ("delivered", "", UnitReceipt(UnitState.DELIVERED, "SM1")),
        ("undelivered", "30003", UnitReceipt(UnitState.FAILED, "SM1", error="30003")),
        ("failed", "21610", UnitReceipt(UnitState.FAILED, "SM1", error="21610", has_opted_out=True)),
    ],
)
def test_status_callbacks_become_receipts(status, code, receipt):
    assert webhook({"MessageSid": "SM1", "MessageStatus": status, "ErrorCode": code})[0] == [receipt]


@pytest.mark.parametrize("body", ["Body=ü", "&".join(f"a{number}=1" for number in range(201))])
def test_a_form_that_cannot_be_read_is_unreadable(body):
    with pytest.raises(Unreadable):
        twilio().receive(WebhookRequest("POST", b"", {"content-type": FORM}, body.encode(), 0.0))


def test_a_replay_over_http_has_no_second_effect_and_a_cut_body_none_at_all():
    inbox = MemoryInbox()
    body = urlencode(MESSAGE).encode()
    headers = {"Content-Type": FORM, "X-Twilio-Signature": signed(URL, MESSAGE)}

    async def main():
        async with serving({"main": twilio()}, inbox) as port:
            statuses = []
            for sent in (body, body, body[:-5]):
                answer = await ask(port, "/sms/main", method="POST", headers=headers, body=sent)
                statuses.append(answer.status)
            return statuses

    assert run(main) == [200, 200, 403]
    assert (len(inbox.messages), inbox.repeated) == (1, 1)


def send(answer, **keys):
    """Return the result of a submission that the API answers so, and the request."""

    async def main(url):
        provider = twilio(base_url=url + "/", **keys)
        await provider.start(MemoryInbox())
        assert provider.state is LinkState.UP
        result = await provider.send(unit("hello გ"))
        await provider.stop()
        return result

    with api_server(answer) as api:
        result = run(lambda: main(api.url))
    (request,) = api.requests
    return result, request


def test_a_message_is_submitted_with_our_callback():
    created = {"sid": "SM9", "status": "queued", "num_segments": "2", "price": "-0.0158"}
    result, request = send(fixed(201, created), auth_token="first,second")
    assert result == Accepted("SM9", 2, Decimal("0.0158"))
    assert request.path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert request.form == {
        "To": "+15551234567",
        "From": "40404",
        "Body": "hello გ",
        "StatusCallback": URL,
    }
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"AC1:first").decode()


def test_a_messaging_service_takes_the_place_of_the_sender():
    result, request = send(
        fixed(201, {"sid": "SM9", "num_segments": "0", "price": None}), messaging_service_sid="MG1"
    )
    assert result == Accepted("SM9", None, None)
    assert request.form["MessagingServiceSid"] == "MG1"
    assert "From" not in request.form


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (fixed(400, {"code": 21610, "message": "…"}), Rejected("400 21610", has_opted_out=True)),
        (fixed(400, {"code": 21211}), Rejected("400 21211")),
        (fixed(400, {"code": 21611}), Throttled(10.0)),
        (fixed(429, {"code": 20429}), Throttled(1.0)),
        (fixed(429, {"code": 20429}, Retry_After="3"), Throttled(3.0)),
        (fixed(401, {"code": 20003}), SubmitFailed("401 20003", 30.0)),
        (fixed(500, b"<html>"), SubmitFailed("500", 5.0)),
        (fixed(503, b""), SubmitFailed("503", 5.0)),
        (fixed(200, b"<html>"), SubmitFailed("the answer has no sid", 30.0)),
    ],
)
def test_errors_of_the_api_mean_later_or_never(answer, expected):
    assert send(answer)[0] == expected


@pytest.mark.parametrize("key", ["account_sid", "auth_token", "webhook_url", "base_url"])
def test_a_missing_key_is_named(key):
    with pytest.raises(SetupError, match=rf"sms\.route\.main\.{key} is missing"):
        twilio(**{key: ""})


def test_a_sender_or_a_messaging_service_is_needed():
    keys = {"account_sid": "AC1", "auth_token": TOKEN, "webhook_url": URL}
    with pytest.raises(SetupError, match=r"sms\.route\.main\.sender is missing"):
        make(route("twilio", sender="", **keys))
    make(route("twilio", sender="", messaging_service_sid="MG1", **keys))
