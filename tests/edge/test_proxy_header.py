"""The PROXY protocol's header parser against a second implementation of the same specification."""

from __future__ import annotations

import re
import socket
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormpetrel.edge.proxy_header import SIGNATURE, plain_address, read_proxy_header

V4 = b"\xc0\x00\x02\x01" + b"\xc6\x33\x64\x02" + b"\x30\x39\x01\xbb"
V6 = bytes(15) + b"\x01" + bytes(15) + b"\x02" + b"\x30\x39\x01\xbb"


def v2(kind: int, body: bytes, *, command: int = 0x21) -> bytes:
    """Return a header of version 2 with any command, family and body."""
    return SIGNATURE + struct.pack("!BBH", command, kind, len(body)) + body


# A second implementation, written from the specification's tables alone, with other tools ----------------


def reference(data: bytes) -> Any:
    """Return "more", "bad", or (size, packed source address or None, port)."""
    signature = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
    if data[:1] == b"\r":
        for given_byte, wanted in zip(data, signature, strict=False):
            if given_byte != wanted:
                return "bad"
        return "more" if len(data) < 16 else reference_2(data)
    for given_byte, wanted in zip(data, b"PROXY ", strict=False):
        if given_byte != wanted:
            return "bad"
    line, end, _ = data[:107].partition(b"\r\n")
    if not end:
        return "bad" if len(data) >= 107 else "more"
    words = line.split(b" ")
    size = len(line) + 2
    if words[1] == b"UNKNOWN":
        return (size, None, 0)
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        return "bad"
    family = socket.AF_INET if words[1] == b"TCP4" else socket.AF_INET6
    packed = []
    for word in words[2:4]:
        if not re.fullmatch(rb"[0-9A-Fa-f:.]+", word):
            return "bad"
        try:
            packed.append(socket.inet_pton(family, word.decode()))
        except OSError:
            return "bad"
    for word in words[4:]:
        if not word.isdigit() or str(int(word)).encode() != word or int(word) > 65535:
            return "bad"
    return (size, packed[0], int(words[4]))


def reference_2(data: bytes) -> Any:
    version, command = data[12] // 16, data[12] % 16
    family, transport = data[13] // 16, data[13] % 16
    length = data[14] * 256 + data[15]
    if version != 2 or command not in (0, 1):
        return "bad"
    needed = {0: 0, 1: 12, 2: 36, 3: 216}
    if command == 1 and (family not in needed or transport not in (0, 1, 2) or length < needed[family]):
        return "bad"
    if len(data) < 16 + length:
        return "more"
    if command == 0 or transport == 0 or family in (0, 3):
        return (16 + length, None, 0)
    body = data[16:]
    wide = 4 if family == 1 else 16
    return (16 + length, body[:wide], body[2 * wide] * 256 + body[2 * wide + 1])


def mine(data: bytes) -> Any:
    """Return the result of the tested parser in the form of the reference."""
    try:
        header = read_proxy_header(data)
    except ValueError:
        return "bad"
    if header is None:
        return "more"
    if header.source is None:
        return (header.size_bytes, None, 0)
    address, port = header.source
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (header.size_bytes, socket.inet_pton(family, address), port)


def unmapped(expected: Any) -> Any:
    """Convert an IPv4-mapped IPv6 address to IPv4."""
    if isinstance(expected, tuple) and expected[1] and expected[1][:-4] == bytes(10) + b"\xff\xff":
        return (expected[0], expected[1][-4:], expected[2])
    return expected


addresses = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.sampled_from(
        [
            "::ffff:192.0.2.1",
            "::",
            "1::",
            "01.2.3.4",
            "1.2.3",
            "1.2.3.4.5",
            "fe80::1%eth0",
            "256.1.1.1",
            "::g",
            "",
        ]
    ),
)
ports = st.one_of(
    st.integers(0, 65535).map(str), st.sampled_from(["65536", "007", "-1", "1e3", "", "99999999"])
)
lines = st.builds(
    lambda family, source, target, one, other, gap, end: (
        f"PROXY {family} {source}{gap}{target} {one} {other}{end}"
    ),
    st.sampled_from(["TCP4", "TCP6", "UNKNOWN", "TCP5", "tcp4", "UNKNOWNS"]),
    addresses,
    addresses,
    ports,
    ports,
    st.sampled_from([" ", " ", " ", "  ", "\t"]),
    st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r", " \r\n", "x" * 80 + "\r\n"]),
).map(str.encode)
binaries = st.builds(
    lambda command, kind, body, more: v2(kind, body + more, command=command),
    st.sampled_from([0x21, 0x21, 0x21, 0x20, 0x22, 0x11, 0x2F]),
    st.sampled_from([0x11, 0x21, 0x12, 0x22, 0x31, 0x00, 0x10, 0x20, 0x13, 0x41]),
    st.sampled_from([V4, V6, bytes(216), b"", V4[:-1]]) | st.binary(min_size=36, max_size=36),
    st.just(b"") | st.binary(max_size=300),
)
headers = st.one_of(
    lines, binaries, st.binary(max_size=60), st.binary(max_size=40).map(lambda data: SIGNATURE + data)
)


@settings(max_examples=300)
@given(headers, st.binary(max_size=20), st.data())
def test_any_bytes_mean_what_the_specification_says_however_they_are_spoilt(header, rest, data):
    whole = bytearray(header + rest)
    if whole and data.draw(st.booleans()):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    whole = whole[: data.draw(st.integers(0, len(whole)) | st.just(len(whole)))]
    assert mine(bytes(whole)) == unmapped(reference(bytes(whole)))


@given(headers, st.binary(max_size=20))
def test_what_was_said_of_the_first_bytes_is_true_of_all_that_follow(header, rest):
    results = [mine(header[:size]) for size in range(len(header))] + [mine(header), mine(header + rest)]
    decided = [result for result in results if result != "more"]
    assert results == ["more"] * (len(results) - len(decided)) + decided
    assert len(set(decided)) <= 1


@pytest.mark.parametrize(
    ("data", "source"),
    [
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", ("192.0.2.1", 12345)),
        (b"PROXY TCP6 2001:DB8:0::1 ::2 1 2\r\n", ("2001:db8::1", 1)),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::2 1 2\r\n", ("192.0.2.1", 1)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 what ever\r\n", None),
        (v2(0x11, V4), ("192.0.2.1", 12345)),
        (v2(0x21, V6), ("::1", 12345)),
        (v2(0x11, V4 + b"\x01\x00\x02h2\x20\x00\x05\x07\x00\x00\x00\x00"), ("192.0.2.1", 12345)),
        (v2(0x11, V4 + bytes(65_000)), ("192.0.2.1", 12345)),
        (v2(0x00, b"", command=0x20), None),
        (v2(0x11, V4, command=0x20), None),
        (v2(0x00, b""), None),
        (v2(0x31, b"/run/socket".ljust(216, b"\x00")), None),
    ],
)
def test_good_headers_name_their_client_or_nobody(data, source):
    header = read_proxy_header(data + b"GET /")
    assert header is not None
    assert (header.size_bytes, header.source) == (len(data), source)
    assert all(read_proxy_header(data[:size]) is None for size in range(0, len(data), 1 + len(data) // 400))


@pytest.mark.parametrize("text", ["fe80::1%eth0", "192.0.2.1/32", "192.0.2.01", "localhost", "", "1"])
def test_what_is_no_address_of_a_client_is_refused(text):
    with pytest.raises(ValueError, match=r"address|zone"):
        plain_address(text)
