"""Texts per second by one route of SMPP: stored and acknowledged, posted, and accepted by the carrier.

    python bench/sms_gateway.py [--texts 10000] [--rounds 3] [--quick] [--json]

`serve` with one web worker, 100 members with phones, a carrier by npm smpp (tests/node, after `make test`) with a
window of 50 and of 500. In: the carrier delivers all texts as fast as they are acknowledged, each after its commit;
`posted` counts until the last text is a post. Out: all texts are queued, then the route is resumed; with receipts
of all. Targets: 1,000 a second each way.

Beside them in the same run: commits a second of a program that appends 4 KB and calls fdatasync, which bounds a
gateway that commits each message on its own; and Kannel's bearerbox with its smsbox, which store messages of the
same carrier in files, without fsync, and pass them to a web server that does nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import peers

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.gateway.carrier import Carrier, message, running_carrier
from tests.gateway.texting_carrier import CarrierPlace, carrier_place

MEMBERS = 100
WINDOWS = (50, 500)
GIVE_UP_S = 300.0
KANNEL = """
group = core
admin-port = {admin}
smsbox-port = {boxes}
admin-password = bar
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"
store-type = spool
store-location = {directory}/spool
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = one
host = 127.0.0.1
port = {carrier}
transceiver-mode = true
smsc-username = storm
smsc-password = petrel
system-type = ""
max-pending-submits = 50

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {sendsms}
global-sender = 40404

group = sendsms-user
username = storm
password = petrel

group = sms-service
keyword = default
catch-all = yes
max-messages = 0
get-url = "http://127.0.0.1:{web}/?from=%p&text=%a&id=%I"
"""


def fsyncs_per_s(directory: Path, seconds: float = 2.0) -> float:
    """Return how often 4 KB can be appended to a file of the directory and made durable in a second."""
    count = 0
    with open(directory / "fsyncs", "wb", buffering=0) as file:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            file.write(b"\0" * 4096)
            os.fdatasync(file.fileno())
            count += 1
    return count / seconds


def wait_for(carrier: Carrier, event: str, count: int, begin: int) -> float:
    """Return the time at which the carrier has written `count` events of the name, from event `begin` on."""
    end_s = time.monotonic() + GIVE_UP_S
    seen, at = 0, begin
    while seen < count:
        if time.monotonic() > end_s:
            raise RuntimeError(f"{seen} of {count} {event}")
        time.sleep(0.002)
        while at < len(carrier.events):
            found = carrier.events[at]
            seen += found["event"] == event and not str(found.get("id", "")).startswith("receipt-")
            at += 1
    return time.monotonic()


def incoming(place: CarrierPlace, texts: int, window: int) -> tuple[float, float]:
    """Return how many texts are acknowledged, and how many are posted, in a second."""
    place.carrier.set(window=window)
    begin = len(place.carrier.events)
    made = [place.members[number % MEMBERS].text(f"in {window} {number}") for number in range(texts)]
    began_s = time.monotonic()
    threading.Thread(target=place.carrier.deliver, args=made).start()
    acknowledged_s = wait_for(place.carrier, "acknowledged", texts, begin)
    while place.status()["inbox"]["waiting"]:
        time.sleep(0.02)
    return texts / (acknowledged_s - began_s), texts / (time.monotonic() - began_s)


def outgoing(place: CarrierPlace, texts: int) -> float:
    """Return how many texts the carrier accepts in a second."""
    place.instance.run_cli("sms", "pause", "one")
    time.sleep(1)
    place.send([(f"+1555{7_000_000 + number % 1000:07}", f"out {number}") for number in range(texts)])
    begin = len(place.carrier.events)
    place.instance.run_cli("sms", "resume", "one")
    began_s = wait_for(place.carrier, "submitted", 1, begin)
    rate = (texts - 1) / (wait_for(place.carrier, "submitted", texts, begin) - began_s)
    place.wait_until_done(GIVE_UP_S)
    return rate


class _Silent(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *values: object) -> None:
        """Log nothing."""


class _WebServer(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: Kannel is killed with its connections open."""


@contextlib.contextmanager
def kannel(directory: Path, carrier_port: int) -> Iterator[None]:
    """Run Kannel, with a web server that answers its calls."""
    (directory / "spool").mkdir(parents=True)
    web = _WebServer(("127.0.0.1", 0), _Silent)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    names = ("admin", "boxes", "sendsms")
    ports = {name: peers.free_port() for name in names}
    config = directory / "kannel.conf"
    config.write_text(KANNEL.format(directory=directory, carrier=carrier_port, web=web.server_port, **ports))
    programs = []
    try:
        for name, port in (("bearerbox", ports["boxes"]), ("smsbox", ports["sendsms"])):
            program = shutil.which(name, path="/usr/sbin:/usr/bin")
            assert program is not None
            programs.append(
                subprocess.Popen(
                    [program, "-v", "4", config],
                    cwd=directory,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            peers.wait_for(port)
        yield
    finally:
        for process in reversed(programs):
            process.kill()
            process.wait()
        web.shutdown()
        web.server_close()


def kannel_per_s(directory: Path, texts: int) -> float | None:
    """Return how many texts Kannel acknowledges in a second; None if it is not installed."""
    if shutil.which("bearerbox", path="/usr/sbin:/usr/bin") is None:
        return None
    port = peers.free_port()
    with running_carrier(port=port, window=50, password="petrel") as carrier, kannel(directory, port):
        carrier.wait_for("bound")
        made = [message(f"1555{number % MEMBERS:07}", "40404", f"in {number}") for number in range(texts)]
        began_s = time.monotonic()
        threading.Thread(target=carrier.deliver, args=made).start()
        return texts / (wait_for(carrier, "acknowledged", texts, 0) - began_s)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of 1,000 texts")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    texts, rounds = (1_000, 1) if options.quick else (options.texts, options.rounds)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        with carrier_place(directory, f"sqlite:///{directory}/stormpetrel.db") as place:
            place.add_members(MEMBERS)
            place.carrier.wait_for("bound")
            time.sleep(1)
            for _ in range(rounds):
                found.setdefault("fdatasync of this disk", []).append(fsyncs_per_s(directory))
                for window in WINDOWS:
                    acknowledged, posted = incoming(place, texts, window)
                    found.setdefault(f"stored and acknowledged, window {window}", []).append(acknowledged)
                    found.setdefault(f"posted, window {window}", []).append(posted)
                found.setdefault("accepted by the carrier, window 50", []).append(outgoing(place, texts))
        for number in range(rounds):
            rate = kannel_per_s(directory / f"kannel{number}", texts)
            if rate is not None:
                found.setdefault("Kannel acknowledged, window 50", []).append(rate)
    peers.show(
        [{"what": what, "per_s": peers.spread(rates)} for what, rates in found.items()], as_json=options.json
    )


if __name__ == "__main__":
    main()
