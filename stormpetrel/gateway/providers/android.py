"""A phone with the app SMS Gateway for Android, by its local, private or cloud API.

Each webhook has one event, signed with HMAC-SHA256 over the body and a time, which is new on each attempt. The app
repeats an event for two days until it gets 2xx, also those that mean nothing here. Its message ids are not unique,
and the same message can come in an event of its own and in a batch: the key is made of device, sender, time and text.
Source: https://docs.sms-gate.app/features/webhooks/
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import datetime
from typing import Any

from stormpetrel.config_sms import AndroidKeys, RouteConfig
from stormpetrel.gateway.fields import (
    check_timestamp,
    first_text,
    json_object,
    message_key,
    object_in,
    objects_in,
    plain_text,
)
from stormpetrel.gateway.http_client import ProviderClient, ProviderResponse, ProviderUnreachable, failed_send
from stormpetrel.gateway.provider import (
    Accepted,
    Capabilities,
    Forged,
    Inbound,
    Incoming,
    LinkState,
    ProviderKind,
    SendResult,
    SubmitFailed,
    Unit,
    UnitReceipt,
    UnitState,
    WebhookAnswer,
    WebhookRequest,
)
from stormpetrel.gateway.route_checks import check_present, check_url

_CONFLICT = 409
_STATES = {
    "sms:sent": UnitState.SENT,
    "sms:delivered": UnitState.DELIVERED,
    "sms:failed": UnitState.FAILED,
}
_MOST_ERROR = 100
_MOST_EVENT_ID = 64
_DIGEST_LENGTH = 10
_DIGEST = re.compile(rf"\.[0-9a-f]{{{_DIGEST_LENGTH}}}\Z")


class AndroidProvider:
    """One phone."""

    def __init__(self, route: RouteConfig) -> None:
        keys = route.keys
        self._number = route.sender
        self._signing_key: str = keys.signing_key
        self._tolerance_s: int = keys.timestamp_tolerance_s
        self._messages_url = f"{keys.base_url.rstrip('/')}/messages"
        self._credentials = base64.b64encode(f"{keys.username}:{keys.password}".encode()).decode()
        self._client = ProviderClient()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(window=4)

    @property
    def state(self) -> LinkState:
        return self._client.state

    async def start(self, inbound: Inbound) -> None:
        self._client.open()

    async def stop(self) -> None:
        self._client.close()

    async def send(self, unit: Unit) -> SendResult:
        message = {
            "id": _message_id(unit),
            "textMessage": {"text": unit.text},
            "phoneNumbers": [unit.receiver],
            "withDeliveryReport": unit.wants_receipt,
        }
        headers = {"Authorization": f"Basic {self._credentials}", "Content-Type": "application/json"}
        try:
            response = await self._client.request(
                "POST", self._messages_url, headers=headers, body=json.dumps(message).encode()
            )
        except ProviderUnreachable as error:
            return SubmitFailed(str(error))
        return _result(response, unit)

    def receive(self, request: WebhookRequest) -> tuple[list[Incoming | UnitReceipt], WebhookAnswer]:
        self._check_signature(request)
        event = json_object(request.body)
        kind, payload = first_text(event, "event"), object_in(event, "payload")
        device = first_text(event, "deviceId")
        found: list[Incoming | UnitReceipt] = []
        if kind == "sms:received":
            found += self._messages(device, [payload])
        elif kind == "sms:batch:received":
            found += self._messages(device, objects_in(payload, "messages"))
        elif kind in _STATES and (message_id := first_text(payload, "messageId")):
            error = first_text(payload, "reason")[:_MOST_ERROR] if kind == "sms:failed" else ""
            unit_id = _DIGEST.sub("", message_key(message_id))
            # A text of several parts is sent and fails once, but each part is delivered by an event of its own.
            report = first_text(event, "id")[:_MOST_EVENT_ID] if kind == "sms:delivered" else ""
            found.append(UnitReceipt(_STATES[kind], unit_id=unit_id, part_report=report, error=error))
        return found, WebhookAnswer()

    def _check_signature(self, request: WebhookRequest) -> None:
        # The app sends unsigned webhooks too, and anyone can.
        if not self._signing_key:
            raise Forged("the route has no signing_key")
        timestamp = request.headers.get("x-timestamp", "")
        signed = request.body + timestamp.encode("latin-1", "replace")
        expected = hmac.new(self._signing_key.encode(), signed, hashlib.sha256).hexdigest()
        given = request.headers.get("x-signature", "").strip().lower()
        if not hmac.compare_digest(expected.encode(), given.encode("latin-1", "replace")):
            raise Forged("the signature is missing or wrong")
        check_timestamp(timestamp, now_s=request.now_s, tolerance_s=self._tolerance_s)

    def _received_key(self, *parts: str) -> str:
        """Return the key of a message. It is stored: a PIN in the text must not be found from it by trying."""
        return hmac.new(self._signing_key.encode(), _key(*parts).encode(), hashlib.sha256).hexdigest()

    def _messages(self, device: str, payloads: list[dict[str, Any]]) -> list[Incoming]:
        found = []
        for payload in payloads:
            # Older versions of the app write phoneNumber for sender, and have no recipient.
            sender = first_text(payload, "sender", "phoneNumber")
            text = payload.get("message", object_in(payload, "textMessage").get("text"))
            if not sender or not isinstance(text, str):
                continue
            received_at = _point_in_time(first_text(payload, "receivedAt"))
            found.append(
                Incoming(
                    key=self._received_key(device, sender, received_at, text),
                    sender=sender,
                    receiver=first_text(payload, "recipient") or self._number,
                    text=plain_text(text),
                )
            )
        return found


def _message_id(unit: Unit) -> str:
    """Return the unit's id and a digest: ids begin again with a new spool, and the app knows the old ones."""
    return f"{unit.id}.{_key(unit.receiver, unit.text)[:_DIGEST_LENGTH]}"


def _point_in_time(text: str) -> str:
    """Return the time in one form for every zone in which the app writes it; the text itself if it is no time."""
    try:
        return str(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        return text


def _key(*parts: str) -> str:
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "replace")).hexdigest()


def _result(response: ProviderResponse, unit: Unit) -> SendResult:
    # A conflict: the message came with this id before, in a request whose answer was lost.
    if response.is_success or response.status == _CONFLICT:
        return Accepted(unit.id)
    return failed_send(response, "")


def make(route: RouteConfig) -> AndroidProvider:
    """Return the provider. Raise SetupError. Without a `signing_key` every webhook is refused."""
    check_present(route, "base_url", "username", "password")
    check_url(route, "base_url")
    check_url(route, "webhook_url")
    return AndroidProvider(route)


KIND = ProviderKind(AndroidKeys, make)
