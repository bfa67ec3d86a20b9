"""A small HTTP server in the place of a provider's API: it records requests, and answers as the test says."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl


class ApiRequest(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode("ascii"), keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ApiServer:
    """`answer(request)` returns status, headers and body (bytes, or a value for JSON)."""

    def __init__(self, answer: Callable[[ApiRequest], tuple[int, dict[str, str], Any]]) -> None:
        self.answer = answer
        self.requests: list[ApiRequest] = []
        self.url = ""


def fixed(status: int, body: Any = b"", **headers: str) -> Callable[[ApiRequest], tuple[int, dict, Any]]:
    """Return an `answer` that is always the same. Names of headers have "_" for "-"."""
    return lambda request: (
        status,
        {name.replace("_", "-"): value for name, value in headers.items()},
        body,
    )


@contextlib.contextmanager
def api_server(
    answer: Callable[[ApiRequest], tuple[int, dict[str, str], Any]], *, tls: ssl.SSLContext | None = None
) -> Iterator[ApiServer]:
    api = ApiServer(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = ApiRequest(
                self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body
            )
            api.requests.append(request)
            status, headers, content = api.answer(request)
            if not isinstance(content, bytes):
                content = json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, *arguments: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *arguments: Any) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    api.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
