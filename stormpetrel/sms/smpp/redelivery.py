"""Tells a redelivery from a second message with the same text: SMPP has no ids for incoming messages.

A carrier delivers again, on a later link, the messages whose acknowledgement it has not seen. A message is taken for
a redelivery only if it equals one of an earlier link that the carrier may not have seen acknowledged:

| acknowledgement of the first copy | that link ended by | missed |
|---|---|---|
| never written | anything | yes |
| written, and the carrier is known to have read it (`confirm`) | anything | no |
| written less than RECENT_S before the end | anything | yes |
| written earlier | silence of the carrier | yes |
| written earlier | anything else | no |

Each missed copy matches one redelivery, and then waits for the acknowledgement of that one. The keys of messages that
may be delivered again have to be stored with them, so that a new process goes on with the keys of the one before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from stormpetrel.sms.smpp.message import message_octets, sar_of
from stormpetrel.sms.smpp.pdu import DataMessage, Pdu, ShortMessage
from stormpetrel.sms.smpp.protocol import ESM_UDHI

RECENT_S = 5.0
"""An acknowledgement this old has reached the carrier, or the link is silent."""
REDELIVERED_WITHIN_S = 300.0
"""Carriers deliver again at once after a bind, or when a timer of at most minutes fires."""
MOST_DELIVERIES = 100_000
"""Of those that the carrier may deliver again, each some 400 bytes; the oldest are taken as read beyond that."""


def fingerprint_of(message: Pdu, secret: bytes = b"") -> str:
    """Return a value that is equal for messages with equal source, destination, octets and header.

    It is stored, and a message may begin with a PIN: without the `secret` it cannot be found by trying.
    """
    body = message.body
    if not isinstance(body, ShortMessage | DataMessage):
        raise ValueError(f"command {message.command:#x} is no message")
    facts = (body.source, body.destination, body.data_coding, body.esm_class & ESM_UDHI, sar_of(message))
    digest = blake2b(repr(facts).encode(), key=secret[:64], digest_size=12)
    digest.update(message_octets(message))
    return digest.hexdigest()


@dataclass(slots=True, eq=False)
class CarrierDelivery:
    """A message. `key` begins with its fingerprint. `acknowledged_at_s` is None until its answer is written."""

    key: str
    fingerprint: str
    acknowledged_at_s: float | None = None
    is_settled: bool = False


class Deliveries:
    """The messages of the current link and of earlier ones that the carrier may deliver again.

    `unsettled` are the keys that an earlier process left. All times are seconds of one monotonic clock.
    """

    __slots__ = (
        "_acknowledged",
        "_count",
        "_link_id",
        "_missed",
        "_missed_until_s",
        "_settled",
        "_unacknowledged",
    )

    def __init__(self, unsettled: Iterable[str] = ()) -> None:
        self._link_id = ""
        self._count = 0
        self._unacknowledged: dict[CarrierDelivery, None] = {}
        self._acknowledged: dict[CarrierDelivery, None] = {}  # in the order of acknowledgement
        self._missed: dict[str, list[CarrierDelivery]] = {}
        self._missed_until_s: float | None = None
        self._settled: list[str] = []
        for key in unsettled:
            self._miss(CarrierDelivery(key, key.partition(":")[0]))

    def __len__(self) -> int:
        """Return the number of messages that the carrier may deliver again."""
        missed = sum(len(deliveries) for deliveries in self._missed.values())
        return len(self._unacknowledged) + len(self._acknowledged) + missed

    def begin(self, link_id: str, at_s: float) -> None:
        """Begin a link; `link_id` was never used before."""
        self._link_id = link_id
        self._count = 0
        self._missed_until_s = at_s + REDELIVERED_WITHIN_S

    def take(self, fingerprint: str) -> tuple[CarrierDelivery, bool]:
        """Return the delivery of a message, and whether it is a redelivery: then it has the key of the first copy."""
        missed = self._missed.get(fingerprint)
        if missed:
            delivery = missed.pop(0)
            if not missed:
                del self._missed[fingerprint]
            delivery.acknowledged_at_s = None
            self._unacknowledged[delivery] = None
            return delivery, True
        self._count += 1
        delivery = CarrierDelivery(f"{fingerprint}:{self._link_id}:{self._count}", fingerprint)
        self._unacknowledged[delivery] = None
        return delivery, False

    def drop(self, delivery: CarrierDelivery) -> None:
        """Forget a message that is not stored: its next copy counts as the first."""
        self._unacknowledged.pop(delivery, None)
        missed = self._missed.get(delivery.fingerprint, [])
        if delivery in missed:
            missed.remove(delivery)
            if not missed:
                del self._missed[delivery.fingerprint]
        self._settle(delivery)

    def acknowledge(self, delivery: CarrierDelivery, at_s: float) -> None:
        """Note that the answer to a message of the current link is written."""
        if delivery not in self._unacknowledged:
            return
        del self._unacknowledged[delivery]
        delivery.acknowledged_at_s = at_s
        self._acknowledged[delivery] = None
        if len(self._acknowledged) > MOST_DELIVERIES:
            oldest = next(iter(self._acknowledged))
            del self._acknowledged[oldest]
            self._settle(oldest)

    def confirm(self, before_s: float) -> None:
        """Note that the carrier has read all that was written on the current link before this time."""
        while self._acknowledged:
            delivery = next(iter(self._acknowledged))
            if delivery.acknowledged_at_s is None or delivery.acknowledged_at_s >= before_s:
                break
            del self._acknowledged[delivery]
            self._settle(delivery)

    def end(self, at_s: float, *, is_silent: bool) -> None:
        """End the current link; `is_silent`: because the carrier did not answer."""
        for delivery in self._unacknowledged:
            self._miss(delivery)
        for delivery in self._acknowledged:
            if is_silent or _is_recent(delivery, at_s):
                self._miss(delivery)
            else:
                self._settle(delivery)
        self._unacknowledged.clear()
        self._acknowledged.clear()
        self._missed_until_s = None

    def tick(self, at_s: float) -> None:
        """Settle what time has settled."""
        for delivery in self._acknowledged:
            if _is_recent(delivery, at_s):
                break
            # It stays in memory until the carrier confirms it, because the link may turn out to be silent.
            self._settle(delivery)
        if self._missed_until_s is not None and at_s >= self._missed_until_s and self._missed:
            for deliveries in self._missed.values():
                for delivery in deliveries:
                    self._settle(delivery)
            self._missed.clear()

    def take_settled(self) -> list[str]:
        """Return the keys of messages that the carrier will not deliver again, each once."""
        settled, self._settled = self._settled, []
        return settled

    def _miss(self, delivery: CarrierDelivery) -> None:
        self._missed.setdefault(delivery.fingerprint, []).append(delivery)

    def _settle(self, delivery: CarrierDelivery) -> None:
        if not delivery.is_settled:
            delivery.is_settled = True
            self._settled.append(delivery.key)


def _is_recent(delivery: CarrierDelivery, at_s: float) -> bool:
    return delivery.acknowledged_at_s is None or at_s - delivery.acknowledged_at_s < RECENT_S
