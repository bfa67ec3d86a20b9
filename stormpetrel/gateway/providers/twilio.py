"""Twilio, and services with the same API.

A webhook is signed: Base64 of an HMAC of the URL, followed by the names and values of the form, sorted by name
(https://www.twilio.com/docs/usage/webhooks/webhooks-security). The URL is `webhook_url`, never one made of headers
that the client or a proxy wrote. A JSON body is covered by its hash in the URL. A repeated webhook has the same
MessageSid. Twilio repeats one only if its URL has connection overrides, like #rc=5&rp=all; these are not signed
(https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides).

Twilio may answer STOP itself (OptOutType), and refuses messages to that number with error 21610.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from stormpetrel.config_sms import RouteConfig, TwilioKeys
from stormpetrel.gateway.fields import amount_of, first_text, form_fields, json_object, message_key
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
from stormpetrel.gateway.route_checks import check_present, check_sender, check_url
from stormpetrel.sms.keywords import recognise

HAS_OPTED_OUT = "21610"
_QUEUE_IS_FULL = "21611"
_QUEUE_PAUSE_S = 10.0
_STATES = {
    "sent": UnitState.SENT,
    "delivered": UnitState.DELIVERED,
    "read": UnitState.DELIVERED,
    "undelivered": UnitState.FAILED,
    "failed": UnitState.FAILED,
    "canceled": UnitState.FAILED,
}
"""MessageStatus; others come before "sent"."""
_HASHES = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_EMPTY_TWIML = WebhookAnswer(
    b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>', "text/xml; charset=utf-8"
)


class TwilioProvider:
    """One account."""

    def __init__(self, route: RouteConfig) -> None:
        keys = route.keys
        self._sid: str = keys.account_sid
        self._tokens = [token.strip() for token in keys.auth_token.split(",") if token.strip()]
        self._service_sid: str = keys.messaging_service_sid
        self._webhook_url: str = keys.webhook_url
        account = quote(self._sid, safe="")
        self._messages_url = f"{keys.base_url.rstrip('/')}/2010-04-01/Accounts/{account}/Messages.json"
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

    # Outgoing

    async def send(self, unit: Unit) -> SendResult:
        fields = {"To": unit.receiver, "Body": unit.text}
        if self._service_sid:
            fields["MessagingServiceSid"] = self._service_sid
        else:
            fields["From"] = unit.sender
        if unit.wants_receipt:
            fields["StatusCallback"] = self._webhook_url
        credentials = base64.b64encode(f"{self._sid}:{self._tokens[0]}".encode()).decode()
        headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        try:
            response = await self._client.request(
                "POST", self._messages_url, headers=headers, body=urlencode(fields).encode()
            )
        except ProviderUnreachable as error:
            return SubmitFailed(str(error))
        return _result(response)

    # Incoming

    def receive(self, request: WebhookRequest) -> tuple[list[Incoming | UnitReceipt], WebhookAnswer]:
        form = None
        if request.method != "GET" and _is_form(request):
            form = form_fields(request.body)
        self._check_signature(request, form)
        if form is not None:
            fields: Mapping[str, Any] = dict(reversed(form))
        elif request.body:
            fields = json_object(request.body)
        else:
            fields = dict(reversed(form_fields(request.query)))
        found = _found(fields)
        return ([] if found is None else [found]), _EMPTY_TWIML

    def _check_signature(self, request: WebhookRequest, form: list[tuple[str, str]] | None) -> None:
        """Raise Forged unless the request is signed with one of the tokens. `form`: None if there is none."""
        algorithm = _algorithm(request.headers.get("x-twilio-webhooks-signature-settings", ""))
        given = request.headers.get("x-twilio-signature", "").encode("latin-1", "replace")
        url = self._webhook_url.partition("#")[0]
        if form is None:
            query = request.query.decode("latin-1")
            if request.body and not _has_hash_of(request.body, query):
                raise Forged("the hash of the body is missing or wrong")
            url = url.partition("?")[0] + (f"?{query}" if query else "")
        values = "".join(name + value for name, value in sorted(set(form or [])))
        for each in _with_and_without_port(url):
            for token in self._tokens:
                signed = hmac.digest(token.encode(), (each + values).encode(), algorithm)
                if hmac.compare_digest(base64.b64encode(signed), given):
                    return
        raise Forged("the signature is missing or wrong, or webhook_url is not the URL that Twilio calls")


def _is_form(request: WebhookRequest) -> bool:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return content_type in ("", "application/x-www-form-urlencoded")


def _algorithm(settings: str) -> str:
    """Return the hash that the header names: SHA-1 without one. Raise Forged for an unknown one."""
    parts = (part.partition("=") for part in settings.split(","))
    named = next((value.strip() for name, _, value in parts if name.strip() == "algorithm"), "")
    algorithm = _HASHES.get(named.upper() or "HMAC_SHA1")
    if algorithm is None:
        raise Forged("the algorithm of the signature is unknown")
    return algorithm


def _has_hash_of(body: bytes, query: str) -> bool:
    given = dict(form_fields(query.encode("latin-1"))).get("bodySHA256", "")
    return hmac.compare_digest(
        given.lower().encode("utf-8", "replace"), hashlib.sha256(body).hexdigest().encode()
    )


def _with_and_without_port(url: str) -> Iterable[str]:
    """Yield the URL in both forms: Twilio signs the standard port in some cases and leaves it out in others."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    yield url
    if parts.port:
        yield url.replace(parts.netloc, host, 1)
    else:
        yield url.replace(parts.netloc, f"{host}:{443 if parts.scheme == 'https' else 80}", 1)


