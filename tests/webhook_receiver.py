"""A receiver of webhooks on loopback: it answers challenges, checks signatures as docs/status.md shows, and fails."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class WebhookReceiver:
    """The calls, in order, as (headers in lower case, body). `status`: of the answers to updates.

    `answers`: the body of the answer to a challenge.
    """

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.answers: Callable[[str], bytes] = str.encode

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of a type, oldest first."""
        return [message for _, body in list(self.calls) if (message := json.loads(body))["type"] == kind]


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """Run a receiver on a free port of loopback."""
    receiver = WebhookReceiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
            message = json.loads(body)
            is_challenge = message["type"] == "challenge"
            said = receiver.answers(message["challenge"]) if is_challenge else b""
            self.send_response(200 if is_challenge else receiver.status)
            self.send_header("Content-Length", str(len(said)))
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *what: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/in?key=1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join(10)
