"""Calls a webhook: one POST to an address that was checked, with every time and size bounded.

A stranger chose the URL. So its name is resolved here, all its addresses must be public, the connection goes to one
of these, certificates are checked for the name, and redirects are not followed. Errors never have the URL in
them: it may hold a secret.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httptools

from stormpetrel.courier.name_resolver import NameResolver, NameUnresolved, NoPlaceToResolve
from stormpetrel.errors import StormpetrelError
from stormpetrel.model.public_address import is_public
from stormpetrel.model.status_subscription import WebhookTarget

CALL_S = 10.0
"""Limit for connection, TLS, request and answer. Resolving the name has its own (RESOLVE_S)."""
MAX_ANSWER_BYTES = 65_536
MAX_ADDRESSES = 4
_READ_BYTES = 16_384


class CallFailed(StormpetrelError):
    """A webhook gave no answer, or must not be called."""


class CallPostponed(StormpetrelError):
    """A webhook was not called, by no fault of its own: calls of other hosts took the places."""


@dataclass(slots=True)
class CallAnswer:
    """The answer of a webhook."""

    status: int = 0
    body: bytearray = field(default_factory=bytearray)

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class _AnswerReader:
    """The callbacks of the parser."""

    def __init__(self) -> None:
        self.answer = CallAnswer()
        self.is_complete = False

    def on_body(self, body: bytes) -> None:
        self.answer.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True


async def call(
    target: WebhookTarget,
    *,
    body: bytes,
    headers: Mapping[str, str],
    tls: ssl.SSLContext,
    names: NameResolver,
    allows_private: bool,
) -> CallAnswer:
    """POST `body` and return the answer, whatever its status. Raise CallFailed or CallPostponed with the reason."""
    # The wait for a place among other look-ups takes nothing from the host's time to answer.
    addresses = await _addresses(target, names, allows_private=allows_private)
    try:
        async with asyncio.timeout(CALL_S):
            reader, writer = await _connect(target, addresses, tls)
            try:
                writer.write(_request(target, headers, body))
                return await _answer(reader)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise CallFailed("no answer in time") from None
    except ssl.SSLError:
        raise CallFailed("the certificate was not accepted, or TLS failed") from None
    except httptools.HttpParserError:
        raise CallFailed("the answer is not HTTP") from None
    except OSError:
        raise CallFailed("the connection broke") from None


async def _addresses(target: WebhookTarget, names: NameResolver, *, allows_private: bool) -> list[str]:
    try:
        addresses = await names.addresses(target.host)
    except NameUnresolved as error:
        raise CallFailed(str(error)) from None
    except NoPlaceToResolve as error:
        raise CallPostponed(str(error)) from None
    # One private address is enough to refuse: the name would lead there at another time.
    if not addresses or not (allows_private or all(map(is_public, addresses))):
        raise CallFailed("the host has an address that is not public")
    return addresses[:MAX_ADDRESSES]


async def _connect(
    target: WebhookTarget, addresses: Sequence[str], tls: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    is_https = target.scheme == "https"
    for address in addresses:
        try:
            return await asyncio.open_connection(
                address,
                target.port,
                ssl=tls if is_https else None,
                server_hostname=target.host if is_https else None,
            )
        except ssl.SSLError:
            raise
        except OSError:
            continue
    raise CallFailed("no connection")


def _request(target: WebhookTarget, headers: Mapping[str, str], body: bytes) -> bytes:
    host = f"[{target.host}]" if ":" in target.host else target.host
    if target.port != (443 if target.scheme == "https" else 80):
        host += f":{target.port}"
    lines = [f"POST {target.path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


async def _answer(reader: asyncio.StreamReader) -> CallAnswer:
    parts = _AnswerReader()
    parser = httptools.HttpResponseParser(parts)
    count = 0
    while not parts.is_complete:
        data = await reader.read(_READ_BYTES)
        if not data:
            # Without a length the body ends with the connection.
            break
        count += len(data)
        if count > MAX_ANSWER_BYTES:
            raise CallFailed("the answer is too large")
        parser.feed_data(data)
    parts.answer.status = parser.get_status_code() if count else 0
    if not parts.answer.status:
        raise CallFailed("no answer")
    return parts.answer
