"""The PROXY protocol, versions 1 and 2: a header in which a proxy names the client of a connection.

Follows HAProxy's "The PROXY protocol, versions 1 & 2" (2.1 and 2.2). Parsing is strict: bytes that do not
match the specification exactly are not a header.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import NamedTuple

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
"""The first bytes of version 2."""
MAX_LINE_BYTES = 107
"""The longest line of version 1, including its CRLF."""
_WORD = b"PROXY "
_FIXED_BYTES = 16
_LINE = re.compile(rb"PROXY TCP([46]) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})")
_ADDRESS_BYTES = (0, 12, 36, 216)
"""Size of version 2's addresses by family: unspecified, IPv4, IPv6, UNIX. The TLVs after them are skipped."""
_MAX_PORT = 65_535


class ProxyHeader(NamedTuple):
    """`size_bytes`: where the connection's own bytes begin. `source`: address and port of the client; None if
    the proxy speaks for itself (LOCAL) or does not know (UNKNOWN, UNSPEC, a UNIX socket)."""

    size_bytes: int
    source: tuple[str, int] | None


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """Return the header that `data` begins with; None if incomplete. Raise ValueError for other bytes."""
    if data[:12] == SIGNATURE[: len(data)]:
        return _binary(data) if len(data) >= _FIXED_BYTES else None
    if data[:6] == _WORD[: len(data)]:
        return _line(data)
    raise ValueError("no PROXY protocol header")


def plain_address(text: str) -> str:
    """Return an IP address in canonical form, IPv4-mapped IPv6 as IPv4. Raise ValueError."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError("an address with a zone means something on one machine only")
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
    return str(address)


def _line(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, MAX_LINE_BYTES)
    if end < 0:
        if len(data) >= MAX_LINE_BYTES:
            raise ValueError("the line does not end")
        return None
    line = data[:end]
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(end + 2, None)
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError("not a line of the PROXY protocol")
    version, source, target, source_port, target_port = (part.decode("ascii") for part in found.groups())
    if {ipaddress.ip_address(source).version, ipaddress.ip_address(target).version} != {int(version)}:
        raise ValueError("an address of another family")
    if int(source_port) > _MAX_PORT or int(target_port) > _MAX_PORT:
        raise ValueError("no such port")
    plain_address(target)
    return ProxyHeader(end + 2, (plain_address(source), int(source_port)))


def _binary(data: bytes) -> ProxyHeader | None:
    version, kind, length = struct.unpack_from("!BBH", data, len(SIGNATURE))
    command, family, transport = version & 15, kind >> 4, kind & 15
    if version >> 4 != 2 or command > 1:
        raise ValueError("not a command of version 2")
    if command and (family >= len(_ADDRESS_BYTES) or transport > 2):
        raise ValueError("not a family of version 2")
    if command and length < _ADDRESS_BYTES[family]:
        raise ValueError("too short for its addresses")
    size_bytes = _FIXED_BYTES + length
    if len(data) < size_bytes:
        return None
    if not command or not transport or family not in (1, 2):
        return ProxyHeader(size_bytes, None)
    width = 4 if family == 1 else 16
    address = ipaddress.ip_address(data[_FIXED_BYTES : _FIXED_BYTES + width])
    (port,) = struct.unpack_from("!H", data, _FIXED_BYTES + 2 * width)
    return ProxyHeader(size_bytes, (plain_address(str(address)), port))
