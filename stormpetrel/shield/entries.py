"""Validate an operator's allow or deny. Every door does so: the command, the control socket, the other machines, the
saved rules, and the worker that puts it into force."""

from __future__ import annotations

import ipaddress
import string
from collections.abc import Iterable
from contextlib import suppress

from stormpetrel.shield.reports import ALLOWED_KINDS, MIN_HASH_CHARACTERS, OperatorEntry

MAX_REASON = 200
MAX_VALUE = 200
HASH_CHARACTERS = 64
WIDEST_IPV4 = 16
WIDEST_IPV6 = 32
"""A wider network would hold whole countries: such an entry must be a mistake."""
_MAPPED_BITS = 96
"""The length of ::ffff:0:0, the prefix of IPv4-mapped addresses (RFC 4291, 2.5.5.2)."""
LONGEST_S = 365 * 86_400
LOOPBACK = (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("::1"))
"""The addresses of this machine's canaries, and of a proxy on it."""
MAX_ENTRIES = 1_000
"""Each worker checks every entry: longer lists belong in a firewall."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class InvalidEntry(ValueError):
    """An entry that must not be put into force. The text describes the problem for the operator."""


def checked(entry: OperatorEntry, *, now_epoch_s: float) -> OperatorEntry:
    """Return the entry in canonical form. Raise InvalidEntry.

    `now_epoch_s`: when it was ordered, in seconds since 1970.
    """
    reason = " ".join(entry.reason.split())
    if len(reason) > MAX_REASON or not reason.isprintable():
        raise InvalidEntry(f"a reason must have at most {MAX_REASON} characters, all printable")
    left_s = entry.expires_epoch_s - now_epoch_s
    if not 0 < left_s <= LONGEST_S:
        raise InvalidEntry("the rule must end in the future, within a year")
    return OperatorEntry(entry.kind, canonical_value(entry.kind, entry.value), entry.expires_epoch_s, reason)


def canonical_value(kind: str, text: str) -> str:
    """Return the value of an entry in canonical form. Raise InvalidEntry."""
    if kind not in ALLOWED_KINDS:
        raise InvalidEntry(f"unknown kind {kind!r} (there are: {', '.join(ALLOWED_KINDS)})")
    if kind == "address":
        return _network(text)
    if kind == "account":
        if not (text.isascii() and text.isdigit() and len(text) <= 20):
            raise InvalidEntry(f"{text!r} is not the id of an account")
        return str(int(text))
    if kind == "token":
        lower = text.lower()
        fits = MIN_HASH_CHARACTERS <= len(lower) <= HASH_CHARACTERS
        if not fits or not set(lower) <= set(string.hexdigits.lower()):
            raise InvalidEntry(
                f"name a token by {MIN_HASH_CHARACTERS} to {HASH_CHARACTERS} hexadecimal digits of its hash"
            )
        return lower
    if not text or len(text) > MAX_VALUE or not text.isprintable():
        raise InvalidEntry(f"the name of an application must have 1 to {MAX_VALUE} printable characters")
    return text


def require_harmless(entry: OperatorEntry, *, proxies: Iterable[_Network], session: str) -> None:
    """Raise InvalidEntry if a deny of `entry`, in canonical form, would hit the operator's own machines.

    `proxies`: the trusted proxies. `session`: the address from which the operator gives the order, or "".
    """
    if entry.kind != "address":
        return
    denied = ipaddress.ip_network(entry.value)
    own = [(one, "this machine itself") for one in LOOPBACK]
    own += [(one, "a proxy of edge.trusted_proxies") for one in proxies]
    # An operator at the console has no address.
    with suppress(InvalidEntry):
        own.append(
            (ipaddress.ip_network(canonical_value("address", session)), "where you are connected from")
        )
    for network, about in own:
        if network.version == denied.version and network.overlaps(denied):
            # Trusted proxies may be a wider network than a rule.
            shown = _shown(network)
            how = "holds" if network.prefixlen > denied.prefixlen else "belongs to"
            named = f"is {about}" if shown == entry.value else f"{how} {shown}, {about}"
            raise InvalidEntry(
                f"{entry.value} {named}; stormpetrel shield deny --force denies it all the same"
            )


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
    address, slash, length = text.strip().partition("/")
    try:
        network = ipaddress.ip_network(address.partition("%")[0] + slash + length, strict=False)
    except ValueError as error:
        raise InvalidEntry(f"{text!r} is neither an address nor a network") from error
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            # The shield sees such a client by its IPv4 address.
            network = ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    widest = WIDEST_IPV4 if network.version == 4 else WIDEST_IPV6
    if network.prefixlen < widest:
        raise InvalidEntry(f"{text} is too wide: /{widest} is the widest for IPv{network.version}")
    return _shown(network)


def _shown(network: _Network) -> str:
    alone = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if alone else str(network)
