"""A relay on loopback in front of PostgreSQL that can cut a connection at its COMMIT."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Wire:
    """A relay on loopback in front of PostgreSQL. `cut` sets the fate of the next COMMIT, once.

    "answer": the server gets it, but its answer is lost. "request": the server never gets it. "silence": the same,
    and the server does not notice that its client is gone. `is_open` is True while the relay accepts new connections.
    """

    def __init__(self, host: str, port: int) -> None:
        self.cut = ""
        self.is_open = True
        self._to = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self.is_open:
                client.close()
                continue
            server = socket.create_connection(self._to)
            pairs = ((client, server), (server, client))
            for source, target in pairs:
                thread = threading.Thread(
                    target=self._relay, args=(source, target, source is client), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _relay(self, source: socket.socket, target: socket.socket, from_client: bool) -> None:
        try:
            while data := source.recv(65_536):
                if from_client and self.cut and b"COMMIT" in data:
                    cut, self.cut = self.cut, ""
                    if cut == "answer":
                        # The server commits, but the client gets no answer.
                        source.shutdown(socket.SHUT_RDWR)
                        target.sendall(data)
                        self._wait_for_commit(target)
                    elif cut == "silence":
                        source.shutdown(socket.SHUT_RDWR)
                        while target.recv(65_536):
                            pass
                    break
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    @staticmethod
    def _wait_for_commit(server: socket.socket) -> None:
        # The other direction's thread reads the answer and finds no client. The end of the stream shows that
        # it is done.
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)
            while server.recv(65_536):
                pass


@contextmanager
def relayed(url: str) -> Iterator[tuple[Wire, str]]:
    """Yield a relay in front of the database at `url`, and the URL of the database behind it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    wire = Wire(parts.hostname, parts.port)
    credentials = parts.netloc.rpartition("@")[0]
    try:
        yield wire, urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{wire.port}"))
    finally:
        wire.close()
