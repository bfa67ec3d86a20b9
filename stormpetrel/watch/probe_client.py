"""One request to the public port, on its own connection: returns the whole answer or raises the reason."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from dataclasses import dataclass

MAX_ANSWER_BYTES = 1024 * 1024
MAX_HEAD_BYTES = 32 * 1024
_NUMBER = re.compile(r"[0-9]{1,12}")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r\n")


class NoAnswer(Exception):
    """There was no readable answer; the text says what happened instead."""


@dataclass(frozen=True, slots=True)
class ProbeResponse:
    """`headers`: lower-case names with their values, in order. `body`: the bytes as received."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class ProbeClient:
    """The address of the public port. `host_header`: the instance's public name.

    `begin`: the first bytes of a connection, if the port expects a PROXY protocol header from here. `tls`: for https.
    """

    host: str
    port: int
    host_header: str
    begin: bytes = b""
    tls: ssl.SSLContext | None = None

    async def ask(
        self,
        method: str,
        target: str,
        *,
        headers: dict[str, str],
        body: bytes = b"",
        first_of_stream: bytes | None = None,
    ) -> ProbeResponse:
        """Return the answer. `first_of_stream`: return as soon as a streamed answer contains these bytes.

        Raise NoAnswer. The bytes are bounded here; the caller must bound the time.
        """
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host_header}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        if first_of_stream is None:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        writer: asyncio.StreamWriter | None = None
        try:
            reader, writer = await asyncio.open_connection(
                self.host, self.port, limit=MAX_HEAD_BYTES, ssl=self.tls
            )
            writer.write(self.begin + head + body)
            status, answered = _parsed_head(await reader.readuntil(b"\r\n\r\n"))
            if first_of_stream is not None and status == 200:
                await reader.readuntil(first_of_stream)
                return ProbeResponse(status, answered, first_of_stream)
            return ProbeResponse(status, answered, await _rest(reader, answered))
        except asyncio.IncompleteReadError as error:
            raise NoAnswer("the connection was closed before the response was complete") from error
        except asyncio.LimitOverrunError as error:
            raise NoAnswer("the response is too large") from error
        except ssl.SSLCertVerificationError as error:
            raise NoAnswer(f"the certificate is not valid: {error.verify_message}") from error
        except OSError as error:
            raise NoAnswer(error.strerror or "no connection") from error
        finally:
            if writer is not None:
                writer.close()
                # Wait only until the connection is closed; how it closed does not matter.
                with contextlib.suppress(OSError):
                    await writer.wait_closed()


def _parsed_head(head: bytes) -> tuple[int, tuple[tuple[str, str], ...]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not _NUMBER.fullmatch(words[1]):
        raise NoAnswer("the response is not HTTP")
    pairs = [line.partition(":")[::2] for line in lines if line]
    return int(words[1]), tuple((name.strip().lower(), value.strip()) for name, value in pairs)


async def _rest(reader: asyncio.StreamReader, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Return the body: of a known length, or until the connection ends."""
    known = dict(headers)
    if "content-length" in known:
        known_length = _NUMBER.fullmatch(known["content-length"])
        length = int(known_length[0]) if known_length else MAX_ANSWER_BYTES + 1
        if length > MAX_ANSWER_BYTES:
            raise NoAnswer("the response is too large")
        return await reader.readexactly(length)
    body = bytearray()
    while part := await reader.read(65_536):
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise NoAnswer("the response is too large")
    return _joined(bytes(body)) if "chunked" in known.get("transfer-encoding", "") else bytes(body)


def _joined(body: bytes) -> bytes:
    """Return the content of a chunked body (RFC 9112, 7.1): proxies send them."""
    parts: list[bytes] = []
    # By place: cutting the rest off at each of many small chunks would take quadratic time.
    begin = 0
    while found := _CHUNK_SIZE.match(body, begin):
        size = int(found[1], 16)
        if not size:
            return b"".join(parts)
        begin = found.end() + size + 2
        if begin > len(body):
            break
        parts.append(body[found.end() : begin - 2])
    raise NoAnswer("the connection was closed before the response was complete")
