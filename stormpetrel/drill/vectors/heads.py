"""What attackers' requests look like: browsers, apps, tools. Nothing in them tells the server who they are."""

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
"""The first is what the drill's people use: who sorts browsers out hits them too."""
TOOLS = ("python-requests/2.32.5", "curl/8.16.0", "Go-http-client/1.1", "okhttp/4.12.0", BROWSERS[0])


def browse(host: str, path: str, agent: str, more: Mapping[str, str] | None = None) -> bytes:
    """A page as the drill's people ask for it."""
    return request(
        "GET", path, host=host, headers={"User-Agent": agent, "Accept-Language": "en", **(more or {})}
    )


def fetch(host: str, path: str, agent: str, more: Mapping[str, str] | None = None) -> bytes:
    """Anything, as a script asks for it."""
    return request("GET", path, host=host, headers={"User-Agent": agent, "Accept": "*/*", **(more or {})})


def call(host: str, path: str, agent: str, token: str = "", more: Mapping[str, str] | None = None) -> bytes:
    """An API method as the drill's people's applications call it."""
    credential = {"Authorization": f"Bearer {token}"} if token else {}
    return request("GET", path, host=host, headers={**credential, "User-Agent": agent, **(more or {})})


def submit(
    host: str, path: str, agent: str, fields: Mapping[str, str], more: Mapping[str, str] | None = None
) -> bytes:
    """A form's POST."""
    headers = {
        "User-Agent": agent,
        "Content-Type": "application/x-www-form-urlencoded",
        **(more or {}),
    }
    return request("POST", path, host=host, headers=headers, body=form(fields))


def app_agent(app: str) -> str:
    """The User-Agent that an application of this name sends, the drill's people's too."""
    return f"{app}/1.0"
