"""S3 for tests: s3rver on loopback, and stand-ins that never answer or answer only with errors."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tests.parts import NODE, require
from tests.ports import reserved_ports

START_TIMEOUT_S = 30.0


@contextmanager
def s3_server(directory: Path, *, port: int = 0) -> Iterator[str]:
    """Run s3rver with the bucket `pictures`, at a port reserved by the caller or a free one. Yield its
    address.
    """
    require("node")
    with nullcontext([port]) if port else reserved_ports(1) as (port,):
        process = subprocess.Popen(
            [
                *("node", str(NODE / "node_modules/s3rver/bin/s3rver.js")),
                *("-d", str(directory), "-a", "127.0.0.1", "-p", str(port), "--silent"),
                *("--configure-bucket", "pictures"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "NODE_NO_WARNINGS": "1"},
        )
        try:
            deadline_s = time.monotonic() + START_TIMEOUT_S
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None, "s3rver ended"
                    assert time.monotonic() < deadline_s, "s3rver is silent"
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


@contextmanager
def silent_server(answer: bytes = b"", *, port: int = 0) -> Iterator[str]:
    """Accept connections and never answer, or always with `answer`. At a reserved port, or at a free one."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                held.append(peer)
                if answer:
                    peer.recv(65_536)
                    peer.sendall(answer)
                    peer.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for peer in held:
            peer.close()
