"""The numbers of linked phones in memory: whose messages come first, and where a PIN may stand before the text.

They are read from the spool at the start and from the store when it can be read, so that they are there without it.
"""

from __future__ import annotations

from stormpetrel.model.phone import Phone, PhoneKeys, is_same_hash
from stormpetrel.storage.sms_spool.inbox import MEMBERS, STRANGERS
from stormpetrel.storage.sms_spool.state import KnownNumber


class KnownNumbers:
    """Known phones by the hash of their number. About 300 bytes each."""

    def __init__(self, keys: PhoneKeys) -> None:
        self.keys = keys
        self._by_hash: dict[bytes, KnownNumber] = {}

    def __len__(self) -> int:
        return len(self._by_hash)

    def put(self, known: list[KnownNumber]) -> None:
        """Add phones, or replace facts about them."""
        self._by_hash.update({one.number_hash: one for one in known})

    def find(self, number: str) -> KnownNumber | None:
        """Return the phone with that number (E.164), or None."""
        return self._by_hash.get(self.keys.number_hash(number))

    def class_of(self, number: str) -> int:
        """Return the class of the inbox for messages of that number."""
        return STRANGERS if self.find(number) is None else MEMBERS

    def is_stranger(self, number: str) -> bool:
        """Return True for a number without an account."""
        known = self.find(number)
        return known is None or not known.has_account

    def has_pin(self, number: str, pin: str) -> bool:
        """Return True if that is the PIN of that number."""
        known = self.find(number)
        return known is not None and is_same_hash(known.pin_hash, self.keys.pin_hash(number, pin))


def as_known(phone: Phone) -> KnownNumber:
    """Return the facts that the sms role keeps of a phone."""
    return KnownNumber(phone.number_hash, phone.account_id is not None, phone.pin_hash, phone.language)
