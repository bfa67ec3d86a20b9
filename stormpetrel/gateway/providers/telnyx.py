"""Telnyx: webhooks signed with Ed25519 over the time and the body, and its API of messages.

Source: https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks. A repeated webhook carries the same
id of the message in its payload.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from stormpetrel.config_sms import RouteConfig, TelnyxKeys
from stormpetrel.gateway.fields import (
    amount_of,
    check_timestamp,
    first_text,
    json_object,
    message_key,
    object_in,
    objects_in,
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
    Rejected,
    SendResult,
    SubmitFailed,
    Throttled,
    Unit,
    UnitReceipt,
    UnitState,
    WebhookAnswer,
    WebhookRequest,
)
from stormpetrel.gateway.route_checks import check_present, check_sender, check_url, key_error

HAS_OPTED_OUT = "40300"
_QUEUE_IS_FULL = "40318"
_QUEUE_PAUSE_S = 10.0
_STATES = {
    "sent": UnitState.SENT,
    "delivery_unconfirmed": UnitState.SENT,
    "delivered": UnitState.DELIVERED,
    "sending_failed": UnitState.FAILED,
    "delivery_failed": UnitState.FAILED,
}
_EVENTS_OF_SENT = ("message.sent", "message.finalized")


class TelnyxProvider:
    """One account. `public_key`: None refuses every webhook."""

    def __init__(self, route: RouteConfig, public_key: Ed25519PublicKey | None) -> None:
        keys = route.keys
        self._public_key = public_key
        self._tolerance_s: int = keys.timestamp_tolerance_s
        self._api_key: str = keys.api_key
        self._profile_id: str = keys.messaging_profile_id
        self._webhook_url: str = keys.webhook_url
        self._messages_url = f"{keys.base_url.rstrip('/')}/v2/messages"
        self._client = ProviderClient()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(window=8)

    @property
    def state(self) -> LinkState:
        return self._client.state

    async def start(self, inbound: Inbound) -> None:
        self._client.open()

    async def stop(self) -> None:
        self._client.close()

    async def send(self, unit: Unit) -> SendResult:
        fields = {
            "to": unit.receiver,
            "from": unit.sender,
            "text": unit.text,
            "messaging_profile_id": self._profile_id,
            "webhook_url": self._webhook_url,
        }
        headers = {"Authorization": f"Bearer {self._api_key}", "Content-Type": "application/json"}
        body = json.dumps({name: value for name, value in fields.items() if value}).encode()
        try:
            response = await self._client.request("POST", self._messages_url, headers=headers, body=body)
        except ProviderUnreachable as error:
            return SubmitFailed(str(error))
        return _result(response)

    def receive(self, request: WebhookRequest) -> tuple[list[Incoming | UnitReceipt], WebhookAnswer]:
        self._check_signature(request)
        event = object_in(json_object(request.body), "data")
        kind, payload = first_text(event, "event_type"), object_in(event, "payload")
        found: Incoming | UnitReceipt | None = None
        if kind == "message.received":
            found = _incoming(payload)
        elif kind in _EVENTS_OF_SENT:
            found = _receipt(payload)
        return ([] if found is None else [found]), WebhookAnswer()

    def _check_signature(self, request: WebhookRequest) -> None:
        if self._public_key is None:
            raise Forged("the route has no public_key")
        timestamp = request.headers.get("telnyx-timestamp", "")
        signature = request.headers.get("telnyx-signature-ed25519", "")
        try:
            self._public_key.verify(
                base64.b64decode(signature.encode("latin-1"), validate=True),
                timestamp.encode("latin-1") + b"|" + request.body,
            )
        except (InvalidSignature, binascii.Error, UnicodeEncodeError):
            raise Forged("the signature is missing or wrong") from None
        check_timestamp(timestamp, now_s=request.now_s, tolerance_s=self._tolerance_s)


def _incoming(payload: dict[str, Any]) -> Incoming | None:
    sender = first_text(object_in(payload, "from"), "phone_number")
    if not sender or ":" in sender:
        return None
    receivers = objects_in(payload, "to")
    return Incoming(
        key=message_key(first_text(payload, "id")),
        sender=sender,
        receiver=first_text(receivers[0], "phone_number") if receivers else "",
        text=first_text(payload, "text"),
        is_opt_out_answered=bool(first_text(payload, "autoresponse_type")),
    )


def _receipt(payload: dict[str, Any]) -> UnitReceipt | None:
    receivers = objects_in(payload, "to")
    state = _STATES.get(first_text(receivers[0], "status")) if receivers else None
    if state is None:
        return None
    codes = _codes(payload) if state is UnitState.FAILED else []
    return UnitReceipt(
        state,
        carrier_id=message_key(first_text(payload, "id")),
        error=" ".join(codes),
        has_opted_out=HAS_OPTED_OUT in codes,
    )


def _codes(fields: dict[str, Any]) -> list[str]:
    return [code[:20] for error in objects_in(fields, "errors") if (code := first_text(error, "code"))]


def _result(response: ProviderResponse) -> SendResult:
    fields = response.json()
    if response.is_success:
        data = object_in(fields, "data")
        carrier_id, parts = first_text(data, "id"), data.get("parts")
        if not carrier_id:
            return SubmitFailed("the answer has no id", 30.0)
        segments = parts if isinstance(parts, int) and parts > 0 else None
        return Accepted(carrier_id, segments, amount_of(object_in(data, "cost").get("amount")))
    codes = _codes(fields)
    reason = f"{response.status} {' '.join(codes)}".strip()
    if HAS_OPTED_OUT in codes:
        return Rejected(reason, has_opted_out=True)
    if _QUEUE_IS_FULL in codes:
        return Throttled(_QUEUE_PAUSE_S)
    if response.status in (400, 403, 422) and any(code.startswith("40") for code in codes):
        # Errors of one message; those of the account have other codes.
        return Rejected(reason)
    return failed_send(response, " ".join(codes))


def make(route: RouteConfig) -> TelnyxProvider:
    """Return the provider. Raise SetupError. Without a `public_key` every webhook is refused."""
    check_present(route, "base_url", "api_key")
    check_url(route, "base_url")
    check_url(route, "webhook_url")
    if not route.keys.messaging_profile_id:
        check_sender(route)
    public_key = None
    if route.keys.public_key:
        try:
            octets = base64.b64decode(route.keys.public_key, validate=True)
            public_key = Ed25519PublicKey.from_public_bytes(octets)
        except ValueError:
            raise key_error(route, "public_key", "must be 32 bytes in Base64") from None
    return TelnyxProvider(route, public_key)


KIND = ProviderKind(TelnyxKeys, make)
