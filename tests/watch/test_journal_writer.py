"""The journal in its thread: a full or broken disk costs entries, but delays no request."""

from __future__ import annotations

import asyncio
import sqlite3

from stormpetrel.storage import journal
from stormpetrel.storage.journal import FILE_NAME, Direction, Networks, Note, read
from stormpetrel.watch import journal_writer
from stormpetrel.watch.journal_writer import JournalWriter

NOW_MS = 1_900_000_000_000


def texts(directory):
    found = read(directory / FILE_NAME, kind="", since_ms=0, count=100_000)
    return [note.text for _, note in reversed(found)]


def note(text):
    return Note(NOW_MS, "watch", text)


def test_what_is_noted_is_written_and_what_was_ordered_is_found_by_the_next_watch(tmp_path):
    async def first():
        books = JournalWriter(tmp_path)
        books.note([note("one"), note("two")])
        books.see(Networks.KNOWN, [("192.0.2.0/24", NOW_MS // journal.DAY_MS)])
        books.see(Networks.SHELTERED, [("198.51.100.0/24", NOW_MS // journal.DAY_MS)])
        await books.flush(now_ms=NOW_MS, at_s=0.0)
        assert await books.set_direction(Direction("deny", "account", "7", NOW_MS + 1_000, "x"))
        assert await books.set_fact("paused_until_ms", 5)
        await books.close()

    async def second():
        books = JournalWriter(tmp_path)
        found = await books.remembered(now_ms=NOW_MS)
        await books.close()
        return found

    asyncio.run(first())
    assert texts(tmp_path) == ["one", "two"]
    found = asyncio.run(second())
    assert [one.value for one in found.directions] == ["7"]
    assert found.facts == (("paused_until_ms", 5),)
    assert found.prefixes == (("192.0.2.0/24", NOW_MS // journal.DAY_MS),)
    assert found.shelters == (("198.51.100.0/24", NOW_MS // journal.DAY_MS),)


def test_a_rule_that_an_earlier_release_saved_as_it_was_typed_is_replaced_and_ended(tmp_path):
    typed = [
        ("address", "192.0.2.7/32", "192.0.2.7"),
        ("address", "2001:DB8:0::/48", "2001:db8::/48"),
        ("account", "007", "7"),
        ("token", "ABCDEF0123456789", "abcdef0123456789"),
    ]

    def save():
        saved = journal.Journal(tmp_path / FILE_NAME)
        for kind, value, _ in typed:
            saved.set_direction(Direction("deny", kind, value, NOW_MS + 1_000, "before"))
        saved.set_direction(Direction("deny", "address", "no address", NOW_MS + 1_000, "before"))
        saved.close()

    async def run():
        books = JournalWriter(tmp_path)
        for kind, _, canonical in typed:
            assert await books.set_direction(Direction("allow", kind, canonical, NOW_MS + 1_000, "again"))
        replaced = await books.remembered(now_ms=NOW_MS)
        save()
        for kind, _, canonical in typed:
            assert await books.end_direction(kind=kind, value=canonical)
        ended = await books.remembered(now_ms=NOW_MS)
        await books.close()
        return replaced.directions, ended.directions

    save()
    replaced, ended = asyncio.run(run())
    assert {(one.kind, one.value, one.reason) for one in replaced} == {
        *((kind, canonical, "again") for kind, _, canonical in typed),
        ("address", "no address", "before"),
    }
    assert [one.value for one in ended] == ["no address"]


def test_a_full_disk_loses_the_oldest_entries_says_so_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_writer, "MAX_WAITING", 30)
    full = asyncio.Event()
    original = journal.Journal.write

    def write(self, notes):
        # Simulate a full disk: the pragma makes SQLite raise the same error in the same place.
        pages = self._raw.execute("PRAGMA page_count").fetchone()[0]
        self._raw.execute(f"PRAGMA max_page_count={pages if full.is_set() else 1_000_000}")
        original(self, notes)

    monkeypatch.setattr(journal.Journal, "write", write)

    async def body():
        books = JournalWriter(tmp_path)
        books.note([note("before")])
        await books.flush(now_ms=NOW_MS, at_s=0.0)
        full.set()
        books.note([note(f"{number} " + "x" * 450) for number in range(50)])
        await books.flush(now_ms=NOW_MS, at_s=0.0)
        assert "full" in books.problem
        assert books.lost == 20
        full.clear()
        await books.flush(now_ms=NOW_MS, at_s=0.0)
        assert books.problem == ""
        await books.flush(now_ms=NOW_MS, at_s=0.0)
        await books.close()

    asyncio.run(body())
    written = texts(tmp_path)
    assert [text.split(" ")[0] for text in written] == ["before", *map(str, range(20, 50)), "20"]
    assert written[-1] == "20 entries could not be written and are lost"


def test_a_journal_that_cannot_be_opened_is_tried_again(tmp_path):
    path = tmp_path / FILE_NAME
    path.write_bytes(b"this is no database; " * 100)

    async def body():
        books = JournalWriter(tmp_path)
        assert await books.remembered(now_ms=NOW_MS) == journal_writer.Remembered()
        books.note([note("kept")])
        await books.flush(now_ms=NOW_MS, at_s=0.0)
        assert books.problem
        path.unlink()
        await books.flush(now_ms=NOW_MS, at_s=0.0)
        assert (books.problem, books.lost) == ("", 0)
        await books.close()

    asyncio.run(body())
    assert texts(tmp_path) == ["kept"]


def test_readers_do_not_keep_the_watch_from_writing(tmp_path):
    async def body():
        books = JournalWriter(tmp_path)
        books.note([note("one")])
        await books.flush(now_ms=NOW_MS, at_s=0.0)
        reader = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM entries").fetchone() == (1,)
        books.note([note("two")])
        await books.flush(now_ms=NOW_MS, at_s=10_000.0)
        assert books.problem == ""
        reader.close()
        await books.close()

    asyncio.run(body())
    assert texts(tmp_path) == ["one", "two"]


def test_shelters_take_no_room_of_the_networks_of_members_while_the_file_cannot_be_written(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(journal_writer, "MAX_WAITING_PREFIXES", 2)
    day = NOW_MS // journal.DAY_MS

    async def run():
        books = JournalWriter(tmp_path)
        books.see(Networks.SHELTERED, [(f"198.51.{number}.0/24", day) for number in range(5)])
        books.see(Networks.KNOWN, [("192.0.2.0/24", day)])
        await books.flush(now_ms=NOW_MS, at_s=0.0)
        found = await books.remembered(now_ms=NOW_MS)
        await books.close()
        return found

    found = asyncio.run(run())
    assert found.prefixes == (("192.0.2.0/24", day),)
    assert len(found.shelters) == 2
