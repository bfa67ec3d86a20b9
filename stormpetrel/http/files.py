"""`GET /media/KEY`: serve uploaded files as stored, completely or in part."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

from stormpetrel.edge.header_policy import FILE_HEADERS
from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Headers, Response
from stormpetrel.media.formats import SERVED_TYPES
from stormpetrel.media.store import KEY
from stormpetrel.rules import media as rules
from stormpetrel.shield.canary import MEDIA_KEY as CANARY_KEY

PIECE_BYTES = 262_144
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")
_HEADERS = (
    (b"cache-control", b"public, max-age=31536000, immutable"),
    *FILE_HEADERS,
    (b"content-disposition", b"inline"),
    (b"accept-ranges", b"bytes"),
)


async def serve(request: Request) -> Response:
    """GET /media/KEY: the file, 304, a part of it (206), or a redirect to its store. Raise NotFound.

    The canary gets 204 once the file's look-up and the store have answered. Raise Busy if the store does not.
    """
    key = request.parameters["key"]
    if key == CANARY_KEY and request.scope["is_canary"]:
        # The look-up of every file, and the store, but no file that would have to be kept for it.
        await request.site.database.read(rules.is_served, key=key)
        await asyncio.to_thread(request.site.uploads.store.check)
        return Response(204, headers=[(b"cache-control", b"no-store")], content_type=None)
    if KEY.match(key) is None or not await request.site.database.read(rules.is_served, key=key):
        raise NotFound
    store = request.site.uploads.store
    url = store.url(key)
    if url:
        response = Response(302, headers=[(b"location", url.encode("ascii"))], content_type=None)
        # Do not cache the redirect: the file is no longer served after its owner is suspended.
        response.headers.append((b"cache-control", b"no-store"))
        response.is_file = True
        return response
    path = await asyncio.to_thread(store.path, key)
    if path is None:
        raise NotFound
    etag = f'"{key.partition(".")[0]}"'
    if etag in request.headers.get("if-none-match", ""):
        return _response(304, etag, None)
    size_bytes = path.stat().st_size
    first, last, status = 0, size_bytes - 1, 200
    asked = request.headers.get("range", "").strip()
    if asked and request.headers.get("if-range", etag) == etag:
        found = _RANGE.match(asked)
        # For several ranges or another unit, the whole file is a valid response (RFC 9110, 14.2).
        if found is not None and (found[1] or found[2]):
            if found[1]:
                first, last = int(found[1]), min(int(found[2] or last), last)
            else:
                first = max(0, size_bytes - int(found[2]))
            status = 206
            if first > last or first >= size_bytes:
                response = _response(416, etag, None)
                response.headers.append((b"content-range", b"bytes */%d" % size_bytes))
                return response
    response = _response(status, etag, SERVED_TYPES[key.rpartition(".")[2]])
    response.length = last - first + 1
    response.pieces = _pieces(request, path, first, response.length)
    if status == 206:
        response.headers.append((b"content-range", b"bytes %d-%d/%d" % (first, last, size_bytes)))
    return response


def _response(status: int, etag: str, content_type: bytes | None) -> Response:
    headers: Headers = [*_HEADERS, (b"etag", etag.encode())]
    response = Response(status, headers=headers, content_type=content_type)
    response.is_file = True
    return response


async def _pieces(request: Request, path: Path, first: int, length: int) -> AsyncIterator[bytes]:
    """Yield the bytes in pieces, each read in a thread, so that the loop does not wait for the disk."""
    descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        at, end = first, first + length
        while at < end:
            piece = await asyncio.to_thread(os.pread, descriptor, min(PIECE_BYTES, end - at), at)
            if not piece:
                return
            at += len(piece)
            yield piece
    finally:
        os.close(descriptor)
