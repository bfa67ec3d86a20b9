"""The most expensive input of each door: how long it blocks a worker's loop at once, and its cost per byte.

    python bench/dear_inputs.py [--rounds 4] [--only WORD] [--quick] [--json]

A door is a way for input to come in: the address, a header, a form, JSON, multipart, chunks, WebSocket
frames, texts of posts and profiles, every route. For each door, texts made of fragments are tried at the
largest size that it accepts; the most expensive are varied for some rounds. CPU time of the loop's thread,
the best of three; the cost per byte excludes the cost of a small input by the same door. Ceilings: 5 ms at
once, 50 ns a byte.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loop_meter import Measured, Spent, measured_worker
from machine import calibration_s

AT_ONCE_S = 0.005
A_BYTE_S = 50e-9
MATTERS_S = 0.001
BODY_BYTES = 65_000
HEAD_BYTES = 7_800

FRAGMENTS = [
    b"%",
    b"%4",
    b"%41",
    b"%25",
    b"%E0%B8%81",
    b"+",
    b"&",
    b"a=1&",
    b"a[]=1&",
    b"a[b][c]=1&",
    b"id[]=7&",
    b"[",
    b"]",
    b"[],",
    b"[[],",
    b"{}",
    b"{},",
    b'{"a":',
    b'"":0,',
    b'"a",',
    b"1,",
    b"1e9,",
    b"1.2345678901234567e-300,",
    b"-",
    b"\\u0041",
    b"\\ud83d\\ude00",
    b"=",
    b";",
    b",",
    b" ",
    b"\t",
    b"\r\n",
    b"\r",
    b"\n",
    b"--x\r\n",
    b"\r\n--x",
    b"\r\n--x-",
    b"\r\n--",
    b"@a ",
    b"@a@b.c ",
    b"#a ",
    b"#a",
    b"https://a.b ",
    b"https://a.b/(",
    b"https://",
    b"(",
    b")",
    b"[a](",
    b"\xf0\x9f\x91\xa8\xe2\x80\x8d",
    b"e\xcc\x81",
    b"\xcc\x81",
    b"\xe0\xb9\x87",
    b"\xcd\x85\xcc\x81\xcc\x96\xcc\xb4",
    b"\xd9\x8b",
    b"\xef\xb7\xba",
    b"<b>",
    b"<",
    b"&amp;",
    b"\xe2\x80\xae",
    b'"',
    b"'",
    b"*",
    b"a",
    b"a ",
    b"A.",
    b"from:a ",
    b"OR ",
    b"\xe3\x81\x82",
    b"\xe4\xb8\x80 ",
    b"q=0.1,",
    b"a/",
    b"./",
    b"../",
    b"a=b; ",
    b'"a"="b"; ',
    b"\xe2\x80\x8b",
    b'W/"a",',
    b"gzip;q=0.5,",
    b"1.1.1.1,",
    b"::1,",
    b"\x00",
    b"\xff",
    b":",
    b"x:y\r\n",
]


DEAREST = [
    b"a",
    b"%",
    b"%41",
    b"%E0%B8%81",
    b"a[]=1&",
    b"a[b][c]=1&",
    b"[[],",
    b"1.2345678901234567e-300,",
    b"\\ud83d\\ude00",
    b",,",
    b";",
    b"q=0.1,",
    b"--x\r\n",
    b"-\r\n--x",
    b"a a ",
    b"https://a.b/(",
    b"\xd9\x8bhttps://&",
    b"@a #a ",
    b"\xf0\x9f\x91\xa8\xe2\x80\x8d",
    b"\xcc\x81",
    b"\xcd\x85\xcc\x81\xcc\x96\xcc\xb4",
    b"\xe2\x80\x8b",
]
"""Fragments that searches found to be expensive at some door; a test tries each at every door."""


@dataclass(frozen=True, slots=True)
class Door:
    """A way in for input: `request(text)` returns the bytes to send; `size_bytes`: how much text it accepts.

    `is_many`: it sends many requests, which each have a request's cost.
    """

    name: str
    size_bytes: int
    request: Callable[[bytes], bytes]
    parts: int = 1
    is_many: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The most expensive text of a door, and its cost."""

    door: str
    fragment: bytes
    sent_bytes: int
    at_once_s: float
    total_s: float
    a_byte_s: float

    @property
    def is_over(self) -> bool:
        """Return True if a ceiling is exceeded; bytes that cost at most 1 ms in total are not judged."""
        return self.at_once_s > AT_ONCE_S or (
            self.a_byte_s * self.sent_bytes > MATTERS_S and self.a_byte_s > A_BYTE_S
        )


