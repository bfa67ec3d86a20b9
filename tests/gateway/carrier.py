"""A carrier's SMSC in a process of its own, by npm smpp (tests/node/carrier.mjs), driven from a test.

    with running_carrier(port=port) as carrier:
        carrier.deliver(message("15551234567", "40404", "hello"))
        carrier.wait_for("acknowledged", 1)

Its settings, with their defaults, are at the top of carrier.mjs.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from tests.parts import NODE, require
from tests.waiting import eventually

PASSWORD = "correct-horse"
Event = dict[str, Any]
_ids = itertools.count(1)


def message(source: str, destination: str, text: str = "", **pdu: Any) -> Event:
    """Return a message for `Carrier.deliver`, in UCS-2 unless `pdu` has the octets. Its `id` is its own."""
    if "short_message" not in pdu and "message_payload" not in pdu:
        pdu |= {"short_message": {"hex": text.encode("utf-16-be").hex()}, "data_coding": 8}
    return {
        "id": next(_ids),
        "pdu": {"source_addr": source, "destination_addr": destination, "source_addr_ton": 1} | pdu,
    }


class Carrier:
    """A running carrier. `events` has all its events, in order; a thread of its own reads them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.events: list[Event] = []
        self._process = process
        self._commands = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def deliver(self, *messages: Event) -> None:
        """Send messages from phones, now or as soon as a receiver is bound."""
        self._command("deliver", messages=messages)

    def set(self, **settings: Any) -> None:
        self._command("set", settings=settings)

    def hang(self) -> None:
        """Read on the links of now, and never answer. New links work."""
        self._command("hang")

    def freeze(self) -> None:
        """Neither read nor answer on the links of now, as if the network lost everything. New links work."""
        self._command("freeze")

    def drop(self) -> None:
        """Cut all connections."""
        self._command("drop")

    def enquire(self) -> None:
        """Send an enquire_link on each link; the event of its answer is "alive"."""
        self._command("enquire")

    def unbind(self) -> None:
        self._command("unbind")

    def send_octets(self, octets: bytes) -> None:
        """Write the octets to each link."""
        self._command("raw", hex=octets.hex())

    def all(self, event: str) -> list[Event]:
        """Return the events of a name until now: those that the carrier has written are read first."""
        if self._process.poll() is None:
            self._command("nothing")
        return self._found(event)

    def wait_for(self, event: str, count: int = 1, within_s: float = 30.0) -> list[Event]:
        """Return the events of a name as soon as there are `count`."""
        return eventually(lambda: self._found(event), lambda found: len(found) >= count, within_s)

    def acknowledged(self) -> list[Any]:
        """Return the ids of messages, with those of receipts, whose acknowledgement the carrier has read."""
        return [event["id"] for event in self._found("acknowledged") if event["status"] == 0]

    def join(self) -> None:
        """Wait until all events of the ended process are read."""
        self._reader.join()

    def _command(self, name: str, **facts: Any) -> None:
        """Give a command, and return when it is carried out."""
        self._commands += 1
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": name} | facts) + "\n")
        self._process.stdin.flush()
        self.wait_for("done", self._commands)

    def _found(self, event: str) -> list[Event]:
        return [found for found in list(self.events) if found["event"] == event]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.append(json.loads(line))


@contextlib.contextmanager
def running_carrier(*, port: int, password: str = PASSWORD, **settings: Any) -> Iterator[Carrier]:
    """Yield a carrier that listens on the port of 127.0.0.1; skip the test if Node.js is missing."""
    require("node")
    process = subprocess.Popen(
        ["node", "carrier.mjs", json.dumps({"port": port, "password": password} | settings)],
        cwd=NODE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    carrier = Carrier(process)
    try:
        carrier.wait_for("listening")
        yield carrier
    finally:
        process.kill()
        process.wait()
        carrier.join()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
