"""A real Kannel: bearerbox with the fake SMSC, and smsbox, in a directory and on ports of their own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.parts import FAKESMSC, SYSTEM_PATH
from tests.ports import reserved_ports
from tests.waiting import eventually

CONFIG = """
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
smsc = fake
smsc-id = fake1
port = {phones}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {sendsms}
mo-recode = true
http-request-retry = 20
http-queue-delay = 1
global-sender = 40404

group = sendsms-user
username = storm
password = petrel
max-messages = 10
concatenation = true

group = sms-service
keyword = default
catch-all = yes
max-messages = 0
get-url = "{get_url}"
"""
PARAMETERS = "from=%p&to=%P&text=%a&charset=%C&coding=%c&id=%I&smsc=%i&ts=%T&udh=%u"


class Kannel(NamedTuple):
    directory: Path
    send_url: str
    phones_port: int

    def phone(self, *messages: str) -> subprocess.Popen[str]:
        """Start a phone that sends messages ("from to text hello") and prints those that it gets."""
        return subprocess.Popen(
            [
                *(FAKESMSC, "-H", "127.0.0.1", "-r", str(self.phones_port)),
                *("-m", str(len(messages)), "-i", "0.01", *messages),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@contextlib.contextmanager
def running_kannel(directory: Path, webhook_url: str, secret: str) -> Iterator[Kannel]:
    """Start Kannel; it calls `webhook_url` for each message."""
    (directory / "spool").mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        admin, boxes, phones, sendsms = stack.enter_context(reserved_ports(4))
        values = {
            "admin": admin,
            "boxes": boxes,
            "phones": phones,
            "sendsms": sendsms,
            "directory": directory,
            "get_url": f"{webhook_url}?secret={secret}&{PARAMETERS}",
        }
        config = directory / "kannel.conf"
        config.write_text(CONFIG.format(**values), encoding="utf-8")
        for name, port in (("bearerbox", boxes), ("smsbox", sendsms)):
            program = shutil.which(name, path=SYSTEM_PATH)
            assert program is not None
            log = stack.enter_context(open(directory / f"{name}.log", "wb"))
            process = subprocess.Popen([program, config], cwd=directory, stdout=log, stderr=log)
            stack.callback(end, process)
            eventually(lambda port=port, process=process: accepts(port) or process.poll() is not None)
            assert process.poll() is None, (directory / f"{name}.log").read_text(encoding="utf-8")
        eventually(lambda: accepts(phones))
        yield Kannel(directory, f"http://127.0.0.1:{sendsms}/cgi-bin/sendsms", phones)


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
