"""The web app manifest, for an icon on a phone's home screen."""

from __future__ import annotations

import msgspec

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.web.assets import asset_path

_LIFETIME = b"public, max-age=3600"
_HOT_S = 3600.0


async def manifest(request: Request) -> Response:
    """GET /manifest.webmanifest. Source: W3C Web Application Manifest, §1."""
    config = request.site.config
    body = {
        "name": config.title,
        "short_name": config.title[:12],
        "description": config.description,
        "start_url": "/",
        "scope": "/",
        "display": "minimal-ui",
        "background_color": "#f3f6f7",
        "theme_color": "#0d2a36",
        "icons": [
            {"src": asset_path("icon.svg"), "sizes": "any", "type": "image/svg+xml"},
            {"src": asset_path("icon-192.png"), "sizes": "192x192", "type": "image/png"},
            {"src": asset_path("icon-512.png"), "sizes": "512x512", "type": "image/png"},
        ],
    }
    request.keep_hot("instance", ttl_s=_HOT_S)
    return Response(
        200, msgspec.json.encode(body), [(b"cache-control", _LIFETIME)], b"application/manifest+json"
    )
