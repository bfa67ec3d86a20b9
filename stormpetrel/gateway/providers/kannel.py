"""Kannel's smsbox: it calls our webhook for each message and receipt, and takes messages at its URL for sendsms.

Kannel keeps a message until its call is answered with 2xx, and its id stays the same. It joins the parts of a long
text before it calls. Its receipts name our own id, which is in the dlr-url of the submission.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import unquote_to_bytes, urlencode

from stormpetrel.config_sms import KannelKeys, RouteConfig
from stormpetrel.gateway.fields import MOST_FIELDS, message_key, plain_text
from stormpetrel.gateway.http_client import (
    REFUSED_PAUSE_S,
    ProviderClient,
    ProviderResponse,
    ProviderUnreachable,
    failed_send,
)
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
    Unreadable,
    WebhookAnswer,
    WebhookRequest,
)
from stormpetrel.gateway.route_checks import check_present, check_url
from stormpetrel.sms.udh import separate
from stormpetrel.sms.user_data import Coding, UserData

_CODECS = {
    "": "utf-8",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "gsm": "utf-8",  # Kannel decodes the GSM alphabet itself
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16be": "utf-16-be",
    "ucs-2": "utf-16-be",
    "utf-16": "utf-16-be",
}
"""Values of charset (%C), in lower case."""
_BINARY_CODING = "1"
_STATES = {
    "1": UnitState.DELIVERED,
    "2": UnitState.FAILED,
    "4": UnitState.SENT,
    "8": UnitState.SENT,
    "16": UnitState.FAILED,
}
"""Values of %d: delivered, not delivered, buffered, accepted and refused by the carrier."""
_ALL_RECEIPTS = 31
_ACCEPTED = ("0:", "3:")


class KannelProvider:
    """One smsbox."""

    def __init__(self, route: RouteConfig) -> None:
        keys = route.keys
        self._send_url: str = keys.send_url
        self._webhook_url: str = keys.webhook_url
        self._username: str = keys.username
        self._password: str = keys.password
        self._secret: str = keys.secret
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
        url = f"{self._send_url}{'&' if '?' in self._send_url else '?'}{self._submission(unit)}"
        try:
            response = await self._client.request("GET", url)
        except ProviderUnreachable as error:
            return SubmitFailed(str(error))
        return _result(response, unit)

    def _submission(self, unit: Unit) -> str:
        fields = {
            "username": self._username,
            "password": self._password,
            "to": unit.receiver,
            "from": unit.sender,
            "text": unit.text,
            "charset": "UTF-8",
            "coding": "2" if unit.coding is Coding.UCS2 else "0",
        }
        if unit.wants_receipt:
            fields |= {"dlr-mask": str(_ALL_RECEIPTS), "dlr-url": self._receipt_url(unit.id)}
        return urlencode({name: value for name, value in fields.items() if value})

    def _receipt_url(self, unit_id: str) -> str:
        """Return the URL that Kannel calls. It replaces %d, and "%%" by "%"."""
        query = urlencode({"secret": self._secret, "ref": unit_id})
        base = f"{self._webhook_url}{'&' if '?' in self._webhook_url else '?'}{query}"
        return base.replace("%", "%%") + "&dlr=%d"

    def receive(self, request: WebhookRequest) -> tuple[list[Incoming | UnitReceipt], WebhookAnswer]:
        fields = _fields(request.query)
        given = fields.get("secret", b"")
        # Without a secret no request can be told from a forged one.
        if not self._secret:
            raise Forged("the route has no secret")
        if not hmac.compare_digest(given, self._secret.encode()):
            raise Forged("the secret is missing or wrong")
        answer = WebhookAnswer()
        if "dlr" in fields:
            state = _STATES.get(_text(fields, "dlr"))
            reference = _text(fields, "ref")
            if state is None or not reference:
                return [], answer
            error = "" if state is not UnitState.FAILED else f"dlr {_text(fields, 'dlr')}"
            return [UnitReceipt(state, unit_id=message_key(reference), error=error)], answer
        return [_incoming(fields, self._secret.encode())], answer


def _fields(query: bytes) -> dict[str, bytes]:
    """Return the first value of each parameter, percent-decoded: its charset is a parameter too."""
    fields: dict[str, bytes] = {}
    for pair in query.split(b"&")[:MOST_FIELDS]:
        name, _, value = pair.partition(b"=")
        fields.setdefault(
            unquote_to_bytes(name).decode("latin-1"), unquote_to_bytes(value.replace(b"+", b" "))
        )
    return fields


def _text(fields: dict[str, bytes], name: str) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")


def _incoming(fields: dict[str, bytes], secret: bytes) -> Incoming:
    sender, content = _text(fields, "from"), fields.get("text")
    if not sender or content is None:
        raise Unreadable("The request needs from and text")
    key = _text(fields, "id")
    if not key:
        stable = [fields.get(name, b"") for name in ("from", "to", "ts", "text", "udh")]
        # With the secret, because it is stored: a PIN in the text must not be found from it by trying.
        key = hmac.new(secret, b"\0".join(stable), hashlib.sha256).hexdigest()
    header, _ = separate(fields.get("udh", b""))
    text, part = None, None
    if _text(fields, "coding") == _BINARY_CODING or _text(fields, "charset").lower() in ("binary", "8-bit"):
        part = UserData(Coding.BINARY, content, header)
    else:
        text = _decoded(content, _text(fields, "charset").lower())
        if header.concatenation is not None:
            # Kannel joins parts itself, unless it is configured not to.
            part = UserData(Coding.UCS2, text.encode("utf-16-be", "replace"), header)
            text = None
    return Incoming(key=message_key(key), sender=sender, receiver=_text(fields, "to"), text=text, part=part)


def _decoded(content: bytes, charset: str) -> str:
    codec = _CODECS.get(charset)
    if codec is None:
        raise Unreadable("The charset is unknown")
    return plain_text(content.decode(codec, "replace"))


def _result(response: ProviderResponse, unit: Unit) -> SendResult:
    text = response.body[:200].decode("utf-8", "replace")
    if response.is_success and text.startswith(_ACCEPTED):
        # Kannel gives no id: receipts name ours.
        return Accepted(unit.id, unit.segments)
    if response.is_success:
        # Another program answers at this URL.
        return SubmitFailed("send_url is not Kannel's sendsms", REFUSED_PAUSE_S)
    return failed_send(response, "sendsms")


def make(route: RouteConfig) -> KannelProvider:
    """Return the provider. Raise SetupError. Without a `secret` every webhook is refused."""
    check_present(route, "send_url", "webhook_url", "username", "password")
    check_url(route, "send_url")
    check_url(route, "webhook_url")
    return KannelProvider(route)


KIND = ProviderKind(KannelKeys, make)
