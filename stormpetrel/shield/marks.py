"""Visitor and device cookies: they show since when a browser has been coming, not whose it is.

A *visitor* cookie goes to each client that views a public page, a *device* cookie to a browser after a
sign-in; it stays after signing out. When an attack begins, older cookies separate earlier visitors from those
who came with it. A visitor cookie is a random number, the time of issue to ten minutes, and a MAC; a device
cookie has the time to the second, and the account.
"""

from __future__ import annotations

from typing import NamedTuple

from stormpetrel.shield.cookies import OWN, TEXT_CHARACTERS, pairs, seal, unseal

VISITOR_COOKIE = "stormpetrel_visitor"
DEVICE_COOKIE = "stormpetrel_device"
VISITOR_AGE_S = 30 * 86_400
DEVICE_AGE_S = 365 * 86_400
COARSE_S = 600
_VISITOR = VISITOR_COOKIE.encode()
_DEVICE = DEVICE_COOKIE.encode()
_VISITOR_IS = _VISITOR + b"="
_ALONE_BYTES = len(_VISITOR_IS) + TEXT_CHARACTERS
# BLAKE2b takes exactly 16 bytes here.
_VISITOR_PERSON = b"petrel.visitor.1"
_DEVICE_PERSON = b"petrel.device..1"


class Mark(NamedTuple):
    """A cookie's content: a random id, the account that signed in (0: a visitor), and the time of issue."""

    mark_id: int
    account_id: int
    issued_at_s: int


class Marks(NamedTuple):
    """A request's visitor and device cookies, if valid and not too old."""

    visitor: Mark | None
    device: Mark | None


NO_MARKS = Marks(None, None)


def mint_visitor(secret: bytes, *, mark_id: int, at_s: int) -> str:
    """Return a visitor cookie's value. `mark_id`: random, 64 bits. The time is rounded up to COARSE_S.

    It is rounded up so that no cookie looks older than it is.
    """
    return seal(secret, _VISITOR_PERSON, mark_id, 0, -(-at_s // COARSE_S) * COARSE_S)


def mint_device(secret: bytes, *, mark_id: int, account_id: int, at_s: int) -> str:
    """Return a device cookie's value. `mark_id`: random, 64 bits; `account_id`: just signed in."""
    return seal(secret, _DEVICE_PERSON, mark_id, account_id, at_s)


def has_visitor_cookie(cookie: bytes | None) -> bool:
    """Return whether a Cookie header names a visitor cookie, valid or not: then none is sent."""
    return cookie is not None and _VISITOR in cookie


def marks_of(secret: bytes, cookie: bytes | None, *, epoch_s: float) -> Marks:
    """Return the marks in a Cookie header; `epoch_s`: now, since 1970."""
    if cookie is None or OWN not in cookie:
        return NO_MARKS
    marks = _remembered.get((secret, cookie))
    if marks is None:
        marks = _find(secret, cookie)
        if marks != NO_MARKS and len(cookie) <= _REMEMBERED_BYTES:
            if len(_remembered) >= _REMEMBERED:
                _remembered.clear()
            _remembered[secret, cookie] = marks
    visitor, device = marks
    is_late = visitor is not None and visitor.issued_at_s < epoch_s - VISITOR_AGE_S
    if device is not None and device.issued_at_s < epoch_s - DEVICE_AGE_S:
        return Marks(None if is_late else visitor, None)
    return Marks(None, device) if is_late else marks


def device_in(secret: bytes, header: str, *, epoch_s: float) -> Mark | None:
    """Return the device mark in a Cookie header; None if there is none that is valid and not too old."""
    return marks_of(secret, header.encode("latin-1", "replace"), epoch_s=epoch_s).device


def read_device(secret: bytes, value: str, *, epoch_s: float) -> Mark | None:
    """Return the content of a device cookie; None if it is invalid or too old."""
    mark = _read(secret, _DEVICE_PERSON, value.encode("ascii", "replace"))
    return mark if mark is not None and mark.issued_at_s >= epoch_s - DEVICE_AGE_S else None


# Browsers repeat the same header, and checking a MAC costs 4 µs.
_REMEMBERED = 4096
_REMEMBERED_BYTES = 1024
_remembered: dict[tuple[bytes, bytes], Marks] = {}


def forget_marks() -> None:
    """Drop the remembered cookies."""
    _remembered.clear()


def _find(secret: bytes, cookie: bytes) -> Marks:
    # Most visitors have this cookie alone.
    if len(cookie) == _ALONE_BYTES and cookie.startswith(_VISITOR_IS):
        mark = _read(secret, _VISITOR_PERSON, cookie[len(_VISITOR_IS) :])
        if mark is not None:
            return Marks(mark, None)
    visitor = device = None
    for name, value in pairs(cookie):
        if name == _VISITOR and visitor is None:
            visitor = _read(secret, _VISITOR_PERSON, value)
        elif name == _DEVICE and device is None:
            device = _read(secret, _DEVICE_PERSON, value)
    return Marks(visitor, device)


def _read(secret: bytes, person: bytes, value: bytes) -> Mark | None:
    fields = unseal(secret, person, value)
    return Mark(*fields) if fields is not None else None
