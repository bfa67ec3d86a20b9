"""The keys of SMS routes, `[sms.route.NAME]`: those of every provider, and those of each kind."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

ENTRY_POINTS = "stormpetrel.sms"
"""The group of entry points by which other packages add a provider."""
TRUSTS = ("network", "device", "aggregator")


def key(default: Any, about: str, **more: Any) -> Any:
    """Define a key: its default, one line about it, and `choices`, `low`, `high`, `secret` if any."""
    return field(default=default, metadata={"about": about, **more})


@dataclass(frozen=True, slots=True)
class WebhookKeys:
    webhook_url: str = key("", "the exact public URL that the provider calls")


@dataclass(frozen=True, slots=True)
class SmppKeys:
    host: str = key("", "host of the carrier's SMSC")
    port: int = key(2775, "its port", low=1, high=65535)
    tls: bool = key(False, "connect by TLS; the certificate is checked")  # noqa: FBT003 - a key's default
    system_id: str = key("", "system id to bind with")
    password: str = key("", "password to bind with", secret="all")
    system_type: str = key("", "system type to bind with")
    bind: str = key("transceiver", "one link, or a pair", choices=("transceiver", "pair"))
    window: int = key(50, "submissions that may be unanswered at once", low=1, high=10_000)
    enquire_link_s: float = key(30.0, "test an idle link this often", low=0.1, high=3600)
    response_s: float = key(10.0, "a submission without an answer has failed after this", low=0.1, high=600)
    charset: str = key("gsm", "the carrier's alphabet for data_coding 0", choices=("gsm", "latin1", "ucs2"))
    id_radix: str = key(
        "same",
        "how receipts write message ids: as the response did, in decimal or in hexadecimal",
        choices=("same", "dec", "hex"),
    )
    long: str = key("udh", "how parts of a long text are marked", choices=("udh", "sar", "payload"))
    receipts: str = key("all", "parts to ask receipts for", choices=("all", "first", "last"))
    source_ton: int = key(0, "type of number of the sender", low=0, high=255)
    source_npi: int = key(0, "numbering plan of the sender", low=0, high=255)
    dest_ton: int = key(1, "type of number of receivers", low=0, high=255)
    dest_npi: int = key(1, "numbering plan of receivers", low=0, high=255)


@dataclass(frozen=True, slots=True)
class TwilioKeys(WebhookKeys):
    base_url: str = key("https://api.twilio.com", "base URL of the API")
    account_sid: str = key("", "account SID")
    auth_token: str = key(
        "", "auth token; while it is rotated two, separated by a comma: the first one sends", secret="all"
    )
    messaging_service_sid: str = key("", "messaging service to send by; empty: by the sender's number")


@dataclass(frozen=True, slots=True)
class TelnyxKeys(WebhookKeys):
    base_url: str = key("https://api.telnyx.com", "base URL of the API")
    api_key: str = key("", "API key (v2)", secret="all")
    public_key: str = key("", "public key of webhooks, Base64")
    messaging_profile_id: str = key("", "messaging profile to send by; empty: by the sender's number")
    timestamp_tolerance_s: int = key(300, "maximum age of a webhook", low=1, high=86_400)


@dataclass(frozen=True, slots=True)
class AndroidKeys(WebhookKeys):
    base_url: str = key("", "URL of the phone's or the cloud's API, up to and without /messages")
    username: str = key("", "username of the API")
    password: str = key("", "password of the API", secret="all")
    signing_key: str = key("", "signing key of webhooks", secret="all")
    timestamp_tolerance_s: int = key(300, "maximum age of a webhook", low=1, high=86_400)


@dataclass(frozen=True, slots=True)
class KannelKeys(WebhookKeys):
    send_url: str = key("", "URL of smsbox, …/cgi-bin/sendsms")
    username: str = key("", "username of the sendsms-user")
    password: str = key("", "its password", secret="all")
    secret: str = key("", "the secret parameter of the URLs that Kannel calls", secret="all")


@dataclass(frozen=True, slots=True)
class GammuKeys:
    database: str = key("", "database of gammu-smsd, sqlite:///PATH")


@dataclass(frozen=True, slots=True)
class FileKeys:
    directory: str = key("", "directory with in/ and out/")


KEYS: dict[str, type[Any]] = {
    "smpp": SmppKeys,
    "twilio": TwilioKeys,
    "telnyx": TelnyxKeys,
    "android": AndroidKeys,
    "kannel": KannelKeys,
    "gammu": GammuKeys,
    "file": FileKeys,
}
"""The providers of this package and the class of their keys."""


def keys_of(provider: str) -> type[Any] | None:
    """Return the class of a provider's keys, of this package or of an installed one; None if there is none."""
    if provider in KEYS:
        return KEYS[provider]
    found = tuple(importlib.metadata.entry_points(group=ENTRY_POINTS, name=provider))
    keys: type[Any] | None = found[0].load().keys if found else None
    return keys


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """One route. `keys` is an object of the provider's class in KEYS, or of its own class for other packages."""

    name: str = ""
    keys: Any = None
    provider: str = key("", "kind of provider")
    trust: str = key(
        "aggregator",
        "how far the sender's number can be trusted; on an aggregator's route posting needs a PIN",
        choices=TRUSTS,
    )
    sender: str = key("", "number, short code or name that messages come from")
    country: str = key("", "country of national numbers, ISO 3166-1")
    price: Decimal = key(Decimal(0), "price of a segment")
    prices: str = key("", "prices of a segment by prefix, like +995=0.05,+1=0.008")
    rate: float = key(0.0, "segments per second at most; 0: no limit", low=0, high=100_000)
    enabled: bool = key(True, "whether the route is used")  # noqa: FBT003 - a key's default

    @property
    def prefix_prices(self) -> Mapping[str, Decimal]:
        """Return the price of a segment by prefix."""
        pairs = (part.strip().split("=", 1) for part in self.prices.split(",") if part.strip())
        return {prefix.strip(): Decimal(price.strip()) for prefix, price in pairs}

    def price_of(self, number: str) -> Decimal:
        """Return the price of a segment to the number: that of its longest prefix, or else `price`."""
        prices = self.prefix_prices
        return prices.get(longest_prefix(number, prices), self.price)


def longest_prefix(number: str, prefixes: Iterable[str]) -> str:
    """Return the longest of the prefixes that the number begins with; "" if it begins with none."""
    return max((prefix for prefix in prefixes if number.startswith(prefix)), key=len, default="")
