"""Static files: stylesheet, script, icons. They are read once; the URL contains a hash of the content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.initial import TINTS, parse_picture_name

_DIRECTORY = Path(__file__).parent / "assets"
_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
}
_FOR_EVER = b"public, max-age=31536000, immutable"
_FOR_AN_HOUR = b"public, max-age=3600"
_HOT_S = 3600.0
_HASH_DIGITS = 12

_ROBOTS = b"""User-agent: *
Disallow: /auth/
Disallow: /oauth/
Disallow: /search
Disallow: /compose
Disallow: /settings/
"""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. `path` is its URL path, which changes with its content."""

    name: str
    path: str
    body: bytes
    content_type: bytes


def _read() -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    # Read the stylesheet last: it refers to other files, whose paths must be known.
    files = sorted(_DIRECTORY.iterdir(), key=lambda file: (file.suffix == ".css", file.name))
    for file in files:
        if file.suffix not in _TYPES:
            continue
        body = file.read_bytes()
        if file.suffix == ".css":
            for other in found.values():
                body = body.replace(f'url("{other.name}")'.encode(), f'url("{other.path}")'.encode())
        digest = hashlib.sha256(body).hexdigest()[:_HASH_DIGITS]
        path = f"/assets/{file.stem}-{digest}{file.suffix}"
        found[file.name] = Asset(file.name, path, body, _TYPES[file.suffix])
    return found


ASSETS = _read()
_INITIALS: dict[str, bytes] = {}
"""Rendered initials by name, cached on first request: all possible ones take 1 MB."""
_BY_ADDRESS = {asset.path.rpartition("/")[2]: asset for asset in ASSETS.values()}


def asset_path(name: str) -> str:
    """Return the path of the file `name`. Raise KeyError if there is none (a mistake in a template)."""
    return ASSETS[name].path


async def asset(request: Request) -> Response:
    """GET /assets/NAME: cache names with a hash and initials for ever, plain names for an hour."""
    name = request.parameters["name"]
    drawn = parse_picture_name(name)
    if drawn is not None:
        return await _initial(request, name, *drawn)
    found, lifetime = _BY_ADDRESS.get(name), _FOR_EVER
    if found is None:
        # Plain names are for URLs that are used outside this server and must survive a release.
        found, lifetime = ASSETS.get(name), _FOR_AN_HOUR
    if found is None:
        raise NotFound
    return _file(request, found, lifetime)


async def _initial(request: Request, name: str, tint: int, letter: str) -> Response:
    body = _INITIALS.get(name)
    if body is None:
        body = _INITIALS[name] = await request.site.heavy.draw_initial(TINTS[tint], letter)
    return _file(request, Asset(name, request.path, body, _TYPES[".png"]), _FOR_EVER)


async def favicon(request: Request) -> Response:
    """GET /favicon.ico: browsers request it by default; a PNG, which all of them support."""
    return _file(request, ASSETS["icon-64.png"], _FOR_AN_HOUR)


async def robots(request: Request) -> Response:
    """GET /robots.txt: allow all public pages; exclude forms and searches from indexing."""
    request.keep_hot("assets", ttl_s=_HOT_S)
    return Response(200, _ROBOTS, [(b"cache-control", _FOR_AN_HOUR)], b"text/plain; charset=utf-8")


def _file(request: Request, found: Asset, lifetime: bytes) -> Response:
    request.keep_hot("assets", ttl_s=_HOT_S)
    return Response(200, found.body, [(b"cache-control", lifetime)], found.content_type)
