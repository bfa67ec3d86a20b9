"""What attackers' requests look like: browsers, apps, tools. Nothing in them tells the server who they are."""

from __future__ import annotations

from collections.abc import Mapping

from stormpetrel.drill.wire import form, request

BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Safari/605.1.15",
)
TOOLS = ("python-requests/2.32.5", "curl/8.16.0", "Go-http-client/1.1", "okhttp/4.12.0", BROWSERS[0])
_PAGE_HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.8",
    "Accept-Encoding": "gzip, deflate, br",
}


def browse(host: str, path: str, agent: str, more: Mapping[str, str] | None = None) -> bytes:
    """A page as a browser asks for it."""
    return request("GET", path, host=host, headers={"User-Agent": agent, **_PAGE_HEADERS, **(more or {})})


def fetch(host: str, path: str, agent: str, more: Mapping[str, str] | None = None) -> bytes:
    """Anything, as a script asks for it."""
    return request("GET", path, host=host, headers={"User-Agent": agent, "Accept": "*/*", **(more or {})})


def call(host: str, path: str, agent: str, token: str = "", more: Mapping[str, str] | None = None) -> bytes:
    """An API method as an application calls it."""
    headers = {"User-Agent": agent, "Accept": "application/json", "Accept-Encoding": "gzip"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return request("GET", path, host=host, headers={**headers, **(more or {})})


def submit(
    host: str, path: str, agent: str, fields: Mapping[str, str], more: Mapping[str, str] | None = None
) -> bytes:
    """A form's POST."""
    headers = {
        "User-Agent": agent,
        "Accept": "*/*",
        "Content-Type": "application/x-www-form-urlencoded",
        **(more or {}),
    }
    return request("POST", path, host=host, headers=headers, body=form(fields))


def app_agent(app: str) -> str:
    """The User-Agent that an application of this name sends."""
    return f"{app}/3.4 (Android 15)"
