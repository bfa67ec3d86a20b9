"""Every refusal of the edge itself: of broken, late or too large input, and of clients over a limit of the edge."""

from __future__ import annotations

from stormpetrel.shield.answer import Refused

RETRY_S = 2
"""Retry-After where the same request may be accepted later."""

UNREADABLE = Refused(400, "edge/malformed", "The request could not be read")
CHUNKS_TOO_SMALL = Refused(400, "edge/malformed", "The chunks of the request are too small")
CONNECT = Refused(405, "edge/connect", "This server is not a proxy")
HEAD_TOO_LATE = Refused(408, "edge/header-deadline", "The request took too long", RETRY_S)
BODY_TOO_LATE = Refused(408, "edge/body-deadline", "The request took too long", RETRY_S)
BODY_TOO_LARGE = Refused(413, "edge/body-too-large", "The request is too large")
URL_TOO_LONG = Refused(414, "edge/url-too-long", "The URL is too long")
TOO_MANY_AT_ONCE = Refused(429, "edge/at-once", "Too many requests at once", RETRY_S)
TOO_MANY_CONNECTIONS = Refused(429, "edge/connections", "Too many requests at once", RETRY_S)
HEAD_TOO_LARGE = Refused(431, "edge/head-too-large", "The request headers are too large")
TOO_MANY_HEADERS = Refused(431, "edge/head-too-large", "The request has too many headers")
FAILED = Refused(500, "edge/failed", "Something went wrong on the server; the error has been logged")
UNKNOWN_CODING = Refused(501, "edge/malformed", "The only supported transfer coding is chunked")
INPUT_MEMORY = Refused(503, "edge/input-memory", "The server is busy; nothing was stored", RETRY_S)
UNKNOWN_VERSION = Refused(505, "edge/version", "This server supports only HTTP/1.1")


def malformed(safe_text: str) -> Refused:
    """Return the refusal of a request that breaks a rule of HTTP, with the rule as its text."""
    return Refused(400, "edge/malformed", safe_text)
