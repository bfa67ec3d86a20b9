"""Requests that two HTTP parsers may read differently: recorded (`desync/*.http`), generated, and mutated.

Each is the data of one client on one connection. Bodies, and other parts that a parser might mistake for the
next request, contain complete requests for `/id/smuggled-…`. Sources of the shapes: RFC 9112 (sections 2.2,
3.2, 5.2, 6.1, 6.3, 7.1, 11.2), "HTTP Desync Attacks" (Kettle, 2019), "Browser-Powered Desync Attacks" (2022),
and CVEs of the proxies.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.repository import ROOT

CORPUS = ROOT / "tests" / "deploy" / "desync"
"""Files in which `{id}` is replaced by a number of 12 characters. The lengths in the files rely on that."""

_HOSTS = ("Host: example.org",) * 12 + (
    "Host: example.org:443",
    "host:example.org",
    "Host: example.org\r\nHost: other.example",
    "Host : example.org",
    " Host: example.org",
    "Host: ",
)
_METHODS = (
    "GET",
    "POST",
    "POST",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "get",
    "PRI",
)
_VERSIONS = ("HTTP/1.1",) * 14 + ("HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "")
_LENGTHS = (
    "Content-Length: {n}",
    "Content-Length: {n}",
    "content-length:{n}",
    "Content-Length: 0",
    "Content-Length: +{n}",
    "Content-Length: -{n}",
    "Content-Length: {n}, {n}",
    "Content-Length: {n}\r\nContent-Length: {n}",
    "Content-Length: {n}\r\nContent-Length: 0",
    "Content-Length: 0\r\nContent-Length: {n}",
    "Content-Length: 0x{n:x}",
    "Content-Length: 000{n}",
    "Content-Length: {n} ",
    "Content-Length : {n}",
    "Content-Length:\t{n}",
    "Content-Length:\x0b{n}",
    "Content-Length:\r\n {n}",
    "Content-Length: {n}\r",
    "Content-Length: {n}\nX: y",
    "Content-Length: {n};",
    "Content-Length: {n}.0",
    "Content-Length: 1e1",
    "Content-Length: 99999999999999999999",
    "Content_Length: {n}",
    "Content-Length\0: {n}",
    "X: y\nContent-Length: {n}",
    "Content-Length: ",
)
_CODINGS = (
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked",
    "transfer-encoding:chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: \tchunked",
    "Transfer-Encoding:\x0bchunked",
    "Transfer-Encoding: chunked\x0c",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding: chun\r\n ked",
    "Transfer-Encoding: 'chunked'",
    'Transfer-Encoding: "chunked"',
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked,",
    "Transfer_Encoding: chunked",
    "Transfer-Encoding\0: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    " Transfer-Encoding: chunked",
    "Transfer-Encoding: ",
)
_KEY = "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng=="
_UPGRADES = (
    "Upgrade: websocket\r\nConnection: Upgrade",
    "Upgrade: WebSocket\r\nConnection: upgrade",
    f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n{_KEY}",
    f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 99\r\n{_KEY}",
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    "Upgrade: foo\r\nConnection: Upgrade",
    "Upgrade: foo, websocket\r\nConnection: Upgrade",
    "Upgrade: websocket\r\nUpgrade: foo\r\nConnection: Upgrade",
    "Upgrade: websocket/13\r\nConnection: Upgrade",
    "Upgrade: TLS/1.0\r\nConnection: Upgrade",
    "Upgrade: \r\nConnection: Upgrade",
    "Upgrade: foo",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Connection: upgrade, close\r\nUpgrade: foo",
)
_OTHERS = (
    "Connection: close",
    "Connection: keep-alive",
    "Connection: Content-Length",
    "Connection: Transfer-Encoding",
    "Connection: Host, X-Stamp",
    "Proxy-Connection: close",
    "Keep-Alive: timeout=1",
    "Expect: 100-continue",
    "Expect: 100-Continue",
    "Expect: 200-ok",
    "Expect: 100-continue, x",
    "Trailer: Content-Length",
    "TE: trailers, chunked",
    "X: a\r\n b",
    "X: a\r\n\tContent-Length: 40",
    "X: y\n Z: w",
    "X\r\n: y",
    ": y",
    "X",
    "X: \xe9\xff",
    "X-HTTP-Method-Override: POST",
    "Range: bytes=0-0",
    "Max-Forwards: 0",
    "Cookie: a=b",
    "Content-Encoding: gzip",
    "X: " + "y" * 9000,
)


def inner(number: str) -> bytes:
    """Return a complete request that no parser may ever read as a request."""
    return f"GET /id/smuggled-{number} HTTP/1.1\r\nHost: example.org\r\n\r\n".encode()


def _chunks(rng: random.Random, content: bytes) -> bytes:
    """Return `content` in chunks, more or less as RFC 9112, 7.1 defines them."""
    size = f"{len(content):x}"
    end = "\r\n"
    first = rng.choice(
        (size,) * 8
        + (
            f"0{size}",
            f"{size};a=b",
            f'{size};a="b\r\nc"',
            f"{size};\n",
            f"{size} ",
            f" {size}",
            f"0x{size}",
            f"+{size}",
            f"{size}\t",
            f"{len(content):X}",
            f"10000000000000000{size}",
            f"{len(content) + 5:x}",
            "-1",
            "0",
            "",
        )
    )
    after_size = rng.choice((end,) * 10 + ("\n", "\r", "\r\r\n"))
    after_chunk = rng.choice((end,) * 10 + ("\n", "", "\r\r\n", "XX"))
    last = rng.choice(
        ("0\r\n\r\n",) * 8
        + (
            "0\r\nX: y\r\n\r\n",
            "0\r\nContent-Length: 60\r\n\r\n",
            "0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "0\r\nHost: other.example\r\nX-Stamp: forged\r\n\r\n",
            "00\r\n\r\n",
            "0;a\r\n\r\n",
            "0\n\n",
            "0\r\n",
            "0\r\nX\r\n\r\n",
            "",
        )
    )
    return f"{first}{after_size}".encode("latin-1") + content + f"{after_chunk}{last}".encode("latin-1")


def _target(rng: random.Random, number: str) -> str:
    path = f"/id/{number}"
    return rng.choice(
        (path,) * 12
        + (
            f"{path}?a=b",
            f"http://example.org{path}",
            f"http://other.example{path}",
            f"HTTPS://example.org:443{path}",
            f"{path}#part",
            f"//example.org{path}",
            f"/./x/..{path}",
            f"{path}%20",
            f"{path}\\",
            f"{path} x",
            f"\t{path}",
            "*",
            "example.org:443",
        )
    )


def one(rng: random.Random, number: str) -> bytes:
    """Return one request, mostly close to the rules, with a request inside its body."""
    content = rng.choice((b"", b"x=1", inner(number), inner(number) * 2, b"0\r\n\r\n" + inner(number)))
    headers = [rng.choice(_HOSTS)]
    kind = rng.random()
    body = content
    if kind < 0.35:
        length = max(0, len(content) + rng.choice((0, 0, 0, 0, 0, -3, 4)))
        headers.append(rng.choice(_LENGTHS).replace("{n:x}", f"{length:x}").replace("{n}", str(length)))
    elif kind < 0.7:
        headers.append(rng.choice(_CODINGS))
        body = _chunks(rng, content)
    elif kind < 0.85:
        body = _chunks(rng, content)
        length = rng.choice((len(body), len(body), 4, 0))
        both = [
            rng.choice(_CODINGS),
            rng.choice(_LENGTHS).replace("{n:x}", f"{length:x}").replace("{n}", str(length)),
        ]
        rng.shuffle(both)
        headers += both
    if rng.random() < 0.3:
        headers.append(rng.choice(_UPGRADES))
    if rng.random() < 0.25:
        headers.append(rng.choice(_OTHERS))
    if rng.random() < 0.2:
        rng.shuffle(headers)
    end = "\r\n" if rng.random() < 0.93 else rng.choice(("\n", "\r", "\r\r\n"))
    first = f"{rng.choice(_METHODS)} {_target(rng, number)} {rng.choice(_VERSIONS)}"
    return end.join([first, *headers, "", ""]).encode("latin-1") + body


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return `data` with a few bytes changed, removed, doubled or inserted."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        change = rng.randrange(4)
        if change == 0:
            out[at:at] = rng.choice(
                (b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b":", b",", b"0", b"\x80", b"\r\n\r\n")
            )
        elif change == 1:
            del out[at : at + rng.randint(1, 3)]
        elif change == 2 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        else:
            out[at:at] = out[at : at + rng.randint(1, 12)]
    return bytes(out)


def number_of(seed: int, n: int) -> str:
    """Return the number of a connection, always 12 characters."""
    return f"{seed:04}-{n:07}"


def corpus() -> list[tuple[str, bytes]]:
    """Return the recorded requests by name. Some server once misread each of them."""
    return [(path.name, path.read_bytes()) for path in sorted(CORPUS.glob("*.http"))]


def made(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield the bytes of `count` connections and the number in each. The same seed gives the same bytes."""
    rng = random.Random(seed)
    kept = [data for _, data in corpus()]
    for n in range(count):
        number = number_of(seed, n)
        if kept and rng.random() < 0.1:
            data = rng.choice(kept).replace(b"{id}", number.encode())
        else:
            data = b"".join(one(rng, number) for _ in range(rng.choice((1, 1, 1, 1, 2, 3))))
        if rng.random() < 0.25:
            data = mutated(rng, data)
        yield number, data


def pieces(rng: random.Random, data: bytes) -> list[bytes]:
    """Return `data` as one piece, or cut at up to four positions."""
    if rng.random() < 0.7 or len(data) < 8:
        return [data]
    cuts = sorted({rng.randrange(1, len(data)) for _ in range(rng.randint(1, 4))})
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
