"""The canary's mark: a header by which a worker knows the watch's own trial requests.

The watch asks through the front door like anybody, and must be told how people fare, not how a program does
that asks from one address for ever: a request with the mark is queued among what matters most (K0). The mark is
a time and a MAC over it, made with the instance's secret; whoever catches one can use it for MARK_AGE_S.
"""

from __future__ import annotations

import hashlib
import hmac

HEADER = b"x-stormpetrel-canary"
MARK_AGE_S = 30
_MAC_BYTES = 16
_PERSON = b"petrel.canary.k0"
_MAX_BYTES = 64


def mark(secret: bytes, *, at_epoch_s: int) -> str:
    """The header's value at this second. `secret`: 16 bytes at least."""
    return f"{at_epoch_s}.{_mac(secret, at_epoch_s)}"


def is_marked(secret: bytes, value: bytes, *, now_epoch_s: float) -> bool:
    """Whether the value was made with the same secret, less than MARK_AGE_S from now."""
    if len(value) > _MAX_BYTES:
        return False
    text, dot, mac = value.partition(b".")
    if not dot or not text.isdigit() or len(text) > 12:
        return False
    at_epoch_s = int(text)
    if not hmac.compare_digest(mac, _mac(secret, at_epoch_s).encode()):
        return False
    return abs(now_epoch_s - at_epoch_s) < MARK_AGE_S


def _mac(secret: bytes, at_epoch_s: int) -> str:
    if len(secret) < 16:
        raise ValueError("the secret must have at least 16 bytes")
    return hashlib.blake2b(
        at_epoch_s.to_bytes(8, "big"), key=secret[:64], digest_size=_MAC_BYTES, person=_PERSON
    ).hexdigest()
