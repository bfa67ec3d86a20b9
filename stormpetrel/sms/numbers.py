"""Phone numbers, short codes and alphanumeric senders: one form for each, and a masked form for logs.

Numbers are E.164: "+", country calling code, national number. The library `phonenumbers` knows the lengths and
the prefixes of national and international calls in each country. A number only has to be possible, not assigned:
the ranges that operators assign change more often than the library is updated.
"""

from __future__ import annotations

import enum
import re
import zoneinfo
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import phonenumbers

from stormpetrel.sms.national_tables import DEFAULT

MOST_TEXT = 64
MOST_ALPHANUMERIC = 11  # 3GPP TS 23.040, 9.1.2.5: 10 octets of packed septets
_SHORT_CODE_DIGITS = range(3, 7)
_LONG_SHORT_CODE_DIGITS = range(3, 9)  # only where the carrier says that it is a short code
_FORMAT = re.compile(
    r"[\s\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff().\-\u2010-\u2015/]+"
)
_NUMBER = re.compile(r"\+?[0-9]{3,20}")


class TypeOfNumber(enum.IntEnum):
    """The kinds of address that a carrier names (SMPP 3.4, 5.2.5)."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NATIONAL = 2
    NETWORK_SPECIFIC = 3
    SUBSCRIBER = 4
    ALPHANUMERIC = 5
    ABBREVIATED = 6


class PhoneAddressKind(enum.Enum):
    """Only a NUMBER belongs to a person."""

    NUMBER = "number"
    SHORT_CODE = "short code"
    ALPHANUMERIC = "alphanumeric"


@dataclass(frozen=True, slots=True)
class PhoneAddress:
    """A sender or receiver: "+995599123456", "40404" or "MYBANK"."""

    kind: PhoneAddressKind
    value: str


class NumberError(ValueError):
    """A text that is no address, or that could be two different numbers. It does not repeat the text."""


def normalized_number(text: str, *, country: str | None = None) -> str:
    """Return the number in E.164. Raise NumberError.

    Spaces, dashes, dots, brackets and slashes are ignored; digits may be of any script. Without "+" the number is
    national, or international with the prefix of the country, an ISO 3166 code in capitals; without a country
    it is refused.
    """
    digits = _digits(text)
    if not digits.startswith("+") and country is None:
        raise NumberError("the number needs + and the country code")
    number = _possible(digits, country)
    if number is None:
        raise NumberError("there is no such number")
    return number


def carrier_address(
    text: str, *, kind: TypeOfNumber | int = TypeOfNumber.UNKNOWN, country: str | None = None
) -> PhoneAddress:
    """Return the address that a carrier writes, with its type of number and the country of the route.

    A number of unknown type may be international without "+", or national in `country`: if both readings are
    possible and differ, raise NumberError, as for a text that is no address.
    """
    stripped = _FORMAT.sub("", text) if len(text) <= MOST_TEXT else ""
    if kind == TypeOfNumber.ALPHANUMERIC or any(character.isalpha() for character in stripped):
        return PhoneAddress(PhoneAddressKind.ALPHANUMERIC, alphanumeric_sender(text))
    digits = _digits(text)
    is_named = kind in (TypeOfNumber.NETWORK_SPECIFIC, TypeOfNumber.ABBREVIATED)
    if digits.startswith("+") or kind == TypeOfNumber.INTERNATIONAL:
        readings = {_possible("+" + digits.lstrip("+"), None)}
    elif len(digits) in _LONG_SHORT_CODE_DIGITS if is_named else len(digits) in _SHORT_CODE_DIGITS:
        return PhoneAddress(PhoneAddressKind.SHORT_CODE, digits)
    elif kind in (TypeOfNumber.NATIONAL, TypeOfNumber.SUBSCRIBER):
        readings = {_possible(digits, country)} if country else set()
    else:
        readings = {_possible("+" + digits, None)}
        if country:
            readings.add(_possible(digits, country))
    numbers = readings - {None}
    if len(numbers) != 1:
        raise NumberError("the number is ambiguous" if numbers else "there is no such number")
    return PhoneAddress(PhoneAddressKind.NUMBER, str(numbers.pop()))


def alphanumeric_sender(text: str) -> str:
    """Return the name as a sender: 1 to 11 characters of the GSM default alphabet, one of them a letter.

    Raise NumberError for another text.
    """
    name = text.strip()
    allowed = set(DEFAULT) - set("\n\r\x1b")
    if not 1 <= len(name) <= MOST_ALPHANUMERIC or not set(name) <= allowed:
        raise NumberError(f"a sender's name has 1 to {MOST_ALPHANUMERIC} characters of the GSM alphabet")
    if not any(character.isalpha() for character in name):
        raise NumberError("a sender's name has a letter")
    return name


def masked(address: str) -> str:
    """Return the address for a log or a page: of a number only the country calling code and the last two digits.

    Short codes and names belong to companies and stay whole. Any other text is replaced by "…".
    """
    if re.fullmatch(r"[0-9]{3,6}", address):
        return address
    if not re.fullmatch(r"\+[0-9]{6,15}", address):
        is_name = 1 <= len(address) <= MOST_ALPHANUMERIC and any(map(str.isalpha, address))
        return address if is_name and not re.search(r"[0-9]{4}", address) else "…"
    try:
        code = str(phonenumbers.parse(address).country_code)
    except phonenumbers.NumberParseException:
        code = ""
    return f"+{code}…{address[-2:]}"


def _digits(text: str) -> str:
    """Return the digits of a number in ASCII, with its "+" if it has one. Raise NumberError for other text."""
    compact = _FORMAT.sub("", text) if len(text) <= MOST_TEXT else ""
    ascii_digits = "".join(
        str(int(character)) if character.isdecimal() else {"＋": "+"}.get(character, character)
        for character in compact
    )
    if not _NUMBER.fullmatch(ascii_digits):
        raise NumberError("a number has 3 to 20 digits")
    return ascii_digits


def _possible(digits: str, country: str | None) -> str | None:
    """Return the number in E.164 if a number of this length exists in its country; otherwise None."""
    try:
        parsed = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def zone_of(number: str) -> str:
    """Return a time zone of the number's country: its first in the system's zone table; "UTC" if that is unknown."""
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        region = None
    return _zones().get(region or "", "UTC")


def prefix_of(number: str) -> str:
    """Return the country calling code of a number in E.164, with "+"; "+" if it has none."""
    try:
        return f"+{phonenumbers.parse(number).country_code}"
    except phonenumbers.NumberParseException:
        return "+"


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    """Return the first zone of each country (ISO 3166) in zone.tab, which lists them by population."""
    zones: dict[str, str] = {}
    for directory in zoneinfo.TZPATH:
        try:
            lines = (Path(directory) / "zone.tab").read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        for line in lines:
            fields = line.split("\t")
            if not line.startswith("#") and len(fields) > 2:
                zones.setdefault(fields[0], fields[2])
        break
    return zones
