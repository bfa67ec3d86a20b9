"""Phones: a number with its settings, and the pure functions about codes, PINs and quiet hours.

A number is stored encrypted, with a keyed hash for look-up. The keys come from the instance's secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

CODE_DIGITS = 6
LONG_CODE_DIGITS = 10
"""Of a code that cannot be guessed within CODE_MS: 1,000 tries a second find it with a chance of 0.006 %. So tries
are not limited, and wrong codes of strangers keep no owner out."""
CODE_MS = 600_000
"""How long a code of the web is valid."""
SIGN_IN_DIGITS = 8
SIGN_IN_MS = 600_000
"""How long a texted code signs in."""
SIGN_IN_TRIES = 5
"""Codes that may be typed for one request. An account gets about 100 codes a day at most (model/quota.py), so guesses
sign in to it with a chance of 0.0005 % a day."""
MAX_TAG = 99
"""Tags of deliveries count from 1 to this and begin again."""
SILENT_MS = 90 * 86_400_000
"""A number that was silent for so long may have another owner: its PIN is needed on every route."""
PIN_TRIES = 5
PIN_LOCK_MS = 3_600_000
ASKED_MS = 3_600_000
"""How long an open question waits for its answer."""
MAX_SEGMENTS = 3
TEXT_LANGUAGES = ("en", "es", "fr", "ru", "ka", "uk", "ar")
"""The languages of the gateway's own texts, ISO 639-1."""
_PIN = re.compile(r"[0-9]{4,8}")
_QUIET = re.compile(r"([0-9]|[01][0-9]|2[0-3])(?::([0-5][0-9]))?-([0-9]|[01][0-9]|2[0-3])(?::([0-5][0-9]))?")
_TIME = re.compile(r"([0-9]|[01][0-9]|2[0-3])(?::([0-5][0-9]))?")


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone. Times are ms since 1970, 0 for never. `account_id` None: it follows without an account.

    `quiet` is "22-7" and `digest` "18:00", in the time zone `zone`; empty for none. `asked` is the open question.
    """

    id: int
    number_hash: bytes
    sealed_number: str
    account_id: int | None
    route: str
    stopped: bool
    delivers: bool
    posts: bool
    pin_hash: bytes | None
    pin_wrong: int
    pin_locked_until_ms: int
    quiet: str
    digest: str
    zone: str
    language: str
    segments: int
    next_tag: int
    asked: str
    asked_at_ms: int
    heard_at_ms: int
    changed_at_ms: int
    created_at_ms: int

    def question(self, now_ms: int) -> str:
        """Return the open question, or "" if there is none or it is too old."""
        return self.asked if now_ms - self.asked_at_ms < ASKED_MS else ""


@dataclass(frozen=True, slots=True)
class PhoneKeys:
    """Hashes and encrypts numbers, PINs and codes with keys made of the instance's secret (32 bytes)."""

    secret: bytes

    def number_hash(self, number: str) -> bytes:
        """Return the hash by which a number (E.164) is found."""
        return self._hash(b"number", number)

    def pin_hash(self, number: str, pin: str) -> bytes:
        """Return the hash of a phone's PIN: the same PIN of another number has another one."""
        return self._hash(b"pin", f"{number} {pin}")

    def code_hash(self, code: str) -> bytes:
        """Return the hash of a code that the web shows."""
        return self._hash(b"code", code)

    def sign_in_hash(self, sign_in_id: int, code: str) -> bytes:
        """Return the hash of a code that was texted to sign in: it is valid for one request."""
        return self._hash(b"sign", f"{sign_in_id} {code}")

    def seal(self, number: str) -> str:
        """Return the number, encrypted."""
        sealed: str = self._fernet().encrypt(number.encode()).decode()
        return sealed

    def open(self, sealed: str) -> str:
        """Return the number. Raise ValueError if it was sealed with another secret."""
        from cryptography.fernet import InvalidToken

        try:
            number: str = self._fernet().decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise ValueError("the number was encrypted with another secret key") from error
        return number

    def _hash(self, purpose: bytes, text: str) -> bytes:
        return hashlib.blake2b(
            text.encode(), key=self.secret, digest_size=16, person=b"sp phone " + purpose
        ).digest()

    def _fernet(self) -> Any:
        from cryptography.fernet import Fernet

        key = hashlib.blake2b(key=self.secret, digest_size=32, person=b"sp phone seal").digest()
        return Fernet(base64.urlsafe_b64encode(key))


