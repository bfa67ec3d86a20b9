"""The journal in a real SQLite file: which entries are stored, how long, and how many."""

from __future__ import annotations

import os
import sqlite3
import stat

import pytest

from stormpetrel.storage.journal import (
    ADDRESS_DAYS,
    DAY_MS,
    MAX_TEXT,
    Direction,
    Journal,
    JournalFailed,
    Networks,
    Note,
    read,
)

NOW_MS = 1_900_000_000_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def notes(path, *, kind="", since_ms=0, count=100):
    return [note for _, note in read(path, kind=kind, since_ms=since_ms, count=count)]


def test_what_was_written_is_read_newest_first_by_kind_and_time(path):
    journal = Journal(path)
    full = Note(NOW_MS, "collateral", "x", "account:1", "", "Tusky", "apps", "queue/full", 3)
    journal.write([Note(NOW_MS - 5_000, "overload", "began"), full])
    assert notes(path) == [full, Note(NOW_MS - 5_000, "overload", "began")]
    assert notes(path, kind="overload") == [Note(NOW_MS - 5_000, "overload", "began")]
    assert notes(path, since_ms=NOW_MS) == [full]
    assert notes(path, count=1) == [full]
    journal.close()
    assert notes(path) == [full, Note(NOW_MS - 5_000, "overload", "began")]


def test_only_the_owner_can_read_it(path):
    journal = Journal(path)
    journal.write([Note(NOW_MS, "watch", "x")])
    modes = {file.name: stat.S_IMODE(os.stat(file).st_mode) for file in path.parent.glob("journal.sqlite*")}
    assert set(modes) == {"journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"}
    assert set(modes.values()) == {0o600}
    journal.close()


def test_the_oldest_entries_go_when_there_are_too_many(path):
    journal = Journal(path, max_entries=100)
    for number in range(60):
        journal.write([Note(NOW_MS, "watch", f"{number}-{half}") for half in "ab"])
    kept = notes(path, count=1_000)
    assert (len(kept), kept[0].text, kept[-1].text) == (100, "59-b", "10-a")
    journal.close()


def test_the_file_does_not_grow_past_its_bound(path):
    bound = 300_000
    journal = Journal(path, max_bytes=bound)
    for _ in range(40):
        journal.write([Note(NOW_MS, "watch", "x" * 5_000) for _ in range(100)])
    kept = notes(path, count=10_000)
    assert {len(note.text) for note in kept} == {MAX_TEXT}
    journal.close()
    assert os.stat(path).st_size < 3 * bound


def test_addresses_are_forgotten_after_their_days_and_what_happened_is_not(path):
    journal = Journal(path)
    old_ms = NOW_MS - ADDRESS_DAYS * DAY_MS - 1
    journal.write(
        [
            Note(old_ms, "offender", "took much", "address", "192.0.2.1"),
            Note(NOW_MS - 1, "offender", "took much", "address", "192.0.2.2"),
        ]
    )
    journal.tidy(now_ms=NOW_MS)
    assert [(note.text, note.address) for note in notes(path)] == [
        ("took much", "192.0.2.2"),
        ("took much", ""),
    ]
    journal.close()
    assert b"192.0.2.1" not in path.read_bytes()


@pytest.mark.parametrize(("table", "other"), [tuple(Networks), tuple(reversed(Networks))])
def test_networks_are_known_for_their_days_and_the_latest_day_counts(path, table, other):
    journal = Journal(path)
    today = NOW_MS // DAY_MS
    journal.see_networks(table, [("192.0.2.0/24", today), ("198.51.100.0/24", today - ADDRESS_DAYS - 1)])
    journal.see_networks(table, [("192.0.2.0/24", today - 3), ("2001:db8:1::/48", today - ADDRESS_DAYS)])
    assert journal.networks(table, now_ms=NOW_MS) == [
        ("192.0.2.0/24", today),
        ("2001:db8:1::/48", today - ADDRESS_DAYS),
    ]
    assert journal.networks(other, now_ms=NOW_MS) == []
    journal.tidy(now_ms=NOW_MS)
    journal.close()
    raw = sqlite3.connect(path)
    assert raw.execute(f"SELECT count(*) FROM {table}").fetchone() == (2,)
    raw.close()


def test_directions_and_facts_outlive_the_process_until_they_expire(path):
    journal = Journal(path)
    journal.set_direction(Direction("deny", "address", "192.0.2.0/24", NOW_MS + 1_000, "scans"))
    journal.set_direction(Direction("deny", "account", "7", NOW_MS + 9_000, "first"))
    journal.set_direction(Direction("allow", "account", "7", NOW_MS + 9_000, "a mistake"))
    journal.set_fact("onset_ms", 5)
    journal.set_fact("onset_ms", 6)
    journal.close()
    again = Journal(path)
    assert again.directions(now_ms=NOW_MS) == [
        Direction("allow", "account", "7", NOW_MS + 9_000, "a mistake"),
        Direction("deny", "address", "192.0.2.0/24", NOW_MS + 1_000, "scans"),
    ]
    assert [one.kind for one in again.directions(now_ms=NOW_MS + 1_000)] == ["account"]
    again.end_direction(kind="account", value="7")
    assert again.directions(now_ms=NOW_MS + 1_000) == []
    assert again.facts() == {"onset_ms": 6}
    again.close()


def test_a_file_that_is_no_journal_is_an_error_of_its_own(path):
    path.write_bytes(b"this is no database, whatever its name says; " * 100)
    with pytest.raises(JournalFailed):
        Journal(path)
    with pytest.raises(JournalFailed):
        read(path, kind="", since_ms=0, count=1)
    path.unlink()
    assert read(path, kind="", since_ms=0, count=1) == []