def _found(fields: Mapping[str, Any]) -> Incoming | UnitReceipt | None:
    """Return the message or receipt in signed parameters; None for other events, like a call."""
    sid = first_text(fields, "MessageSid", "SmsMessageSid", "SmsSid")
    if not sid:
        return None
    if "MessageStatus" in fields:
        state = _STATES.get(first_text(fields, "MessageStatus"))
        if state is None:
            return None
        error = first_text(fields, "ErrorCode") if state is UnitState.FAILED else ""
        return UnitReceipt(
            state, carrier_id=message_key(sid), error=error, has_opted_out=error == HAS_OPTED_OUT
        )
    sender = first_text(fields, "From")
    # "whatsapp:+1555…" and "rcs:brand" come to the same URL and are no numbers.
    if "Body" not in fields or not sender or ":" in sender:
        return None
    opt_out_type, text = first_text(fields, "OptOutType"), first_text(fields, "Body")
    if opt_out_type in ("STOP", "START", "HELP") and recognise(text) is None:
        # A keyword of the account's own, to which Twilio has reacted already.
        text = opt_out_type
    return Incoming(
        key=message_key(sid),
        sender=sender,
        receiver=first_text(fields, "To"),
        text=text,
        is_opt_out_answered=bool(opt_out_type),
    )


def _result(response: ProviderResponse) -> SendResult:
    fields = response.json()
    if response.is_success:
        sid = first_text(fields, "sid")
        if not sid:
            return SubmitFailed("the answer has no sid", 30.0)
        return Accepted(sid, _count(fields.get("num_segments")), amount_of(fields.get("price")))
    code = fields.get("code")
    reason = str(code) if isinstance(code, int) else ""
    if reason == HAS_OPTED_OUT:
        return Rejected(f"{response.status} {reason}", has_opted_out=True)
    if reason == _QUEUE_IS_FULL:
        return Throttled(_QUEUE_PAUSE_S)
    return failed_send(response, reason)


def _count(value: Any) -> int | None:
    """Return the number of segments; None for 0, which a messaging service says before it has sent."""
    return int(value) or None if isinstance(value, str) and value.isdecimal() and len(value) < 4 else None


def make(route: RouteConfig) -> TwilioProvider:
    """Return the provider. Raise SetupError."""
    check_present(route, "base_url", "account_sid", "auth_token", "webhook_url")
    check_url(route, "base_url")
    check_url(route, "webhook_url", may_have_fragment=True)
    if not route.keys.messaging_service_sid:
        check_sender(route)
    return TwilioProvider(route)


KIND = ProviderKind(TwilioKeys, make)
