"""The interface between the gateway and a provider of SMS, and the values that cross it.

A provider sends units and passes on messages and receipts. It knows no database, no account and no command. The
gateway stores before `Inbound` returns: a provider acknowledges a message to its carrier only after that.

Other packages can add a provider by an entry point in the group `stormpetrel.sms`: its name is the value of
`provider` in a route, its object a `ProviderKind`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from stormpetrel.config_sms import RouteConfig
from stormpetrel.sms.udh import ReferenceKind
from stormpetrel.sms.user_data import Coding, UserData

# Incoming


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message from a phone, or one part of it.

    `key` names it within the route: the provider repeats a message under the same key until it is acknowledged, and
    the gateway stores a key once. `sender` and `receiver` are as the provider writes them; `sender_type` is the type
    of number of the sender (sms.numbers.TypeOfNumber). Either `text` is the whole text, or `part` has the octets of
    a message that may be a part of a longer one. `is_opt_out_answered`: the provider has confirmed an opt-out word
    itself, so the gateway must not. `is_unsettled`: the carrier has no ids for messages and may deliver this one
    again; the gateway adds its key to the unsettled keys of the route in the commit that stores the message.
    """

    key: str
    sender: str
    receiver: str
    text: str | None = None
    part: UserData | None = None
    sender_type: int = 0
    is_opt_out_answered: bool = False
    is_unsettled: bool = False


class UnitState(enum.Enum):
    """What a receipt says of one unit. SENT: accepted by the network, not final."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class UnitReceipt:
    """The report of a unit, by its id at the carrier or by our own id where the provider returns it.

    `has_opted_out`: the carrier says that the number has opted out. `part_report`: the id of the report, from a
    provider that reports the delivery of each segment of a unit, without its number; the unit is delivered when as
    many different reports came as it has segments.
    """

    state: UnitState
    carrier_id: str = ""
    unit_id: str = ""
    part_report: str = ""
    error: str = ""
    has_opted_out: bool = False


class NotStored(Exception):
    """The message could not be stored (full disk, locked file). The carrier must keep it and send it again."""


class Inbound(Protocol):
    """Stores messages and receipts of a provider."""

    async def message(self, incoming: Incoming) -> bool:
        """Store the message; return False if its key was stored before. Raise NotStored."""

    async def receipt(self, receipt: UnitReceipt) -> None:
        """Store a receipt; it may come before `Provider.send` has returned the id. Raise NotStored."""

    async def unsettled(self) -> list[str]:
        """Return the keys of this route stored with `is_unsettled` and not settled since, the oldest first.

        They outlive the process and also the message, which may have been posted and deleted meanwhile. A
        provider asks once, before its first connection. Raise NotStored if the store cannot be read.
        """

    async def settled(self, keys: Sequence[str]) -> None:
        """Remove the keys from the unsettled ones; ignore those that are not there.

        A provider calls this about once a second while messages come. The removal need not be on the disk when
        this returns, so it can wait for the next commit: if a crash undoes it, the cost is that the same text
        from the same sender within some minutes after the restart may be taken for a redelivery. Raise
        NotStored; the provider then names the keys again later.
        """


# Outgoing


@dataclass(frozen=True, slots=True)
class Unit:
    """A text to submit in one request: a whole message, or one part of it if the provider is `by_part`.

    `id` stays the same when the unit is sent again. `number` of `total` (from 1) and `reference`, the same for the
    parts of a message, make the header; a header with 8 bits for the reference takes its lower ones. `octets`
    (without header) and `coding` are those of `sms.split`. `wants_receipt`: ask the carrier for one.
    """

    id: str
    receiver: str
    sender: str
    text: str
    coding: Coding
    octets: bytes
    segments: int
    number: int = 1
    total: int = 1
    reference: int = 0
    wants_receipt: bool = True


@dataclass(frozen=True, slots=True)
class Accepted:
    """The carrier has the unit. `price`: of all its segments, if it says so."""

    carrier_id: str
    segments: int | None = None
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """The carrier takes no more for now: submit again after `after_s`. Not counted as an attempt."""

    after_s: float


@dataclass(frozen=True, slots=True)
class SubmitFailed:
    """The unit may be submitted again after `after_s`: no answer, or an error that can pass."""

    reason: str
    after_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Rejected:
    """The carrier will never take the unit. `has_opted_out`: it says that the number has opted out."""

    reason: str
    has_opted_out: bool = False


SendResult: TypeAlias = Accepted | Throttled | SubmitFailed | Rejected


class LinkState(enum.Enum):
    UP = "up"
    CONNECTING = "connecting"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Limits and habits of a provider.

    `window`: units that may be unanswered at once. `by_part`: the gateway splits texts, with references of
    `reference_kind`. `has_receipts`: carriers report delivery. `receipts`: for which parts it asks.
    """

    window: int = 8
    by_part: bool = False
    reference_kind: ReferenceKind = ReferenceKind.UDH_8
    has_receipts: bool = True
    receipts: str = "all"


class Provider(Protocol):
    """One route's connection to its provider."""

    @property
    def capabilities(self) -> Capabilities:
        """Return the limits; constant."""

    @property
    def state(self) -> LinkState:
        """Return whether units can be sent now."""

    async def start(self, inbound: Inbound) -> None:
        """Begin to connect, and return at once: a provider that is down must not delay the others."""

    async def send(self, unit: Unit) -> SendResult:
        """Submit a unit. Never raises for what a carrier does."""

    async def stop(self) -> None:
        """Take nothing more, finish sends in progress for some seconds, and disconnect."""


# Webhooks


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request of a provider to its `webhook_url`. Names of `headers` are in lower case."""

    method: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes
    now_s: float


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """The body of a 2xx, after everything in the request is stored."""

    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200


class Forged(Exception):
    """The signature or the secret is missing or wrong: 403, and nothing is stored."""


class Unreadable(Exception):
    """The request is not what the provider documents: 400, with this text."""


class WebhookProvider(Provider, Protocol):
    """A provider that calls us."""

    def receive(self, request: WebhookRequest) -> tuple[list[Incoming | UnitReceipt], WebhookAnswer]:
        """Check the signature against `webhook_url`, and return what the request carries and its answer.

        Unknown events of a valid signature give an empty list. Raise Forged or Unreadable.
        """


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """A kind of provider. `keys`: a dataclass of its keys, as in config_sms.py."""

    keys: type[Any]
    make: Callable[[RouteConfig], Provider]
