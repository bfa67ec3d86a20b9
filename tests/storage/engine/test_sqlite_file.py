"""The SQLite files besides the store: their settings, and transactions."""

from __future__ import annotations

import sqlite3

import pytest

from stormpetrel.storage.attack_record import AttackRecord
from stormpetrel.storage.engine.sqlite_file import open_file, reading, writing
from stormpetrel.storage.journal import Journal
from stormpetrel.storage.sms_spool.file import SpoolFile
from stormpetrel.storage.status_history import StatusHistory

TABLES = "CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL);"


@pytest.fixture
def raw(tmp_path):
    opened = open_file(tmp_path / "notes.sqlite", tables=TABLES, synchronous="FULL", wal_bytes=4096)
    yield opened
    opened.close()


def texts(raw):
    return [row[0] for row in raw.execute("SELECT text FROM notes")]


def test_a_new_file_has_its_tables_and_only_its_owner_reads_it(raw, tmp_path):
    assert texts(raw) == []
    assert (tmp_path / "notes.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_transaction_is_stored_whole_or_not_at_all(raw, tmp_path):
    with writing(raw):
        raw.execute("INSERT INTO notes VALUES ('kept')")
    with pytest.raises(ZeroDivisionError), writing(raw):
        raw.execute("INSERT INTO notes VALUES ('dropped')")
        raise ZeroDivisionError
    with reading(tmp_path / "notes.sqlite") as other:
        assert texts(other) == ["kept"]


def test_a_reader_changes_nothing(raw, tmp_path):
    with (
        reading(tmp_path / "notes.sqlite") as other,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        other.execute("INSERT INTO notes VALUES ('no')")


@pytest.mark.parametrize(
    "opened", [lambda folder: open_file(folder / "f", tables=TABLES, synchronous="NORMAL"),
               lambda folder: Journal(folder / "f")._raw, lambda folder: AttackRecord(folder / "f")._raw,
               lambda folder: StatusHistory(folder / "f")._raw, lambda folder: SpoolFile(folder).raw],
    ids=["any", "journal", "attacks", "status", "texts"],
)  # fmt: skip
def test_what_is_deleted_is_overwritten_whatever_this_sqlite_does_by_default(tmp_path, opened):
    raw = opened(tmp_path)
    settings = [raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("secure_delete", "journal_mode")]
    raw.close()
    assert settings == [1, "wal"]


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "notes.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        open_file(tmp_path / "notes.sqlite", tables=TABLES, synchronous="FULL")
