"""Links from one page of an answer to the pages around it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.shield.percent import query_string


def shareable(request: Request, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the parameters that a link in the response may repeat.

    A cached response must not contain the other parameters of its first visitor: if it may be cached, return only
    those that distinguish its versions.
    """
    hot = request.facts.hot
    if request.access is not None or hot is None:
        return list(pairs)
    return [pair for pair in pairs if pair[0].partition("[")[0].encode() in hot]


def page_links(request: Request, *, newest_id: int, oldest_id: int) -> tuple[bytes, bytes]:
    """Return the Link header to the pages around this one: older (`next`) and newer (`prev`).

    The URLs are absolute and include the caller's other parameters, as far as `shareable` permits.
    """
    kept = [(k, v) for k, v in request.query_pairs if k not in ("max_id", "min_id", "since_id")]
    kept = shareable(request, kept)
    others = f"{query_string(kept)}&" if kept else ""
    url = f"{request.site.base_url}{_quoted(request.path)}?{others}"
    links = f'<{url}max_id={oldest_id}>; rel="next", <{url}min_id={newest_id}>; rel="prev"'
    return b"link", links.encode("ascii")


def paged(request: Request, body: bytes, ids: Sequence[int]) -> Response:
    """Return JSON with the Link header for `ids`, newest first; without the header if there are none."""
    response = Response(200, body)
    if ids:
        response.headers.append(page_links(request, newest_id=ids[0], oldest_id=ids[-1]))
    return response


@lru_cache(maxsize=1024)
def _quoted(path: str) -> str:
    return quote(path, safe="/:@")
