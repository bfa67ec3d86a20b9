"""Validate an allow or deny: once where it is typed, and again before it is put into force."""

from __future__ import annotations

import ipaddress
import string

from stormpetrel.errors import SetupError
from stormpetrel.shield.reports import ALLOWED_KINDS, MIN_HASH_CHARACTERS, OperatorEntry

MAX_REASON = 200
MAX_VALUE = 200
HASH_CHARACTERS = 64
WIDEST_IPV4 = 16
WIDEST_IPV6 = 32
"""A wider network would hold whole countries: such an entry must be a mistake."""
LONGEST_S = 365 * 86_400
MAX_ENTRIES = 1_000
"""Each worker checks every entry: longer lists belong in a firewall."""


def checked(entry: OperatorEntry, *, now_epoch_s: float) -> OperatorEntry:
    """Return the entry in canonical form. Raise SetupError that describes the problem."""
    reason = " ".join(entry.reason.split())
    if len(reason) > MAX_REASON or not reason.isprintable():
        raise SetupError(f"a reason has at most {MAX_REASON} printable characters")
    left_s = entry.expires_epoch_s - now_epoch_s
    if not 0 < left_s <= LONGEST_S:
        raise SetupError("it must end in the future, within a year")
    if entry.kind not in ALLOWED_KINDS:
        raise SetupError(f"there is no kind {entry.kind!r} (there are: {', '.join(ALLOWED_KINDS)})")
    return OperatorEntry(entry.kind, value(entry.kind, entry.value), entry.expires_epoch_s, reason)


def value(kind: str, text: str) -> str:
    """Return the value of an entry in canonical form. Raise SetupError."""
    if kind == "address":
        return _network(text)
    if kind == "account":
        if not (text.isascii() and text.isdigit() and len(text) <= 20):
            raise SetupError(f"{text!r} is not the id of an account")
        return text
    if kind == "token":
        lower = text.lower()
        fits = MIN_HASH_CHARACTERS <= len(lower) <= HASH_CHARACTERS
        if not fits or not set(lower) <= set(string.hexdigits.lower()):
            raise SetupError(
                f"a token is named by {MIN_HASH_CHARACTERS} to {HASH_CHARACTERS} hexadecimal digits of its hash"
            )
        return lower
    if not text or len(text) > MAX_VALUE or not text.isprintable():
        raise SetupError(f"the name of an application has 1 to {MAX_VALUE} printable characters")
    return text


def covers(entry: OperatorEntry, named: str) -> bool:
    """Return whether an entry matches `named`, a value of its kind."""
    if entry.kind == "token":
        # Either may be the whole hash and the other its beginning.
        return named.startswith(entry.value) or entry.value.startswith(named)
    if entry.kind == "address":
        try:
            of, asked = ipaddress.ip_network(entry.value), ipaddress.ip_network(named, strict=False)
        except ValueError:
            return False
        if isinstance(of, ipaddress.IPv4Network):
            return isinstance(asked, ipaddress.IPv4Network) and asked.subnet_of(of)
        return isinstance(asked, ipaddress.IPv6Network) and asked.subnet_of(of)
    return entry.value == named


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text.strip().partition("%")[0], strict=False)
    except ValueError as error:
        raise SetupError(f"{text!r} is neither an address nor a network") from error
    widest = WIDEST_IPV4 if network.version == 4 else WIDEST_IPV6
    if network.prefixlen < widest:
        raise SetupError(f"{text} is too wide: /{widest} is the widest for IPv{network.version}")
    alone = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if alone else str(network)
