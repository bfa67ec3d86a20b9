"""The doors of a worker: the ways in for input, and the bytes to send for a text at each."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loop_meter import Measured

BODY_BYTES = 65_000
HEAD_BYTES = 7_800


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
