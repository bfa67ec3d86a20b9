"""A client for tests that send thousands of requests: a quarter of the CPU time of httpx, on one connection."""

from __future__ import annotations

import http.client
import json as json_
import select
from email.message import Message
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT_S = 20.0
JSON_TYPE = {"Content-Type": "application/json"}


class PlainAnswer:
    """An answer, with the names that httpx.Response has. The names of `headers` are in any case."""

    def __init__(self, status_code: int, headers: Message, content: bytes) -> None:
        self.status_code = status_code
        self.headers = headers
        self.content = content

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body's JSON."""
        return json_.loads(self.content)


class PlainClient:
    """Sends requests with these headers. It follows no redirect, and keeps no cookie."""

    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        address = urlsplit(base_url)
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=TIMEOUT_S)
        self._headers = headers

    def request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> PlainAnswer:
        """Send a request and return its answer. `json`: a value to send instead of `content`, unless it is None."""
        sent = self._headers | (headers or {})
        if json is not None:
            sent, content = sent | JSON_TYPE, json_.dumps(json).encode()
        if params:
            path = f"{path}{'&' if '?' in path else '?'}{urlencode(params)}"
        connection = self._connection
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            # The server has closed it.
            connection.close()
        try:
            connection.request(method, path, body=content, headers=sent)
            answer = connection.getresponse()
            return PlainAnswer(answer.status, answer.headers, answer.read())
        except BaseException:
            connection.close()
            raise

    def get(self, path: str, *, params: dict[str, str] | None = None) -> PlainAnswer:
        """Send a GET."""
        return self.request("GET", path, params=params)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
