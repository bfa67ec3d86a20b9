"""Webhooks as an attacker or a broken provider sends them: damaged ones, and well signed nonsense."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stormpetrel.config_sms import RouteConfig
from stormpetrel.gateway.provider import Provider
from stormpetrel.gateway.providers.registry import make
from tests.gateway.inbox import route
from tests.gateway.webhook_server import request_bytes

SECRET = "s3cret"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
TWILIO_URL = "https://example.org/sms/twilio"
JUNK = (None, True, -1, 1e308, "", "x" * 3000, "\ud800", "\0", "გ😀", [], {}, [[]], {"code": []}, "9" * 400)


def routes() -> dict[str, RouteConfig]:
    api = "http://127.0.0.1:1"
    return {
        "kannel": route(
            "kannel",
            send_url=api,
            webhook_url="https://example.org/sms/kannel",
            username="u",
            password="p",
            secret=SECRET,
        ),
        "twilio": route("twilio", account_sid="AC1", auth_token=SECRET, webhook_url=TWILIO_URL),
        "telnyx": route("telnyx", api_key="k", public_key=PUBLIC),
        "android": route("android", base_url=api, username="u", password="p", signing_key=SECRET),
    }


def providers() -> dict[str, Provider]:
    return {name: make(config) for name, config in routes().items()}


def kannel(rng: random.Random) -> bytes:
    fields = {"from": "+15551234567", "to": "40404", "text": "hello", "charset": "UTF-8", "coding": "0"}
    fields |= {"id": str(rng.random()), "udh": "", "ts": "1"}
    if rng.random() < 0.3:
        fields = {"dlr": rng.choice(("1", "8", "16", "x", "")), "ref": "u1"}
    pairs = {
        key: rng.randbytes(9) if rng.random() < 0.2 else str(value).encode("utf-8", "replace")
        for key, value in each_with_junk(rng, fields).items()
    }
    return request_bytes(f"/sms/kannel?{urlencode({'secret': SECRET} | pairs)}")


def twilio(rng: random.Random) -> bytes:
    fields = {"MessageSid": str(rng.random()), "From": "+15551234567", "To": "40404", "Body": "hello"}
    if rng.random() < 0.3:
        fields |= {"MessageStatus": rng.choice(("sent", "failed", "x", "")), "ErrorCode": "30003"}
    fields = {
        key: str(value).encode("utf-8", "replace").decode()
        for key, value in each_with_junk(rng, fields | {"OptOutType": rng.choice(("", "STOP", "x"))}).items()
    }
    joined = TWILIO_URL + "".join(key + fields[key] for key in sorted(fields))
    signature = base64.b64encode(hmac.digest(SECRET.encode(), joined.encode(), "sha1")).decode()
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    return request_bytes("/sms/twilio", method="POST", headers=headers, body=urlencode(fields).encode())


def telnyx(rng: random.Random) -> bytes:
    payload = {
        "id": str(rng.random()),
        "from": {"phone_number": "+15551234567"},
        "to": [{"phone_number": "40404", "status": rng.choice(("sent", "delivery_failed"))}],
        "text": "hello",
        "errors": [{"code": "40300"}],
    }
    kind = rng.choice(("message.received", "message.finalized", "x"))
    body = json_with_junk(rng, {"data": {"event_type": kind, "payload": payload}})
    now = str(int(time.time()))
    signature = base64.b64encode(PRIVATE.sign(now.encode() + b"|" + body)).decode()
    headers = {"telnyx-timestamp": now, "telnyx-signature-ed25519": signature}
    return request_bytes("/sms/telnyx", method="POST", headers=headers, body=body)


def android(rng: random.Random) -> bytes:
    message = {"sender": "+15551234567", "message": str(rng.random()), "receivedAt": "2026-11-29T12:00:00Z"}
    kind = rng.choice(("sms:received", "sms:batch:received", "sms:failed", "x"))
    payload = message | {"messages": [message, message], "messageId": "u1", "reason": "x"}
    body = json_with_junk(rng, {"event": kind, "deviceId": "d", "payload": payload})
    now = str(int(time.time()))
    signature = hmac.new(SECRET.encode(), body + now.encode(), hashlib.sha256).hexdigest()
    headers = {"X-Timestamp": now, "X-Signature": signature}
    return request_bytes("/sms/android", method="POST", headers=headers, body=body)


def with_junk(rng: random.Random, value: Any) -> Any:
    """Return the value with some of its parts replaced by JUNK or left out."""
    if rng.random() < 0.06:
        return rng.choice(JUNK) if not isinstance(value, dict) or rng.random() < 0.3 else {}
    if isinstance(value, dict):
        return {key: with_junk(rng, each) for key, each in value.items() if rng.random() > 0.03}
    if isinstance(value, list):
        return [with_junk(rng, each) for each in value] * rng.choice((1, 1, 1, 0, 5))
    return value


def each_with_junk(rng: random.Random, fields: dict[str, str]) -> dict[str, Any]:
    return {key: with_junk(rng, value) for key, value in fields.items() if rng.random() > 0.03}


def json_with_junk(rng: random.Random, value: Any) -> bytes:
    body = json.dumps(with_junk(rng, value)).encode()
    return body if rng.random() > 0.05 else mutated(rng, body)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return the bytes with some of them changed, lost, repeated or added."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(content) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(content):
            content[at] = rng.randrange(256)
        elif kind == 1:
            del content[at : at + rng.randrange(1, 9)]
        elif kind == 2:
            content[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 3:
            content[at:at] = content[at : at + rng.randrange(1, 40)]
        else:
            content[at:at] = rng.choice(
                (b"%", b"%zz", b"&", b"=", b"\0", b"%00", b"\xff", b"%ff%fe", b"\r\n")
            )
    return bytes(content)


MAKERS: tuple[Callable[[random.Random], bytes], ...] = (kannel, twilio, telnyx, android)


def hostile(rng: random.Random) -> bytes:
    """Return a request: half of them with a right signature or secret over strange content, half damaged."""
    request = rng.choice(MAKERS)(rng)
    return request if rng.random() < 0.5 else mutated(rng, request)
