"""Requests to the API of a provider: a few threads for each route, with every time and size bounded.

Certificates are checked, redirects are not followed, and no proxy of the environment is used. An error text never has
a URL, a header or a body in it: all of them carry secrets with one provider or another.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3 import exceptions

from stormpetrel.gateway.provider import LinkState, Rejected, SendResult, SubmitFailed, Throttled
from stormpetrel.own_thread import in_own_thread

CONNECT_S = 5.0
ANSWER_S = 10.0
DEADLINE_MARGIN_S = 1.0
MAX_ANSWER_BYTES = 65_536
THREADS = 8
MOST_RETRY_AFTER_S = 300.0
DOWN_S = 5.0
"""A provider that did not answer counts as down for this long; then the next message tries again."""
REFUSED_PAUSE_S = 30.0
"""Wrong credentials, no credit or a wrong URL: an operator has to act, and the messages wait."""

# Debug messages of the library have whole URLs in them.
logging.getLogger("urllib3").setLevel(logging.WARNING)


class ProviderUnreachable(Exception):
    """The provider did not answer in time, or not in HTTP. The request may have had an effect."""


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """A response of the API. Names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """Return the object in the body; an empty one if it is something else."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def retry_after_s(self) -> float | None:
        """Return the seconds in Retry-After; None if it has none, or a date."""
        value = self.headers.get("retry-after", "").strip()
        return min(float(value), MOST_RETRY_AFTER_S) if value.isascii() and value.isdigit() else None


class ProviderClient:
    """Sends at most `threads` requests of a route at once."""

    def __init__(
        self, *, threads: int = THREADS, connect_s: float = CONNECT_S, answer_s: float = ANSWER_S
    ) -> None:
        self._connect_s = connect_s
        self._answer_s = answer_s
        self._slots = asyncio.Semaphore(threads)
        self._idle_state = LinkState.CONNECTING
        self._down_until_s = 0.0
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=threads,
            retries=False,
            cert_reqs="CERT_REQUIRED",
            timeout=urllib3.Timeout(connect=connect_s, read=answer_s),
        )

    @property
    def state(self) -> LinkState:
        """Return UP between `open` and `close`, and DOWN for a while after a request without an answer."""
        return LinkState.DOWN if time.monotonic() < self._down_until_s else self._idle_state

    def open(self) -> None:
        """Say that messages may be sent; connections are made when they are needed."""
        self._idle_state = LinkState.UP

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> ProviderResponse:
        """Return the response, whatever its status. Raise ProviderUnreachable."""
        await self._slots.acquire()
        try:
            # A thread ends with the process: a provider that hangs must not delay the end of the role.
            done = in_own_thread(lambda: self._in_thread(method, url, headers or {}, body))
        except RuntimeError:
            self._slots.release()
            raise ProviderUnreachable("the machine allows no more threads") from None
        done.add_done_callback(lambda _: self._slots.release())
        try:
            # The thread looks at its deadline between reads of the body. A head can come byte by byte for longer.
            async with asyncio.timeout(self._connect_s + self._answer_s + DEADLINE_MARGIN_S):
                response = await asyncio.shield(done)
        except (ProviderUnreachable, TimeoutError) as error:
            self._down_until_s = time.monotonic() + DOWN_S
            if isinstance(error, TimeoutError):
                raise ProviderUnreachable("no answer in time") from None
            raise
        self._down_until_s = 0.0
        return response

    def close(self) -> None:
        """Close the connections that are idle."""
        self._idle_state = LinkState.DOWN
        self._pool.clear()

    def _in_thread(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> ProviderResponse:
        deadline_s = time.monotonic() + self._connect_s + self._answer_s
        try:
            response = self._pool.request(
                method, url, headers=headers, body=body, redirect=False, preload_content=False
            )
        except (exceptions.HTTPError, OSError, ValueError) as error:
            raise ProviderUnreachable(_reason(error)) from None
        try:
            content = bytearray()
            # read1 returns what has come, so that a provider that sends byte by byte meets the deadline.
            while piece := response.read1(MAX_ANSWER_BYTES, decode_content=False):
                content += piece
                if len(content) > MAX_ANSWER_BYTES:
                    raise ProviderUnreachable("the answer is too large")
                if time.monotonic() > deadline_s:
                    raise ProviderUnreachable("the answer took too long")
            response.release_conn()
        except (exceptions.HTTPError, OSError, ValueError) as error:
            response.close()
            raise ProviderUnreachable(_reason(error)) from None
        except ProviderUnreachable:
            response.close()
            raise
        return ProviderResponse(
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            bytes(content),
        )


def _reason(error: Exception) -> str:
    """Return why there was no answer, without the URL that the texts of the library repeat."""
    reasons: tuple[tuple[type[Exception], str], ...] = (
        (exceptions.SSLError, "the certificate was not accepted, or TLS failed"),
        (exceptions.NameResolutionError, "the host's name could not be resolved"),
        (exceptions.NewConnectionError, "no connection"),
        (exceptions.ConnectTimeoutError, "no connection in time"),
        (exceptions.ReadTimeoutError, "no answer in time"),
        (exceptions.ProtocolError, "the connection broke"),
    )
    return next((text for kind, text in reasons if isinstance(error, kind)), type(error).__name__)


def failed_send(response: ProviderResponse, reason: str) -> SendResult:
    """Return the result of a submission that was answered with an error, by its status.

    `reason`: the provider's code, or what else names the error without a secret.
    """
    status = response.status
    text = f"{status} {reason}".strip()
    if status == 429:
        return Throttled(response.retry_after_s or 1.0)
    if status < 400 or status in (401, 402, 403, 404, 405, 407):
        return SubmitFailed(text, REFUSED_PAUSE_S)
    if status >= 500 or status in (408, 425):
        return SubmitFailed(text, response.retry_after_s or 5.0)
    return Rejected(text)