def is_same_hash(one: bytes | None, other: bytes | None) -> bool:
    """Return True if both are the same hash, in constant time; None equals nothing."""
    return one is not None and other is not None and hmac.compare_digest(one, other)


def clean_pin(text: str) -> str | None:
    """Return the PIN, 4 to 8 digits; None for other text."""
    pin = _ascii_digits(text.strip())
    return pin if _PIN.fullmatch(pin) else None


def clean_code(text: str) -> str:
    """Return a typed code without spaces and dashes, its digits in ASCII."""
    return _ascii_digits("".join(c for c in text if not c.isspace() and c != "-"))


def _ascii_digits(text: str) -> str:
    return "".join(str(int(c)) if c.isdecimal() else c for c in text)


def clean_quiet(text: str) -> str | None:
    """Return quiet hours as "22-7" or "22:30-7"; "" to end them; None for text that is no span of hours."""
    text = text.replace(" ", "").replace("–", "-")
    if not text or text.lower() in ("off", "0-0"):
        return ""
    match = _QUIET.fullmatch(text)
    if match is None:
        return None
    start, end = _clock(match[1], match[2]), _clock(match[3], match[4])
    return None if start == end else f"{start}-{end}"


def clean_digest(text: str) -> str | None:
    """Return the time of the digest as "18:00"; "" to end it; None for text that is no time."""
    text = text.strip()
    if not text or text.lower() == "off":
        return ""
    match = _TIME.fullmatch(text)
    return None if match is None else f"{int(match[1]):02}:{match[2] or '00'}"


def _clock(hour: str, minute: str | None) -> str:
    return str(int(hour)) if minute in (None, "00") else f"{int(hour)}:{minute}"


def quiet_until_ms(quiet: str, *, zone: str, now_ms: int) -> int:
    """Return the time at which the quiet hours end in which `now_ms` is, or 0 if it is in none."""
    if not quiet:
        return 0
    start, _, end = quiet.partition("-")
    from_minute, to_minute = _minutes(start), _minutes(end)
    here = _local(now_ms, zone)
    minute = here.hour * 60 + here.minute
    is_quiet = (
        from_minute <= minute < to_minute
        if from_minute < to_minute
        else minute >= from_minute or minute < to_minute
    )
    return (
        next_time_ms(f"{to_minute // 60:02}:{to_minute % 60:02}", zone=zone, now_ms=now_ms) if is_quiet else 0
    )


def next_time_ms(time: str, *, zone: str, now_ms: int) -> int:
    """Return the next moment after `now_ms` at which clocks in `zone` show `time` ("18:00")."""
    here = _local(now_ms, zone)
    minutes = _minutes(time)
    wanted = here.replace(hour=minutes // 60, minute=minutes % 60, second=0, microsecond=0, fold=0)
    if wanted.timestamp() * 1000 <= now_ms:
        wanted = (wanted + timedelta(days=1)).replace(hour=minutes // 60, minute=minutes % 60)
    return int(wanted.timestamp() * 1000)


def is_zone(name: str) -> bool:
    """Return True if that is the name of a time zone."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True


def _minutes(time: str) -> int:
    hour, _, minute = time.partition(":")
    return int(hour) * 60 + int(minute or 0)


def _local(now_ms: int, zone: str) -> datetime:
    at = datetime.fromtimestamp(now_ms / 1000, UTC)
    return at.astimezone(ZoneInfo(zone)) if is_zone(zone) else at
