"""The visit of each message on a connection: its credentials, looked up in memory."""

from __future__ import annotations

from stormpetrel.edge.message import RequestMessage
from stormpetrel.edge.senders import Sender
from stormpetrel.shield.identify import (
    Credentials,
    TokenTable,
    Visit,
    credentials_of,
    identify,
    may_have_token,
)

LAST_BYTES = 1024
"""A connection remembers the credential headers of its last request up to this size."""


class VisitReader:
    """Identifies the messages of one connection. It remembers the headers of the last credentials: apps repeat them
    in each request.
    """

    __slots__ = ("_last_authorization", "_last_cookie", "_last_credentials", "_secret", "_tokens")

    def __init__(self, *, tokens: TokenTable, secret: bytes) -> None:
        self._tokens = tokens
        self._secret = secret
        self._last_authorization: bytes | None = None
        self._last_cookie: bytes | None = None
        self._last_credentials: Credentials | None = None

    def visit_of(
        self, message: RequestMessage, sender: Sender, at_s: float, *, is_same_for_all: bool
    ) -> Visit:
        """Return the visit; `sender.anonymous_visit` itself if the message has no credentials, even invalid ones.

        `is_same_for_all`: the path of a static file.
        """
        facts = message.facts
        has_query = may_have_token(message.query)
        if not (has_query or b"authorization" in facts or b"cookie" in facts or b"upgrade" in facts):
            return sender.anonymous_visit
        authorization = facts.get(b"authorization")
        if authorization is None and b"upgrade" in facts and b"access_token=" not in message.query:
            # A browser's WebSocket can send a token only here: it cannot set other headers.
            offered = facts.get(b"sec-websocket-protocol", b"").partition(b",")[0].strip()
            authorization = b"Bearer " + offered if offered else None
        if authorization is None and is_same_for_all:
            # Browsers send their session for static files too, but all clients get the same bytes from memory.
            return sender.anonymous_visit
        cookie = facts.get(b"cookie")
        if has_query:
            credentials = credentials_of(authorization, cookie, message.query)
        else:
            credentials = self._credentials(authorization, cookie)
        if credentials is None:
            return sender.anonymous_visit
        return identify(
            credentials,
            stranger=sender.stranger,
            address=sender.address,
            tokens=self._tokens,
            secret=self._secret,
            at_s=at_s,
        )

    def _credentials(self, authorization: bytes | None, cookie: bytes | None) -> Credentials | None:
        """Return the credentials in two headers; the previous ones if the connection repeats them."""
        if authorization != self._last_authorization or cookie != self._last_cookie:
            found = credentials_of(authorization, cookie, b"")
            if len(authorization or b"") + len(cookie or b"") > LAST_BYTES:
                return found
            self._last_authorization, self._last_cookie, self._last_credentials = authorization, cookie, found
        return self._last_credentials
