"""Subscriptions to the status page by mail and by webhook, and the updates that they get: frozen values."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from stormpetrel.errors import Invalid
from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.model.incident import Incident
from stormpetrel.model.public_address import names_private_host

PENDING_KEPT_MS = 2 * 86_400_000
"""How long a subscription waits for its confirmation."""
UPDATES_KEPT_MS = 7 * 86_400_000
"""How long the store remembers an update, so that a watch that offers it again sends nothing twice."""
MAX_URL = 500
SUBSCRIPTION_PATH = "/status/subscription"
"""The page of one subscription; its query has the token."""
LEAVE_PATH = "/status/leave"
"""Ends a subscription with one POST (RFC 8058)."""
DOTLESS = frozenset({"gmail.com", "googlemail.com"})
"""Domains where dots before the @ make no other mailbox."""
SIGNATURE_VERSION = "v1"
FORMAT_VERSION = 1
"""The version of the JSON that webhooks get."""
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\\"<>^`{|}]")
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class SubscriptionKind(StrEnum):
    """The way that updates are sent."""

    EMAIL = "email"
    WEBHOOK = "webhook"


class SubscriptionState(StrEnum):
    """PENDING: not confirmed yet. OFF: turned off after repeated failures."""

    PENDING = "pending"
    ACTIVE = "active"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class StatusSubscription:
    """A subscription. `target`: the mail address or the URL. `channels`: the chosen ones; empty: all.

    `nonce`: makes its link's token and its signing key. `off_reason`: why it was turned off, or why a webhook is not
    confirmed yet.
    """

    id: int
    kind: SubscriptionKind
    target: str
    channels: tuple[str, ...]
    state: SubscriptionState
    nonce: str
    off_reason: str = ""

    @property
    def is_webhook(self) -> bool:
        """Return True for a webhook."""
        return self.kind is SubscriptionKind.WEBHOOK

    def wants(self, channels: Iterable[str]) -> bool:
        """Return True if an update about these channels concerns it; one about no channel concerns all."""
        affected = set(channels)
        return not self.channels or not affected or not affected.isdisjoint(self.channels)


class StatusNotice(msgspec.Struct, frozen=True):
    """An update of an incident or maintenance, as subscribers get it. Fields are those of model/incident.py.

    `body`: the text as it is shown. `removed`: channels that the update takes out of the incident.
    """

    update_id: str
    incident_id: str
    name: str
    impact: str
    channels: tuple[str, ...]
    status: str
    body: str
    at_ms: int
    is_automatic: bool
    started_ms: int
    scheduled_for_ms: int = 0
    scheduled_until_ms: int = 0
    removed: tuple[str, ...] = ()

    @property
    def concerned(self) -> tuple[str, ...]:
        """Return the channels whose subscribers get the update: also those that are no longer affected."""
        # An incident without channels concerns all.
        return self.channels + self.removed if self.channels else ()


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """The parsed URL of a webhook. `host`: in ASCII and lower case. `path`: with the query, at least "/"."""

    url: str
    scheme: str
    host: str
    port: int
    path: str


def notices_of(incident: Incident, before: Incident | None) -> list[StatusNotice]:
    """Return the updates that `incident` has and `before`, its older form, has not, oldest first."""
    known = {one.id for one in before.updates} if before is not None else set()
    return [
        StatusNotice(
            update_id=one.id,
            incident_id=incident.id,
            name=incident.name,
            impact=incident.impact,
            channels=incident.channels,
            status=one.status,
            body=one.text,
            at_ms=one.at_ms,
            is_automatic=one.is_automatic,
            started_ms=incident.started_ms,
            scheduled_for_ms=incident.scheduled_for_ms,
            scheduled_until_ms=incident.scheduled_until_ms,
            removed=one.removed,
        )
        for one in incident.updates
        if one.id not in known
    ]


def chosen_channels(names: Iterable[str]) -> tuple[str, ...]:
    """Return the channels in the order of the page, empty if all are chosen. Raise Invalid for an unknown one."""
    chosen = set(names)
    unknown = chosen - set(CHANNEL_NAMES)
    if unknown:
        raise Invalid("There is no such channel")
    return () if len(chosen) == len(CHANNEL_NAMES) else tuple(one for one in CHANNEL_NAMES if one in chosen)


def webhook_target(url: str, *, allows_private: bool) -> WebhookTarget:
    """Return the parsed URL. Raise Invalid with the problem.

    `allows_private`: also http, ports below 1024, and addresses that are not public. The addresses of a name are
    checked when it is called.
    """
    if not url or len(url) > MAX_URL or not url.isascii() or _UNSAFE.search(url):
        raise Invalid(f"Enter a URL in ASCII, without spaces, with at most {MAX_URL} characters")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise Invalid("This is not a URL that can be called") from None
    if parts.scheme != "https" and not (allows_private and parts.scheme == "http"):
        raise Invalid("The URL of a webhook must begin with https://")
    if not _is_host(host) or "@" in parts.netloc or parts.fragment:
        raise Invalid("The URL of a webhook has a host and a path, without user name, password and #")
    if not allows_private and names_private_host(host):
        raise Invalid(
            "The host of a webhook must be reachable from the Internet, and this address is private"
        )
    port = port if port is not None else 443 if parts.scheme == "https" else 80
    if not allows_private and port != 443 and port < 1024:
        raise Invalid("The port of a webhook is 443, or 1024 and above")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebhookTarget(url, parts.scheme, host, port, path)


def target_key(kind: SubscriptionKind, target: str) -> str:
    """Return the key by which a target is found: addresses differ in more than capitals, URLs in anything."""
    return f"{kind.value}:{target.lower() if kind is SubscriptionKind.EMAIL else target}"


def mailbox_of(address: str) -> str:
    """Return the address of the mailbox that a mail to `address` reaches, in lower case.

    Many servers deliver ann+anything@ to ann@, and these of DOTLESS ignore dots: else one person could be sent a mail
    for each of endlessly many addresses.
    """
    local, _, domain = address.lower().rpartition("@")
    local = local.partition("+")[0] or local
    return f"{local.replace('.', '') if domain in DOTLESS else local}@{domain}"


def signing_key(secret: bytes, nonce: str) -> str:
    """Return the key that signs what a webhook gets, 64 hexadecimal digits. It is derived, and not stored."""
    return hashlib.blake2b(
        nonce.encode(), key=secret[:64], digest_size=32, person=b"petrel.webhook.1"
    ).hexdigest()


def signature(key: str, *, at_s: int, body: bytes) -> str:
    """Return the header `Stormpetrel-Signature`: HMAC-SHA256 of the time (seconds since 1970), a dot and the body."""
    digest = hmac.new(key.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"{SIGNATURE_VERSION}={digest}"


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return len(host) <= 253 and bool(_HOST.fullmatch(host))
    return True
