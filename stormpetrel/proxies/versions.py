"""The oldest version of each proxy that its configuration and two attacks on HTTP/2 allow.

Rapid Reset (CVE-2023-44487) opens and cancels streams; a CONTINUATION flood (VU#421644) sends headers without end.
Both use a core of the proxy from one connection, before Stormpetrel sees a request.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from types import MappingProxyType

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where distributions install servers; not in every user's PATH."""
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_TIMEOUT_S = 10.0

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ProxyRequirement:
    """`oldest`: the oldest version to run. `reason`: why, as one sentence. `sources`: where that is stated."""

    oldest: Version
    version_argument: str
    reason: str
    sources: tuple[str, ...]


REQUIREMENTS = MappingProxyType(
    {
        "nginx": ProxyRequirement(
            (1, 22, 0),
            "-v",
            "it closes a connection after 1,000 streams (keepalive_requests), which bounds Rapid Reset; "
            "CONTINUATION frames count towards large_client_header_buffers",
            (
                "https://www.nginx.com/blog/http-2-rapid-reset-attack-impacting-f5-nginx-products/",
                "https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_requests",
                "https://nginx.org/en/docs/http/ngx_http_v2_module.html#http2_max_header_size",
            ),
        ),
        "haproxy": ProxyRequirement(
            (2, 6, 0),
            "-v",
            "it counts cancelled streams until they are gone, and ends a connection whose headers pass its buffer",
            (
                "https://www.haproxy.com/blog/haproxy-is-not-affected-by-the-http-2-rapid-reset-attack-cve-2023-44487",
                "https://www.haproxy.com/blog/haproxy-is-resilient-to-the-http-2-continuation-flood",
            ),
        ),
        "caddy": ProxyRequirement(
            (2, 8, 0),
            "version",
            "its HTTP/2 is Go's, which withstands Rapid Reset since 1.21.3 (Caddy 2.7.5) and both since 1.22.2",
            (
                "https://github.com/caddyserver/caddy/issues/5877",
                "https://github.com/caddyserver/caddy/issues/6219",
            ),
        ),
    }
)


def program(proxy: str) -> str | None:
    """Return the path of the installed proxy, or None."""
    return shutil.which(proxy) or shutil.which(proxy, path=SBIN)


def parse(text: str) -> Version | None:
    """Return the first version in `text`, or None: `nginx version: nginx/1.22.1` is (1, 22, 1)."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def installed(proxy: str) -> Version | None:
    """Return the version of the installed proxy; None if it is not installed or does not say."""
    path = program(proxy)
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, REQUIREMENTS[proxy].version_argument],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # nginx prints its version to standard error.
    return parse(done.stdout + done.stderr)


def warning(proxy: str, version: Version | None) -> str:
    """Return one line about a `version` that is too old; "" if it is new enough, or None."""
    requirement = REQUIREMENTS[proxy]
    if version is None or version >= requirement.oldest:
        return ""
    return (
        f"{proxy} {dotted(version)} is installed, and {dotted(requirement.oldest)} or later is needed against "
        f"attacks on HTTP/2: {requirement.reason} ({', '.join(requirement.sources)})"
    )


def dotted(version: Version) -> str:
    """Return `1.22.1`."""
    return ".".join(map(str, version))
