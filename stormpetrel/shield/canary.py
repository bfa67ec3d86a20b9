"""The canary's mark: a header that tells a worker that a request is one of the watch's own probes.

The watch sends its probes like any client, and they must measure how people are served, not a program that
always asks from one address: a request with the mark is queued in the most urgent class (K0). The mark is a
time and a MAC over it, made with the instance's secret; a stolen one is valid for MARK_AGE_S.
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
    """Return the header's value at this second. `secret`: at least 16 bytes."""
    return f"{at_epoch_s}.{_mac(secret, at_epoch_s)}"


def is_marked(secret: bytes, value: bytes, *, now_epoch_s: float) -> bool:
    """Return whether the value was made with the same secret, less than MARK_AGE_S from now."""
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
