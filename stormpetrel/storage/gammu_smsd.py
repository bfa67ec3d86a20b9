"""The SQLite database of gammu-smsd, which reads from and writes to a modem: its inbox, outbox and sent items.

Another program owns this database, so each transaction is short and waits at most BUSY_S for its lock.
`CreatorID`, which smsd copies from the outbox to the sent items, has the id of our unit, and behind it the state that
was reported last: both survive a restart of either program. Tables: https://docs.gammu.org/smsd/tables.html.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

BUSY_S = 2.0
PENDING_DAYS = 3
"""A message without a report of delivery is not looked at any more after this."""
REPEATED_HOURS = 24
"""A message may be put into the outbox again, after a crash, for this long."""
_CREATOR = "stormpetrel:"

_UNPROCESSED = """SELECT ID, ReceivingDateTime, SenderNumber, Coding, UDH, Text, TextDecoded
    FROM inbox WHERE Processed = 'false' ORDER BY ID LIMIT ?"""
_MARK_PROCESSED = "UPDATE inbox SET Processed = 'true' WHERE ID = ?"
# The ids of units begin again with a new spool: only the same text, today, is the same message.
_SAME = f"TextDecoded = ?3 AND InsertIntoDB > datetime('now', '-{REPEATED_HOURS} hours')"
_FIND = f"""SELECT ID FROM outbox WHERE CreatorID = ?1 AND DestinationNumber = ?2 AND {_SAME} UNION ALL
    SELECT ID FROM sentitems WHERE DestinationNumber = ?2 AND {_SAME} AND SequencePosition = 1
    AND (CreatorID = ?1 OR substr(CreatorID, 1, length(?1) + 1) = ?1 || ' ') LIMIT 1"""
_ADD = """INSERT INTO outbox
    (DestinationNumber, TextDecoded, Coding, UDH, MultiPart, DeliveryReport, CreatorID)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_ADD_PART = (
    "INSERT INTO outbox_multipart (ID, SequencePosition, TextDecoded, Coding, UDH) VALUES (?, ?, ?, ?, ?)"
)
# smsd sends the parts one after another, and removes the row of the outbox after the last one.
_SENT = f"""SELECT ID, min(CreatorID), group_concat(DISTINCT Status), max(StatusError),
    max(SendingDateTime) > datetime('now', '-{PENDING_DAYS} days')
    FROM sentitems WHERE ID >= ? AND CreatorID LIKE '{_CREATOR}%'
    AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.ID = sentitems.ID) GROUP BY ID ORDER BY ID"""
_LOWEST_WAITING = f"SELECT min(ID) FROM outbox WHERE CreatorID LIKE '{_CREATOR}%'"
_MARK_REPORTED = "UPDATE sentitems SET CreatorID = ? WHERE ID = ?"


class SmsdUnavailable(OSError):
    """The database is locked for too long, absent or not one of smsd."""


@dataclass(frozen=True, slots=True)
class ReceivedText:
    """A row of the inbox. `header` and `octets` are hexadecimal; `octets` is UTF-16, or the data of 8bit."""

    id: int
    received_at: str
    sender: str
    coding: str
    header: str
    octets: str
    text: str


@dataclass(frozen=True, slots=True)
class TextPart:
    """A part to send. `header` is hexadecimal, "" for a text of one part."""

    text: str
    header: str = ""


@dataclass(frozen=True, slots=True)
class SentText:
    """All parts of a message that smsd has sent: their statuses, and the state that was reported last, or ""."""

    id: int
    unit_id: str
    reported: str
    statuses: frozenset[str]
    error: int
    is_recent: bool


class SmsdDatabase:
    """One database. The methods block, and raise SmsdUnavailable."""

    def __init__(self, path: Path) -> None:
        self._uri = f"file:{quote(str(path))}?mode=rw"

    def unprocessed(self, limit: int) -> list[ReceivedText]:
        """Return the messages that were not marked, oldest first."""
        with self._open() as connection:
            return [ReceivedText(*row) for row in connection.execute(_UNPROCESSED, (limit,))]

    def mark_processed(self, ids: Sequence[int]) -> None:
        """Mark these messages: they are not returned again."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_MARK_PROCESSED, [(each,) for each in ids])
            connection.execute("COMMIT")

    def add(
        self, unit_id: str, receiver: str, parts: Sequence[TextPart], *, coding: str, wants_receipt: bool
    ) -> int:
        """Put a message into the outbox unless it was there before, and return its id."""
        creator = _CREATOR + quote(unit_id, safe="")
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute(_FIND, (creator, receiver, parts[0].text)).fetchone()
            if found is not None:
                return int(found[0])
            first, *others = parts
            row = (
                *(receiver, first.text, coding, first.header or None, "true" if others else "false"),
                *("yes" if wants_receipt else "no", creator),
            )
            added = connection.execute(_ADD, row).lastrowid
            assert added is not None
            connection.executemany(
                _ADD_PART,
                [
                    (added, number, part.text, coding, part.header)
                    for number, part in enumerate(others, start=2)
                ],
            )
            connection.execute("COMMIT")
            return added

    def sent(self, lowest_id: int) -> tuple[list[SentText], int | None]:
        """Return our messages with an id of at least `lowest_id` that are sent, and the lowest id not yet sent."""
        with self._open() as connection:
            # One snapshot, or a message could move from one table to the other in between.
            connection.execute("BEGIN")
            rows = connection.execute(_SENT, (lowest_id,)).fetchall()
            (waiting,) = connection.execute(_LOWEST_WAITING).fetchone()
        return [_sent_text(*row) for row in rows], waiting

    def mark_reported(self, reports: Sequence[tuple[SentText, str]]) -> None:
        """Write down the state of each message that was reported."""
        rows = [(f"{_CREATOR}{quote(sent.unit_id, safe='')} {state}", sent.id) for sent, state in reports]
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_MARK_REPORTED, rows)
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._uri, uri=True, timeout=BUSY_S, isolation_level=None)
            try:
                yield connection
            finally:
                # An open transaction is rolled back.
                connection.close()
        except sqlite3.Error as error:
            raise SmsdUnavailable(f"the database of gammu-smsd: {error}") from error


def _sent_text(id: int, creator: str, statuses: str, error: int, is_recent: int) -> SentText:
    unit_id, _, reported = creator.removeprefix(_CREATOR).partition(" ")
    return SentText(id, unquote(unit_id), reported, frozenset(statuses.split(",")), error, bool(is_recent))
