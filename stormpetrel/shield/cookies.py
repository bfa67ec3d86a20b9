"""The session cookie: ids, issue time and a MAC, so that the shield recognises a member without a database.

The cookie does not tell whether the session still exists. A valid MAC is enough to be queued as a member; the
application looks the session up before it trusts it.

Layout, 40 bytes in base64url without padding (54 characters): session id, account id and issue time as
big-endian 64-bit integers, then 16 bytes of keyed BLAKE2b over them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

COOKIE_NAME = "stormpetrel_session"
OWN = b"stormpetrel_"
"""The prefix of all our cookies' names."""
HOST_PREFIX = "__Host-"
"""By https, the names of our cookies also get this prefix: browsers then accept them only from this
host and only by https (RFC 6265bis, 4.1.3). A neighbouring subdomain, or an attacker who changes a
plain-http answer, cannot set them."""
MAX_COOKIES = 192
"""The cookies of a header that are read. Browsers keep and send at most 180 of a site (Chromium, Firefox). Of those
after them only ours are read, so 16 KB of semicolons cost no more than these."""
MAX_OWN_AFTER = 16
"""Our cookies that are read after the first MAX_COOKIES: we set fewer."""
_HOST_OWN = HOST_PREFIX.encode() + OWN
_BLANK = b" \t"
_SEPARATED_OWN = (b"; " + OWN, b";" + OWN)
"""How browsers and proxies separate cookies (RFC 6265, 4.2.1; RFC 9113, 8.2.3), and the same without the space."""
_PLAIN_OWN = re.compile(rb"(?:^|;)[ \t]*" + OWN + rb"[^;]*")
TEXT_CHARACTERS = 54
_FIELDS = struct.Struct(">QQQ")
_MAC_BYTES = 16
_LAST_CHARACTERS = b"AQgw"
_FROM_URLSAFE = bytes.maketrans(b"-_+/", b"+/\0\0")
"""To the alphabet that binascii reads. Its own two signs become invalid: a cookie has them in no spelling."""
# Separates this use of the secret from all others; BLAKE2b takes exactly 16 bytes here.
_PERSON = b"petrel.session.1"


def sent_name(name: str, *, secure: bool) -> str:
    """Return the name of one of our cookies in a browser. `secure`: the instance is reached by https."""
    return HOST_PREFIX + name if secure else name


def without_prefix(header: bytes) -> bytes:
    """Return a Cookie header that came by https, with the prefix removed from our cookies' names.

    Cookies of ours without the prefix are dropped: any subdomain could have set them.
    """
    if OWN not in header:
        return header
    if header.count(OWN) != header.count(_HOST_OWN):
        header = _PLAIN_OWN.sub(b"", header)
    return header.replace(_HOST_OWN, OWN)


def pairs(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and values of a Cookie header, in order: of its first MAX_COOKIES parts, and ours after them.

    A neighbouring subdomain may set any number of cookies, which browsers send before ours if they are older.

    Every reader of cookies uses this function, and it splits at the same places as `without_prefix`.
    Only a semicolon ends a cookie, and only spaces and tabs are stripped from a name: browsers accept
    commas and other bytes from any subdomain, also in a value, and a parser with other rules would
    find cookies of ours inside.
    """
    parts = header.split(b";", MAX_COOKIES)
    if len(parts) > MAX_COOKIES:
        parts[MAX_COOKIES:] = _own_parts(b";" + parts[MAX_COOKIES])
    for part in parts:
        name, equals, value = part.partition(b"=")
        if equals:
            value = value.strip(_BLANK)
            if len(value) >= 2 and value[:1] == b'"' == value[-1:]:
                value = value[1:-1]
            yield name.strip(_BLANK), value


def _own_parts(rest: bytes) -> list[bytes]:
    """Return our cookies in a part of a Cookie header that begins with a semicolon, without reading the others."""
    # Searching for letters skips over semicolons: 2 us for 16 KB of them, against 50 us for each separator.
    if OWN not in rest:
        return []
    return [
        OWN + part.partition(b";")[0]
        # A value has no semicolon: these bytes are the beginning of a cookie.
        for separated in _SEPARATED_OWN
        for part in rest.split(separated, MAX_OWN_AFTER)[1 : MAX_OWN_AFTER + 1]
    ]


class SessionClaims(NamedTuple):
    """The content of a session cookie; `issued_at_s` in seconds since 1970."""

    session_id: int
    account_id: int
    issued_at_s: int


def seal(secret: bytes, person: bytes, *fields: int) -> str:
    """Return three numbers and their MAC as text. `person`: 16 bytes that separate this use from the others.

    Raise ValueError if the secret is shorter than 16 bytes or a number does not fit 64 bits unsigned.
    """
    try:
        packed = _FIELDS.pack(*fields)
    except struct.error as error:
        raise ValueError("cookie fields must be three whole numbers from 0 to 2**64 - 1") from error
    return base64.urlsafe_b64encode(packed + _mac(secret, person, packed)).rstrip(b"=").decode("ascii")


def unseal(secret: bytes, person: bytes, raw: bytes) -> tuple[int, int, int] | None:
    """Return the numbers of a text that `seal` made with this secret and person; None for any other text."""
    # Decoding ignores four bits of the last character: accept only one spelling of a cookie.
    if len(raw) != TEXT_CHARACTERS or raw[-1] not in _LAST_CHARACTERS:
        return None
    try:
        sealed = binascii.a2b_base64(raw.translate(_FROM_URLSAFE) + b"==", strict_mode=True)
    except binascii.Error:
        return None
    packed, mac = sealed[: _FIELDS.size], sealed[_FIELDS.size :]
    if not hmac.compare_digest(mac, _mac(secret, person, packed)):
        return None
    first, second, third = _FIELDS.unpack(packed)
    return first, second, third


def mint(secret: bytes, *, session_id: int, account_id: int, issued_at_s: int) -> str:
    """Return the cookie's value, 54 characters of base64url.

    `secret`: at least 16 bytes. Raise ValueError if it is shorter or a number does not fit 64 bits unsigned.
    """
    return seal(secret, _PERSON, session_id, account_id, issued_at_s)


def read(secret: bytes, text: str | bytes) -> SessionClaims | None:
    """Return the claims of a cookie that `mint` made with the same secret; None for any other text."""
    raw = text.encode("ascii", "replace") if isinstance(text, str) else text
    fields = unseal(secret, _PERSON, raw)
    return None if fields is None else SessionClaims(*fields)


def _mac(secret: bytes, person: bytes, fields: bytes) -> bytes:
    if len(secret) < 16:
        raise ValueError("the cookie secret must have at least 16 bytes")
    key = secret if len(secret) <= 64 else hashlib.blake2b(secret).digest()
    return hashlib.blake2b(fields, digest_size=_MAC_BYTES, key=key, person=person).digest()
