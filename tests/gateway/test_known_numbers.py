"""The phones that the sms role knows without the store."""

from __future__ import annotations

from stormpetrel.gateway.known_numbers import KnownNumbers
from stormpetrel.model.phone import PhoneKeys
from stormpetrel.storage.sms_spool.inbox import MEMBERS, STRANGERS
from stormpetrel.storage.sms_spool.state import KnownNumber

MEMBER, FOLLOWER, UNKNOWN = "+995599000001", "+995599000002", "+995599000003"


def test_a_number_without_an_account_is_a_stranger_also_if_it_follows() -> None:
    keys = PhoneKeys(b"x" * 32)
    known = KnownNumbers(keys)
    known.put(
        [
            KnownNumber(keys.number_hash(MEMBER), True, keys.pin_hash(MEMBER, "4711"), "en"),
            KnownNumber(keys.number_hash(FOLLOWER), False, None, "en"),
        ]
    )
    numbers = (MEMBER, FOLLOWER, UNKNOWN)
    assert [known.is_stranger(number) for number in numbers] == [False, True, True]
    assert [known.class_of(number) for number in numbers] == [MEMBERS, MEMBERS, STRANGERS]
    assert [known.has_pin(number, "4711") for number in numbers] == [True, False, False]
