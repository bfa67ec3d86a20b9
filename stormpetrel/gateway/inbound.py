"""What a provider hands over: numbers in one form, PINs taken out, parts joined, and everything stored at once.

A PIN is taken out before anything is written: what a database has once written stays in its log. Only a keyed hash
of it is stored, until the message has its effect.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.clock import now_ms
from stormpetrel.config import SmsConfig
from stormpetrel.config_sms import RouteConfig, longest_prefix
from stormpetrel.gateway.known_numbers import KnownNumbers
from stormpetrel.gateway.pin import mask_octets, split_pin, strip_octets, without_misplaced_pin
from stormpetrel.gateway.provider import Incoming, UnitReceipt
from stormpetrel.gateway.spool_thread import SpoolThread
from stormpetrel.sms.keywords import OptKeyword, recognise
from stormpetrel.sms.numbers import NumberError, PhoneAddressKind, carrier_address, masked, prefix_of
from stormpetrel.sms.reassemble import Incomplete, Reassembler
from stormpetrel.sms.udh import Concatenation, ReferenceKind, Udh
from stormpetrel.sms.user_data import Coding, UserData, text_of
from stormpetrel.storage.sms_spool import inbox, outbox
from stormpetrel.storage.sms_spool.file import SpoolDb
from stormpetrel.storage.sms_spool.inbox import StoredPart

log = logging.getLogger(__name__)

MOST_TEXT = 4000
"""Longer texts are cut: no phone sends them, and no post is so long."""
MOST_NUMBERS = 100_000
MOST_PART_OCTETS = 8_000_000
"""Memory of incomplete messages; beyond it the oldest are given up."""
PARTS_OF_MESSAGE = 10
_UNIT_ID = re.compile(r"o([0-9]{1,18})(?:-([0-9]{1,3}))?")


@dataclass(slots=True)
class _Window:
    minute: int = 0
    in_minute: int = 0
    hour: int = 0
    in_hour: int = 0


class NumberRates:
    """Counts the messages of each sender, and of strangers by prefix, in the current minute and hour."""

    def __init__(self, config: SmsConfig) -> None:
        self._config = config
        self._windows: BoundedTable[str, _Window] = BoundedTable(MOST_NUMBERS, evicts=Eviction.LRU)

    def takes(self, number: str, *, route: str, at_ms: int, is_later_part: bool = False) -> bool:
        """Count one message; return False if it is over a limit of its number.

        Each route counts for itself: forged texts on one with low trust must not use up the owner's share. A long
        message counts by its first part; the later ones have a limit of their own, PARTS_OF_MESSAGE times as high.
        """
        sender = f"{route} {number} parts" if is_later_part else f"{route} {number}"
        times = PARTS_OF_MESSAGE if is_later_part else 1
        window = self._counted(sender, at_ms)
        return (
            window.in_minute <= times * self._config.in_per_minute
            and window.in_hour <= times * self._config.in_per_hour
        )

    def takes_stranger(self, prefix: str, *, route: str, at_ms: int) -> bool:
        """Count one message of a number without an account; return False if its prefix is over the limit.

        Forged numbers of one range must not use up the answers to all others.
        """
        return self._counted(f"{route} prefix {prefix}", at_ms).in_minute <= self._config.in_per_prefix_minute

    def _counted(self, sender: str, at_ms: int) -> _Window:
        window = self._windows.get(sender)
        if window is None:
            window = _Window()
            self._windows.put(sender, window)
        minute, hour = at_ms // 60_000, at_ms // 3_600_000
        if window.minute != minute:
            window.minute, window.in_minute = minute, 0
        if window.hour != hour:
            window.hour, window.in_hour = hour, 0
        window.in_minute += 1
        window.in_hour += 1
        return window


class PartsTable:
    """The parts of incomplete messages, in memory as in the spool. Used in the spool's thread only.

    `class_of` returns the class of the inbox for messages of a number.
    """

    def __init__(self, timeout_s: int, class_of: Callable[[str], int]) -> None:
        self._timeout_s = timeout_s
        self._class_of = class_of
        self._reassembler = Reassembler(capacity_octets=MOST_PART_OCTETS, timeout_s=timeout_s)

    def load(self, db: SpoolDb) -> None:
        """Read all parts anew."""
        self._reassembler = Reassembler(capacity_octets=MOST_PART_OCTETS, timeout_s=self._timeout_s)
        for part in inbox.parts(db):
            self._reassembler.add(
                _user_data(part), _concatenation(part), sender=part.number, receiver=part.receiver,
                at_s=part.at_ms / 1000,
            )  # fmt: skip

    def add(
        self,
        db: SpoolDb,
        part: StoredPart,
        *,
        klass: int,
        quiet: bool,
        unsettled: str | None,
        cleaned: Callable[[str], str],
    ) -> bool:
        """Store a part, and its message if it is complete now; return False for a part that is stored already.

        `cleaned` is called with the whole text, unless its PIN was at the beginning, and returns the text to store.
        """
        if not inbox.put_part(db, part):
            return False
        if unsettled is not None:
            inbox.unsettle(db, route=part.route, key=unsettled)
        arrival = self._reassembler.add(
            _user_data(part), _concatenation(part), sender=part.number, receiver=part.receiver,
            at_s=part.at_ms / 1000,
        )  # fmt: skip
        if arrival.is_duplicate:
            inbox.delete_part(db, key=part.key)
            return False
        self._drop(db, arrival.dropped, part.at_ms)
        if arrival.message is not None:
            key, _, proof = inbox.take_parts(
                db, (part.number, part.receiver, part.kind, part.reference, part.total)
            )
            text = text_of(arrival.message)
            if text is not None:
                text = text if proof is not None else cleaned(text)
                inbox.put(
                    db, key=key, route=part.route, number=part.number, receiver=part.receiver,
                    text=text[:MOST_TEXT].replace("\0", ""), now_ms=part.at_ms, proof=proof, klass=klass, quiet=quiet,
                )  # fmt: skip
        return True

    def expire(self, db: SpoolDb, at_ms: int) -> int:
        """Give up messages whose parts did not come in time; return how many there were."""
        dropped = self._reassembler.expire(at_ms / 1000)
        self._drop(db, dropped, at_ms)
        return len(dropped)

    def _drop(self, db: SpoolDb, dropped: Sequence[Incomplete], at_ms: int) -> None:
        """Replace an incomplete message by one that is answered with the numbers of the missing parts."""
        for one in dropped:
            key = one.key
            group = (key.sender, key.receiver, key.kind.value, key.reference, key.total)
            first, route, _ = inbox.take_parts(db, group)
            inbox.put(
                db, key=f"{first}-{at_ms}", route=route, number=key.sender, receiver=key.receiver,
                text=", ".join(map(str, one.missing)), now_ms=at_ms, error="part-missing",
                klass=self._class_of(key.sender),
            )  # fmt: skip


class RouteInbound:
    """Stores what the provider of one route hands over (gateway/provider.py: Inbound)."""

    def __init__(
        self,
        route: RouteConfig,
        *,
        spool: SpoolThread,
        parts: PartsTable,
        known: KnownNumbers,
        rates: NumberRates,
        on_stored: Callable[[], None],
        on_opt_out: Callable[[str], None],
    ) -> None:
        self._route = route
        self._prefixes = tuple(route.prefix_prices)
        self._spool = spool
        self._parts = parts
        self._known = known
        self._rates = rates
        self._on_stored = on_stored
        self._on_opt_out = on_opt_out
        self.stored = 0
        self.repeated = 0
        self.ignored = 0
        self.strangers = 0

    async def message(self, incoming: Incoming) -> bool:
        """Store a message. A sender that is no number, and data that is no text, are ignored."""
        at_ms = now_ms()
        number = self._number(incoming)
        if number is None:
            self.ignored += 1
            return True
        key = f"{self._route.name}:{incoming.key}"
        part = incoming.part
        if (
            part is not None
            and part.header.concatenation is not None
            and part.header.concatenation.is_valid()
        ):
            is_new = await self._store_part(incoming, part, key, number, at_ms)
        else:
            is_new = await self._store_text(incoming, key, number, at_ms)
        if is_new:
            self.stored += 1
            self._on_stored()
        else:
            self.repeated += 1
        return is_new

    async def receipt(self, receipt: UnitReceipt) -> None:
        """Store a receipt; count its number as stopped if the carrier says so."""
        match = _UNIT_ID.fullmatch(receipt.unit_id)
        number = await self._spool.call(
            _put_receipt,
            receipt,
            route=self._route.name,
            unit=(int(match[1]), int(match[2] or 1)) if match else None,
            at_ms=now_ms(),
        )
        if receipt.has_opted_out and number is not None:
            self._on_opt_out(number)

    async def unsettled(self) -> list[str]:
        """Return the keys that the carrier may send again."""
        return await self._spool.call(inbox.unsettled, route=self._route.name)

    async def settled(self, keys: Sequence[str]) -> None:
        """Forget keys that the carrier cannot send again."""
        await self._spool.call(inbox.settle, route=self._route.name, keys=keys)

    def _number(self, incoming: Incoming) -> str | None:
        try:
            address = carrier_address(
                incoming.sender, kind=incoming.sender_type, country=self._route.country or None
            )
        except NumberError:
            return None
        return address.value if address.kind is PhoneAddressKind.NUMBER else None

    async def _store_text(self, incoming: Incoming, key: str, number: str, at_ms: int) -> bool:
        text = incoming.text
        if text is None:
            text = text_of([incoming.part]) if incoming.part is not None else None
        if text is None:
            self.ignored += 1
            return True
        # No phone writes it, and PostgreSQL cannot store it.
        proof, text = self._without_pin(number, text.replace("\0", ""))
        opt = recognise(text)
        is_stop = opt is not None and opt.keyword is OptKeyword.STOP
        is_taken = self._takes(number, at_ms) or is_stop
        if not is_taken:
            log.info("dropped a message of %s: over its limit", masked(number))
        return await self._spool.call(
            _put_whole,
            key=key,
            route=self._route.name,
            number=number,
            receiver=incoming.receiver[:64],
            text=text[:MOST_TEXT],
            proof=proof,
            klass=self._known.class_of(number),
            quiet=incoming.is_opt_out_answered,
            is_taken=is_taken,
            unsettled=incoming.key if incoming.is_unsettled else None,
            at_ms=at_ms,
            is_stop=is_stop,
        )

    async def _store_part(
        self, incoming: Incoming, data: UserData, key: str, number: str, at_ms: int
    ) -> bool:
        place = data.header.concatenation
        assert place is not None
        proof = None
        if place.number == 1:
            proof, data = self._part_without_pin(number, data)
        if proof is None:
            data = self._masked_part(number, data)
        if not self._takes(number, at_ms, is_later_part=place.number > 1):
            return await self._spool.call(
                _put_whole, key=key, route=self._route.name, number=number, receiver=incoming.receiver[:64],
                text="", proof=None, klass=inbox.STRANGERS, quiet=True, is_taken=False,
                unsettled=incoming.key if incoming.is_unsettled else None, at_ms=at_ms,
            )  # fmt: skip
        part = StoredPart(
            key=key,
            route=self._route.name,
            number=number,
            receiver=incoming.receiver[:64],
            kind=place.kind.value,
            reference=place.reference,
            total=place.total,
            part=place.number,
            coding=data.coding.value,
            octets=data.octets,
            locking=data.header.locking,
            single=data.header.single,
            proof=proof,
            at_ms=at_ms,
        )
        return await self._spool.call(
            self._parts.add, part, klass=self._known.class_of(number),
            quiet=incoming.is_opt_out_answered, unsettled=incoming.key if incoming.is_unsettled else None,
            cleaned=lambda text: self._masked(number, text),
        )  # fmt: skip

    def _takes(self, number: str, at_ms: int, *, is_later_part: bool = False) -> bool:
        """Count a message or part; return False if its number, or its prefix, is over a limit."""
        route = self._route
        is_stranger = self._known.is_stranger(number)
        self.strangers += is_stranger
        if not self._rates.takes(number, route=route.name, at_ms=at_ms, is_later_part=is_later_part):
            return False
        if is_later_part or route.trust != "aggregator" or not is_stranger:
            return True
        prefix = longest_prefix(number, self._prefixes) or prefix_of(number)
        return self._rates.takes_stranger(prefix, route=route.name, at_ms=at_ms)

    def _without_pin(self, number: str, text: str) -> tuple[bytes | None, str]:
        """Return the hash of the PIN before the text, if it has one, and the text without it."""
        digits, rest = split_pin(text)
        if digits is None:
            return None, self._masked(number, text)
        if not self._is_pin(number, digits):
            return None, text
        return self._known.keys.pin_hash(number, digits), rest

    def _masked(self, number: str, text: str) -> str:
        """Return the text with "*" for a PIN in the wrong place: "1234hello", "hello 1234".

        A message without the PIN at its beginning is refused where one is needed, and must not keep it either.
        """
        if self._route.trust != "aggregator":
            return text
        return without_misplaced_pin(text, lambda digits: self._known.has_pin(number, digits))

    def _masked_part(self, number: str, data: UserData) -> UserData:
        """Do the same in a part of a message; a PIN in two parts is found when the message is complete."""
        if self._route.trust != "aggregator":
            return data
        return mask_octets(data, lambda digits: self._known.has_pin(number, digits))

    def _part_without_pin(self, number: str, data: UserData) -> tuple[bytes | None, UserData]:
        digits, rest = strip_octets(data)
        if digits is None or not self._is_pin(number, digits):
            return None, data
        return self._known.keys.pin_hash(number, digits), rest

    def _is_pin(self, number: str, digits: str) -> bool:
        """Return True if digits before a text are a PIN: always where one is needed, elsewhere only the right one."""
        return self._route.trust == "aggregator" or self._known.has_pin(number, digits)


def _put_receipt(
    db: SpoolDb, receipt: UnitReceipt, *, route: str, unit: tuple[int, int] | None, at_ms: int
) -> str | None:
    """Store a receipt; return the number that its text was for, None if that is not known."""
    message_id = outbox.receipt(
        db, route=route, carrier_id=receipt.carrier_id, unit=unit, state=receipt.state.value,
        error=receipt.error[:200], now_ms=at_ms, part_report=receipt.part_report,
    )  # fmt: skip
    return None if message_id is None else outbox.number_of(db, message_id=message_id)


def _put_whole(
    db: SpoolDb,
    *,
    key: str,
    route: str,
    number: str,
    receiver: str,
    text: str,
    proof: bytes | None,
    klass: int,
    quiet: bool,
    is_taken: bool,
    unsettled: str | None,
    at_ms: int,
    is_stop: bool = False,
) -> bool:
    message_id = inbox.put(
        db, key=key, route=route, number=number, receiver=receiver, text=text, now_ms=at_ms, proof=proof,
        klass=klass, quiet=quiet, state="stored" if is_taken else "dropped",
        effect=None if is_taken else "none", error=None if is_taken else "rate",
    )  # fmt: skip
    if message_id is not None and unsettled is not None:
        inbox.unsettle(db, route=route, key=unsettled)
    if message_id is not None and is_stop:
        # At once, also while the store is away: a text that waits must not be sent after STOP.
        outbox.stop(db, number=number, now_ms=at_ms)
    return message_id is not None


def _concatenation(part: StoredPart) -> Concatenation:
    return Concatenation(ReferenceKind(part.kind), part.reference, part.total, part.part)


def _user_data(part: StoredPart) -> UserData:
    header = Udh(_concatenation(part), part.locking, part.single)
    return UserData(Coding(part.coding), part.octets, header)