def _head(method: str, target: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join(
        [
            method.encode() + b" " + target + b" HTTP/1.1",
            b"Host: 127.0.0.1",
            b"Connection: close",
            *headers,
            b"",
            b"",
        ]
    )


def _safe(text: bytes, forbidden: bytes) -> bytes:
    return text.translate(None, forbidden)


def _target(path: bytes, *headers: bytes) -> Callable[[bytes], bytes]:
    return lambda text: _head("GET", path + _safe(text, b" \r\n\t\x00#").replace(b"\xff", b"%FF"), *headers)


def _header(name: bytes, path: bytes = b"/") -> Callable[[bytes], bytes]:
    return lambda text: _head("GET", path, name + _safe(text, b"\r\n\x00"))


def _body(
    path: bytes, kind: bytes, *headers: bytes, wrap: Callable[[bytes], bytes] = bytes
) -> Callable[[bytes], bytes]:
    def request(text: bytes) -> bytes:
        body = wrap(text)
        more = (b"Content-Type: " + kind, b"Content-Length: %d" % len(body), *headers)
        return _head("POST", path, *more) + body

    return request


def _json_text(name: str) -> Callable[[bytes], bytes]:
    def wrap(text: bytes) -> bytes:
        value = text.decode("utf-8", "ignore").replace("\0", "")
        return json.dumps({name: value}, ensure_ascii=False).encode()

    return wrap


def _multipart(text: bytes) -> bytes:
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    return part + text + b"\r\n--x--\r\n"


def _many_parts(text: bytes) -> bytes:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + text[:40] + b"\r\n"
    return part * (BODY_BYTES // len(part)) + b"--x--\r\n"


def _dear_headers(text: bytes) -> bytes:
    value = _safe(text[:4_000], b"\r\n\x00")
    part = b'--x\r\nContent-Disposition: form-data; name="a"; b="' + value + b"\r\n\r\nv\r\n"
    return part * (BODY_BYTES // len(part)) + b"--x--\r\n"


def _chunked(text: bytes) -> bytes:
    size = 64
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    return (
        _head("POST", b"/api/v1/apps", b"Transfer-Encoding: chunked", b"Content-Type: application/json")
        + body
    )


def _frame(opcode: int, text: bytes) -> bytes:
    size = (
        struct.pack("!B", 0x80 | len(text)) if len(text) < 126 else struct.pack("!BH", 0x80 | 126, len(text))
    )
    return bytes([0x80 | opcode]) + size + bytes(4) + text


def _socket(token: bytes, opcode: int, size: int) -> Callable[[bytes], bytes]:
    key = base64.b64encode(b"0" * 16)
    shake = b"\r\n".join(
        [
            b"GET /api/v1/streaming?access_token=" + token + b" HTTP/1.1",
            b"Host: 127.0.0.1",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: " + key,
            b"",
            b"",
        ]
    )
    end = _frame(8, struct.pack("!H", 1000))
    return lambda text: (
        shake
        + b"".join(_frame(opcode, text[at : at + size]) for at in range(0, len(text), max(size, 1)))
        + end
    )


def doors(place: Measured) -> Iterator[Door]:
    """Yield every kind of door."""
    bearer = b"Authorization: Bearer " + place.token.encode()
    form, jsons, multi = (
        b"application/x-www-form-urlencoded",
        b"application/json",
        b"multipart/form-data; boundary=x",
    )
    yield Door("address", HEAD_BYTES, _target(b"/"))
    yield Door("address of the API", HEAD_BYTES, _target(b"/api/v1/accounts/"))
    yield Door("query of a hot page", HEAD_BYTES, _target(b"/?"))
    yield Door("query of a hot list", HEAD_BYTES, _target(b"/api/v1/timelines/public?limit="))
    yield Door("query of a member", HEAD_BYTES, _target(b"/api/v1/timelines/home?", bearer))
    yield Door("search page", HEAD_BYTES, _target(b"/search?q="))
    yield Door("search of a member", HEAD_BYTES, _target(b"/api/v2/search?q=", bearer))
    yield Door("tag", HEAD_BYTES, _target(b"/tags/"))
    yield Door("webfinger", HEAD_BYTES, _target(b"/.well-known/webfinger?resource="))
    for name in (b"Cookie: ", b"Cookie: stormpetrel_session=", b"Authorization: Bearer ", b"If-None-Match: "):
        yield Door(f"header {name.decode().strip()}", HEAD_BYTES * 2, _header(name))
    for name in (
        b"Accept-Encoding: ",
        b"User-Agent: ",
        b"Accept-Language: ",
        b"X-Forwarded-For: ",
        b"If-Modified-Since: ",
    ):
        yield Door(f"header {name.decode().strip()}", HEAD_BYTES * 2, _header(name))
    yield Door("header Range", HEAD_BYTES * 2, _header(b"Range: bytes=", b"/assets/style.css"))
    yield Door("many headers", HEAD_BYTES * 2, lambda text: _head("GET", b"/", *[b"x: " + text[:2]] * 2500))
    yield Door(
        "Basic of OAuth",
        12_000,
        lambda text: _body(b"/oauth/token", form, b"Authorization: Basic " + base64.b64encode(text))(
            b"grant_type=client_credentials"
        ),
    )
    yield Door("form of OAuth", BODY_BYTES, _body(b"/oauth/token", form))
    yield Door("form of the API", BODY_BYTES, _body(b"/api/v1/apps", form))
    yield Door("form of a page", BODY_BYTES, _body(b"/auth/sign_in", form))
    yield Door(
        "form of a member",
        BODY_BYTES,
        _body(b"/api/v1/statuses", form, bearer, wrap=lambda text: b"status=" + text),
    )
    yield Door("JSON, bare", BODY_BYTES, _body(b"/api/v1/apps", jsons))
    yield Door(
        "JSON, a value",
        BODY_BYTES,
        _body(b"/api/v1/apps", jsons, wrap=lambda text: b'{"client_name":' + text + b"}"),
    )
    yield Door(
        "JSON, a list",
        BODY_BYTES,
        _body(b"/api/v1/apps", jsons, wrap=lambda text: b'{"redirect_uris":[' + text + b"0]}"),
    )
    yield Door(
        "JSON of a member",
        BODY_BYTES,
        _body(b"/api/v1/statuses", jsons, bearer, wrap=lambda text: b'{"status":[' + text + b"0]}"),
    )
    yield Door("app's name", BODY_BYTES, _body(b"/api/v1/apps", jsons, wrap=_json_text("client_name")))
    yield Door("app's addresses", BODY_BYTES, _body(b"/api/v1/apps", jsons, wrap=_json_text("redirect_uris")))
    yield Door("multipart, a stranger's", BODY_BYTES, _body(b"/api/v1/apps", multi, wrap=_multipart))
    yield Door("multipart, many parts", BODY_BYTES, _body(b"/api/v1/apps", multi, wrap=_many_parts))
    yield Door("multipart, headers of parts", BODY_BYTES, _body(b"/api/v1/apps", multi, wrap=_dear_headers))
    yield Door(
        "multipart, content type",
        12_000,
        lambda text: _body(b"/api/v1/apps", multi + b'; a="' + _safe(text, b"\r\n\x00"))(b"--x--\r\n"),
    )
    yield Door(
        "multipart, a member's file", 1_000_000, _body(b"/api/v2/media", multi, bearer, wrap=_multipart)
    )
    yield Door("chunks", BODY_BYTES // 2, _chunked)
    for name in ("status", "spoiler_text", "language", "scheduled_at"):
        yield Door(
            f"post, {name}", BODY_BYTES, _body(b"/api/v1/statuses", jsons, bearer, wrap=_json_text(name))
        )
    yield Door(
        "filter",
        30_000,
        _body(
            b"/api/v1/filters",
            jsons,
            bearer,
            wrap=lambda text: _json_text("phrase")(text)[:-1] + b',"context":["home"]}',
        ),
    )
    yield Door(
        "report",
        BODY_BYTES,
        _body(
            b"/api/v1/reports",
            jsons,
            bearer,
            wrap=lambda text: _json_text("comment")(text)[:-1] + b',"account_id":"1"}',
        ),
    )
    yield Door("list's title", BODY_BYTES, _body(b"/api/v1/lists", jsons, bearer, wrap=_json_text("title")))
    yield Door(
        "note on an account",
        BODY_BYTES,
        _body(b"/api/v1/accounts/1/note", jsons, bearer, wrap=_json_text("comment")),
    )
    for name in ("password", "email", "username"):
        yield Door(
            f"sign-up, {name}",
            BODY_BYTES,
            _body(b"/api/v1/accounts", jsons, bearer, wrap=_json_text(name)),
        )
    for name in ("display_name", "note"):
        yield Door(
            f"profile, {name}",
            BODY_BYTES,
            lambda text, name=name: _body(
                b"/api/v1/accounts/update_credentials", jsons, bearer, wrap=_json_text(name)
            )(text).replace(b"POST", b"PATCH", 1),
        )
    token = place.token.encode()
    yield Door("WebSocket, pings", 60_000, _socket(token, 9, 1))
    yield Door("WebSocket, short texts", 60_000, _socket(token, 1, 8))
    yield Door("WebSocket, long texts", 60_000, _socket(token, 1, 30_000))
    yield Door(
        "pipelined",
        100,
        lambda text: (
            b"GET /about HTTP/1.1\r\nHost: a\r\nX: "
            + _safe(text, b"\r\n\x00")[:4]
            + b"\r\n\r\n"
            + b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 5000
            + _head("GET", b"/about")
        ),
        is_many=True,
    )


def routes(place: Measured) -> Iterator[Door]:
    """Yield every route of the API and of the pages, by its query and by a JSON body."""
    bearer = b"Authorization: Bearer " + place.token.encode()
    from stormpetrel.roles.web import ROUTES

    for route in ROUTES:
        path = "/".join(
            "1" if "{" in part and "@" not in part else part.replace("@{name}", "@Mira")
            for part in route.path.split("/")
        )
        name = f"{route.method} {route.path}"
        if route.streams or "{" in path:
            continue
        if route.method == "GET":
            yield Door(name, HEAD_BYTES, _target(path.encode() + b"?q=", bearer))
        elif route.is_api and route.takes is not None:
            fields = [field.encode_name for field in __import__("msgspec").structs.fields(route.takes)]

            def wrap(text: bytes, fields: list[str] = fields) -> bytes:
                share = text[: BODY_BYTES // max(len(fields), 1)].decode("utf-8", "ignore").replace("\0", "")
                return json.dumps(dict.fromkeys(fields, share), ensure_ascii=False).encode()

            make = _body(path.encode(), b"application/json", bearer, wrap=wrap)
            yield Door(
                name,
                BODY_BYTES,
                lambda text, make=make, method=route.method: make(text).replace(b"POST", method.encode(), 1),
            )


def _filled(fragment: bytes, size_bytes: int) -> bytes:
    return (fragment * (size_bytes // len(fragment) + 1))[:size_bytes]


def _cost(place: Measured, door: Door, text: bytes, *, times: int = 3) -> tuple[Spent, int]:
    data = door.request(text)
    spent = [place.cost(data, parts=door.parts) for _ in range(times)]
    return Spent(min(s.worst_s for s in spent), min(s.total_s for s in spent)), len(data)


def dearest(place: Measured, door: Door, texts: list[bytes], *, scale: float) -> Found:
    """Return the cost of the most expensive of `texts` at a door, on a machine that is `scale` times as fast.

    A text that seems to exceed a ceiling is tried again: CPU time varies with the load of the machine.
    """
    small, small_bytes = _cost(place, door, b"a", times=1)
    worst: Found | None = None
    for fragment in texts:
        for times in (1, 3, 9):
            spent, sent = _cost(place, door, _filled(fragment, door.size_bytes), times=times)
            found = _found(door, fragment, spent, sent, small, small_bytes, scale=scale)
            if not found.is_over:
                break
        if worst is None or found.at_once_s > worst.at_once_s or found.is_over:
            worst = found
        if worst.is_over:
            break
    assert worst is not None
    return worst


def _found(
    door: Door,
    fragment: bytes,
    spent: Spent,
    sent: int,
    small: Spent,
    small_bytes: int,
    *,
    scale: float = 1.0,
) -> Found:
    size = sent - small_bytes if sent > 2 * small_bytes else sent
    a_byte_s = 0.0 if door.is_many else max(0.0, spent.total_s - small.total_s) / size
    return Found(door.name, fragment, sent, spent.worst_s / scale, spent.total_s / scale, a_byte_s / scale)


def search(place: Measured, door: Door, rng: random.Random, *, rounds: int, fragments: list[bytes]) -> Found:
    """Find the most expensive text for a door: single fragments first, then the worst joined with others."""
    small, small_bytes = _cost(place, door, b"a")
    scored: list[tuple[float, bytes]] = []
    for fragment in fragments:
        spent, _ = _cost(place, door, _filled(fragment, door.size_bytes), times=1)
        scored.append((spent.worst_s + spent.total_s, fragment))
    for _ in range(rounds):
        scored = sorted(scored, reverse=True)[:4]
        for _, fragment in list(scored):
            other = rng.choice(FRAGMENTS)
            joined = fragment + other if rng.random() < 0.5 else other + fragment
            spent, _ = _cost(place, door, _filled(joined, door.size_bytes), times=1)
            scored.append((spent.worst_s + spent.total_s, joined))
    found = []
    for _, fragment in sorted(scored, reverse=True)[:3]:
        spent, sent = _cost(place, door, _filled(fragment, door.size_bytes))
        found.append(_found(door, fragment, spent, sent, small, small_bytes))
    return max(found, key=lambda one: (one.is_over, one.at_once_s, one.total_s))


def main(arguments: list[str]) -> int:
    """Print the table; return 1 if a ceiling is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    found: list[Found] = []
    with tempfile.TemporaryDirectory() as directory, measured_worker(Path(directory)) as place:
        for door in doors(place):
            if options.only.lower() in door.name.lower():
                fragments = rng.sample(FRAGMENTS, 8) if options.quick else FRAGMENTS
                found.append(
                    search(
                        place, door, rng, rounds=1 if options.quick else options.rounds, fragments=fragments
                    )
                )
        for door in routes(place) if not options.quick else ():
            if options.only.lower() in door.name.lower():
                found.append(search(place, door, rng, rounds=0, fragments=rng.sample(FRAGMENTS, 12)))
    found.sort(key=lambda one: one.at_once_s, reverse=True)
    if options.json:
        print(
            json.dumps(
                [
                    {**{name: getattr(one, name) for name in one.__slots__}, "fragment": repr(one.fragment)}
                    for one in found
                ]
            )
        )
    else:
        print(f"calibration {calibration_s() * 1000:.2f} ms; {os.cpu_count()} processors")
        print(f"{'door':44} {'bytes':>8} {'at once ms':>10} {'total ms':>9} {'ns/byte':>8}  dearest")
        for one in found:
            print(
                f"{one.door:44} {one.sent_bytes:8,} {one.at_once_s * 1000:10.2f} {one.total_s * 1000:9.2f} "
                f"{one.a_byte_s * 1e9:8.1f}  {one.fragment[:40]!r}{' OVER' if one.is_over else ''}"
            )
    return 1 if any(one.is_over for one in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
