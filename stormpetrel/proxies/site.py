"""The configuration of each reverse proxy for one instance, rendered from the templates in templates/.

The files in deploy/ are these templates rendered for `ProxiedSite()`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

TEMPLATES = MappingProxyType({"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile"})
"""Name of the proxy → its template, and its file in deploy/."""
EDGE_SETTINGS = MappingProxyType(
    {
        "nginx": MappingProxyType({"trusted_proxies": "127.0.0.1"}),
        "caddy": MappingProxyType({"trusted_proxies": "127.0.0.1"}),
        # HAProxy connects from an address of its own: other programs on this machine send no PROXY header.
        "haproxy": MappingProxyType({"trusted_proxies": "127.0.0.2", "proxy_protocol": "true"}),
    }
)
"""Name of the proxy → the settings of section [edge] that its configuration requires."""
_MEBIBYTE = 1_048_576
_ROUND_MEBIBYTES = 10
_IMAGES = 4
"""A post has up to four images, and a form uploads them together."""
_SHORT_NAME_CHARACTERS = 46
"""nginx refuses longer names with its default bucket, a cache line of 64 bytes: a name takes two bytes more, rounded
up to whole words, and two pointers."""
_NGINX_NAME_HASH = """\
# These names are too long for nginx's default. If another file sets this already, raise it there and delete it here.
server_names_hash_bucket_size 512;

"""
"""512 bytes are enough for the longest name of DNS, 253 characters."""
_PLACEHOLDER = re.compile(r"@(\w+)@")


@dataclass(frozen=True, slots=True)
class ProxiedSite:
    """An instance as a proxy on the same machine sees it.

    `web`, `watch`: addresses of the site and of the status page. `max_image_bytes`, `max_video_bytes`: limits of
    [media]; `max_body_bytes`: that of [edge]. `keepalive_s`: seconds after which the instance closes idle
    connections.
    """

    domain: str = "example.org"
    status_domain: str = "status.example.org"
    web: str = "127.0.0.1:8000"
    watch: str = "127.0.0.1:8001"
    max_image_bytes: int = 16_777_216
    max_video_bytes: int = 103_809_024
    keepalive_s: float = 30.0
    max_body_bytes: int = 65_536

    @property
    def body_mebibytes(self) -> int:
        """Return the size of the largest body with room for its form, rounded up to whole tens."""
        most_bytes = max(_IMAGES * self.max_image_bytes + self.max_video_bytes, self.max_body_bytes)
        return -(-most_bytes // (_ROUND_MEBIBYTES * _MEBIBYTE)) * _ROUND_MEBIBYTES + _ROUND_MEBIBYTES

    @property
    def has_long_name(self) -> bool:
        """Return True if nginx needs a larger hash table for one of the names."""
        return max(len(self.domain), len(self.status_domain)) > _SHORT_NAME_CHARACTERS


def render(proxy: str, site: ProxiedSite) -> str:
    """Return the configuration of `proxy`, a name of TEMPLATES, for `site`."""
    text = (files("stormpetrel.proxies") / "templates" / TEMPLATES[proxy]).read_text(encoding="utf-8")
    values = {
        "domain": site.domain,
        "status": site.status_domain,
        "web": site.web,
        "watch": site.watch,
        "name_hash": _NGINX_NAME_HASH if site.has_long_name else "",
        "body_mib": f"{site.body_mebibytes}",
        "keepalive_s": f"{site.keepalive_s:g}",
        # A proxy must close idle connections before the instance does. HAProxy closes them within twice its delay.
        "idle": _duration(site.keepalive_s * 2 / 3),
        "purge": _duration(site.keepalive_s / 3),
    }
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def _duration(seconds: float) -> str:
    """Return a duration as all three proxies read it, rounded down: `20s`; below a second `66ms`."""
    return f"{int(seconds)}s" if seconds >= 1 else f"{int(seconds * 1000)}ms"
