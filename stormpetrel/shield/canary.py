"""The canary's mark: a header that tells a worker that a request is one of the watch's own probes.

The watch sends its probes like any client, and they must measure how people are served, not a program that
always asks from one address. So the mark names a person, and a marked request waits in that person's class:

| person | class |
|---|---|
| member | of a credential, or when signing in a device, from before the attack: K0 for writes, K1 for reads, K2 |
| visitor | of a stranger from anywhere (K3) |

It is past ceilings and denies, and counted apart from people. The mark is a person, a time and a MAC over both, made
with the instance's secret; a stolen one is valid for MARK_AGE_S.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

from stormpetrel.shield.classify import CHANGES, DEVICE, ESTABLISHED, KNOWN, RULE_OF, SIGNS_IN
from stormpetrel.shield.identify import Identity
from stormpetrel.shield.paths import SIGN_IN, SIGN_UP, PathFacts
from stormpetrel.shield.queues import Ticket

Person = Literal["member", "visitor"]
HEADER = b"x-stormpetrel-canary"
MARK_AGE_S = 30
MEDIA_KEY = f"{0:032x}.png"
"""The name of no file, by which a canary asks for one."""
_MAC_BYTES = 16
_PERSON_OF: dict[bytes, Person] = {b"petrel.canary.mb": "member", b"petrel.canary.vi": "visitor"}
"""The BLAKE2b personalisation of each person's MAC."""
_MAX_BYTES = 64


def mark(secret: bytes, *, at_epoch_s: int, person: Person = "member") -> str:
    """Return the header's value at this second. `secret`: at least 16 bytes."""
    if len(secret) < 16:
        raise ValueError("the secret must have at least 16 bytes")
    personal = next(personal for personal, known in _PERSON_OF.items() if known == person)
    return f"{at_epoch_s}.{_mac(secret, at_epoch_s, personal)}"


def person_of(secret: bytes, value: bytes, *, now_epoch_s: float) -> Person | None:
    """Return the person of a mark made with the same secret, less than MARK_AGE_S from now; otherwise None."""
    if len(value) > _MAX_BYTES:
        return None
    text, dot, mac = value.partition(b".")
    if not dot or not text.isdigit() or len(text) > 12:
        return None
    at_epoch_s = int(text)
    if abs(now_epoch_s - at_epoch_s) >= MARK_AGE_S:
        return None
    for personal, person in _PERSON_OF.items():
        if hmac.compare_digest(mac, _mac(secret, at_epoch_s, personal).encode()):
            return person
    return None


def canary_ticket(person: Person, facts: PathFacts, *, changes: bool) -> Ticket:
    """Return a ticket in the person's class, past ceilings and denies: the canaries of many share one address.

    `changes`: the method writes.
    """
    # An application's token is the canary's stand-in for a post: a write with a credential.
    signs_in = changes and facts.changing_kind in (SIGN_IN, SIGN_UP)
    flags = (CHANGES if changes else 0) | (SIGNS_IN if signs_in else 0)
    if person == "member":
        # A member who signs in has no credential yet, but the device of an earlier sign-in.
        flags |= DEVICE if signs_in else KNOWN | ESTABLISHED
    ticket = Ticket(Identity("canary", person), RULE_OF[flags].lane)
    ticket.because = "class/canary"
    ticket.channel = "canary"
    return ticket


def _mac(secret: bytes, at_epoch_s: int, personal: bytes) -> str:
    return hashlib.blake2b(
        at_epoch_s.to_bytes(8, "big"), key=secret[:64], digest_size=_MAC_BYTES, person=personal
    ).hexdigest()
