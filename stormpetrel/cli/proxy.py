"""`proxy`: prints a reverse proxy's configuration for this instance."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stormpetrel.cli.parser import Commands, add_command
from stormpetrel.errors import SetupError

if TYPE_CHECKING:
    from stormpetrel.config import Config

PROXIES = ("nginx", "haproxy", "caddy")
_ANY_HOST = frozenset({"", "0.0.0.0", "localhost"})  # noqa: S104 - compared, not bound


def add_commands(commands: Commands[Any]) -> None:
    """Add `proxy`."""
    parser = add_command(
        commands,
        "proxy",
        _proxy,
        about="Prints the configuration of a reverse proxy on this machine for this instance, with the settings that "
        "it needs of Stormpetrel as a comment. Warns if the installed proxy cannot withstand attacks on HTTP/2.",
        example="stormpetrel proxy nginx --domain example.org > /etc/nginx/conf.d/stormpetrel.conf",
    )
    parser.add_argument("proxy", metavar="PROXY", choices=PROXIES, help=", ".join(PROXIES))
    parser.add_argument(
        "--domain", metavar="NAME", default="", help="public name of the site (default: that of public_url)"
    )
    parser.add_argument(
        "--status-domain",
        metavar="NAME",
        default="",
        help="public name of the status page (default: that of status.public_url, or else status.DOMAIN)",
    )


def _proxy(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import host_name, load
    from stormpetrel.proxies import versions
    from stormpetrel.proxies.site import ProxiedSite, render

    config = load(args.config).config
    own_domain = _host_of(config.public_url)
    if not args.domain and not own_domain:
        raise SetupError(
            "the public name is not known: give --domain NAME, or set public_url to https://NAME"
        )
    domain = host_name(args.domain or own_domain, option="--domain")
    status_domain = args.status_domain or f"status.{domain}"
    if not args.status_domain and domain == own_domain:
        status_domain = _host_of(config.status.public_url) or status_domain
    status_domain = host_name(status_domain, option="--status-domain")
    if status_domain == domain:
        raise SetupError("the status page needs a name of its own: give --status-domain")
    site = ProxiedSite(
        domain,
        status_domain,
        _address(config, "web"),
        _address(config, "status"),
        config.media.max_image_bytes,
        config.media.max_video_bytes,
        config.edge.keepalive_timeout_s,
        config.edge.max_body_bytes,
    )
    print(render(args.proxy, site), end="")
    if problem := versions.warning(args.proxy, versions.installed(args.proxy)):
        print(f"stormpetrel: warning: {problem}", file=sys.stderr)
    return 0


def _host_of(url: str) -> str:
    """Return the host of an https URL without a port; "" for another one."""
    parts = urlsplit(url.strip())
    return parts.hostname or "" if parts.scheme == "https" and ":" not in parts.netloc else ""


def _address(config: Config, role: str) -> str:
    """Return where a proxy on this machine reaches the role. Raise SetupError if it cannot."""
    section = config.web if role == "web" else config.status
    host = "127.0.0.1" if section.host in _ANY_HOST else section.host
    if not _is_loopback(host):
        raise SetupError(
            f"{role}.host is {section.host}, but the proxy is on this machine: set {role}.host to 127.0.0.1"
        )
    if not section.port:
        raise SetupError(
            f"{role}.port is 0, so each start takes another port: set {role}.port to a fixed one"
        )
    return f"{host}:{section.port}"


def _is_loopback(host: str) -> bool:
    """Return True for an IPv4 address of this machine alone: proxies connect from 127.0.0.1 or 127.0.0.2."""
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False
