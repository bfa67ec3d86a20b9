"""A real gammu-smsd with the dummy phone, in a directory of its own."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.gateway.kannel import end
from tests.parts import SMSD_TABLES
from tests.waiting import eventually

CONFIG = """
[gammu]
device = {directory}/dummy
model = dummy
connection = none

[smsd]
Service = SQL
Driver = sqlite3
DBDir = {directory}
Database = smsd.db
CommTimeout = 1
ReceiveFrequency = 1
LoopSleep = 1
LogFile = {directory}/smsd.log
"""
MESSAGE = """[SMSBackup000]
SMSC = "+15550000000"
Sent = 20261129T{time}
State = UnRead
Number = "{sender}"
Name = ""
Coding = {coding}
Length = {length}
Folder = 1
{text}
"""


class Smsd:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "smsd.db"
        self._received = 0

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        connection = sqlite3.connect(self.path, timeout=20)
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def receive(self, text: str, sender: str = "+15551234567") -> None:
        """Let the phone get a message."""
        self._received += 1
        octets = text.encode("utf-16-be").hex().upper()
        pieces = [octets[at : at + 200] for at in range(0, len(octets), 200)]
        lines = [f"Text{number:02d} = {piece}" for number, piece in enumerate(pieces)]
        content = MESSAGE.format(
            time=f"1200{self._received:02d}",
            sender=sender,
            coding="Default" if text.isascii() else "Unicode",
            length=len(octets) // 4,
            text="\n".join(lines),
        )
        unfinished = self.directory / "unfinished"
        unfinished.write_text(content, encoding="ascii")
        unfinished.rename(self.directory / "dummy" / "sms" / "1" / str(self._received))


def make_database(directory: Path) -> Smsd:
    smsd = Smsd(directory)
    connection = sqlite3.connect(smsd.path)
    connection.executescript(SMSD_TABLES.read_text(encoding="utf-8"))
    connection.close()
    return smsd


@contextlib.contextmanager
def running_smsd(directory: Path) -> Iterator[Smsd]:
    smsd = make_database(directory)
    for folder in range(1, 6):
        (directory / "dummy" / "sms" / str(folder)).mkdir(parents=True)
    config = directory / "smsdrc"
    config.write_text(CONFIG.format(directory=directory), encoding="utf-8")
    process = subprocess.Popen(
        ["gammu-smsd", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: smsd.execute("SELECT 1 FROM phones"))
        yield smsd
    finally:
        end(process)
