"""Attackers' requests: they look like those of browsers, apps and tools; nothing identifies an attacker."""

from __future__ import annotations

from collections.abc import Mapping

from stormpetrel.drill.wire import form, request

BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
)
"""The drill's people use the first one: a defence that rejects browsers rejects them too."""
TOOLS = ("python-requests/2.32.5", "curl/8.16.0", "Go-http-client/1.1", "okhttp/4.12.0", BROWSERS[0])


def browse(host: str, path: str, agent: str, more: Mapping[str, str] | None = None) -> bytes:
    """Request a page as the drill's people do."""
    return request(
        "GET", path, host=host, headers={"User-Agent": agent, "Accept-Language": "en", **(more or {})}
    )


def fetch(host: str, path: str, agent: str, more: Mapping[str, str] | None = None) -> bytes:
    """Request any path as a script does."""
    return request("GET", path, host=host, headers={"User-Agent": agent, "Accept": "*/*", **(more or {})})


def call(host: str, path: str, agent: str, token: str = "", more: Mapping[str, str] | None = None) -> bytes:
    """Call an API method as the apps of the drill's people do."""
    credential = {"Authorization": f"Bearer {token}"} if token else {}
    return request("GET", path, host=host, headers={**credential, "User-Agent": agent, **(more or {})})


def submit(
    host: str, path: str, agent: str, fields: Mapping[str, str], more: Mapping[str, str] | None = None
) -> bytes:
    """POST a form."""
    headers = {
        "User-Agent": agent,
        "Content-Type": "application/x-www-form-urlencoded",
        **(more or {}),
    }
    return request("POST", path, host=host, headers=headers, body=form(fields))


def app_agent(app: str) -> str:
    """Return the User-Agent of an application of this name, the same as the drill's people send."""
    return f"{app}/1.0"
