"""A mail server that stores what it accepts, offers PIPELINING, and refuses or hangs up as a test wants."""

from __future__ import annotations

import email
import email.policy
import re
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.waiting import eventually

Verdict = Callable[[str], bytes]
"""Returns the answer to RCPT for an address."""


def accept(address: str) -> bytes:
    return b"250 fine"


class MailSink:
    """The accepted mails, in order. `verdict`: the answer to each recipient. `most`: mails on one connection.

    `wait_s`: before each acceptance. `is_pipelining`: whether it offers that.
    """

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[tuple[str, bytes]] = []
        self.connections = 0
        self.verdict: Verdict = accept
        self.most = 1_000_000
        self.wait_s = 0.0
        self.is_pipelining = True
        self.lock = threading.Lock()

    def to(self, address: str) -> list[email.message.EmailMessage]:
        """Return the mails to an address, oldest first."""
        with self.lock:
            found = [data for recipient, data in self.mails if recipient == address]
        return [email.message_from_bytes(data, policy=email.policy.default) for data in found]

    def next_to(self, address: str, count: int = 1) -> email.message.EmailMessage:
        """Return the newest mail to an address, as soon as there are `count`."""
        return eventually(lambda: self.to(address), lambda found: len(found) >= count)[-1]


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        sink: MailSink = self.server.sink
        with sink.lock:
            sink.connections += 1
        self.wfile.write(b"220 sink\r\n")
        recipient, accepted = "", 0
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"EHLO":
                self.wfile.write(b"250-sink\r\n250 PIPELINING\r\n" if sink.is_pipelining else b"250 sink\r\n")
            elif word == b"MAIL" and accepted >= sink.most:
                self.wfile.write(b"421 too many mails\r\n")
                return
            elif word == b"RCPT":
                address = re.findall(rb"<(.*)>", line)[0].decode()
                answer = sink.verdict(address)
                recipient = address if answer.startswith(b"250") else ""
                self.wfile.write(answer + b"\r\n")
            elif word == b"DATA" and not recipient:
                self.wfile.write(b"503 no recipient\r\n")
            elif word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (one := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(one.removeprefix(b"."))
                time.sleep(sink.wait_s)
                with sink.lock:
                    sink.mails.append((recipient, b"".join(lines)))
                accepted, recipient = accepted + 1, ""
                self.wfile.write(b"250 accepted\r\n")
            elif word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 fine\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up."""


@contextmanager
def mail_sink() -> Iterator[MailSink]:
    """Run a mail server on a free port of loopback."""
    sink = MailSink()
    with _Server(("127.0.0.1", 0), _Conversation) as server:
        server.sink = sink
        sink.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join(10)


def mail_settings(sink: MailSink) -> dict[str, object]:
    """Return the settings of an instance that sends its mails to the sink."""
    return {
        "mail_transport": "smtp",
        "mail_host": "127.0.0.1",
        "mail_port": sink.port,
        "mail_security": "none",
        "mail_confirm": "off",
    }
