"""Checks of a route's keys, before its provider is made. Each raises SetupError with the key at fault."""

from __future__ import annotations

from urllib.parse import urlsplit

from stormpetrel.config_sms import RouteConfig
from stormpetrel.errors import SetupError


def key_error(route: RouteConfig, key: str, problem: str) -> SetupError:
    """Return the error of one key, like "sms.route.main.host is missing"."""
    return SetupError(f"sms.route.{route.name}.{key} {problem}")


def check_present(route: RouteConfig, *keys: str) -> None:
    """Raise SetupError for the first of the provider's `keys` that is empty."""
    for key in keys:
        if not getattr(route.keys, key):
            raise key_error(route, key, f"is missing: {route.provider} needs it")


def check_sender(route: RouteConfig) -> None:
    """Raise SetupError if the route has no sender."""
    if not route.sender:
        raise key_error(route, "sender", f"is missing: {route.provider} needs it")


def check_url(route: RouteConfig, key: str, *, may_have_fragment: bool = False) -> None:
    """Raise SetupError unless the key is empty or an http(s) URL with a host, without user and fragment."""
    url = getattr(route.keys, key)
    if not url:
        return
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError above 65535
    except ValueError:
        raise key_error(route, key, "is no URL") from None
    # The value is not repeated: it may have a password in it.
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or " " in url:
        raise key_error(route, key, "must be a URL that begins with https:// or http://, and a host")
    if parts.username or parts.password:
        raise key_error(route, key, "must have no user and no password")
    if parts.fragment and not may_have_fragment:
        raise key_error(route, key, "must have no fragment (#)")
