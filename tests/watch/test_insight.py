"""The watch's reports: written after an attack by itself, once, and shown only when an operator publishes them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from stormpetrel.config_loader import load
from stormpetrel.insight.make import publish
from stormpetrel.model.attack import AttackSpan
from stormpetrel.storage.attack_record import AttackRecord
from stormpetrel.storage.insight_folder import FORMS, InsightFolder
from stormpetrel.storage.journal import Journal, Note
from stormpetrel.watch import insight
from stormpetrel.watch.insight import InsightKeeper
from stormpetrel.watch.naming import NamedAccounts
from tests.insight import recorded


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(insight, "EVERY_S", 0.02)
    monkeypatch.setattr(insight, "SETTLE_S", 0.02)
    return load(environ={"STORMPETREL_DATA_DIR": str(tmp_path)}).config


async def until(is_so):
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.02)


def watched(config, meanwhile, check=None):
    """Run a keeper until `meanwhile` is over; return its notes."""
    return asyncio.run(_watched(config, meanwhile, check or nothing_to_check))


async def nothing_to_check(span: AttackSpan) -> list[Note]:
    return []


async def _watched(config, meanwhile, check):
    notes, stop = [], asyncio.Event()
    keeper = InsightKeeper(config, note=notes.append, check=check, accounts=NamedAccounts(config))
    running = asyncio.ensure_future(keeper.run(stop))
    try:
        await meanwhile(keeper, notes)
    finally:
        stop.set()
        await running
    return notes


def test_a_report_is_written_after_the_end_and_only_once(config):
    folder = InsightFolder(config.data_dir)
    recorded.write_journal(config.data_dir)
    record = AttackRecord(config.data_dir / "attacks.sqlite")
    record.write(attack=3, moments=recorded.moments(10), spans=[replace(recorded.SPAN, ended_ms=0)])

    async def meanwhile(keeper, notes):
        await asyncio.sleep(0.1)
        assert folder.reports() == []
        record.write(attack=3, spans=[recorded.SPAN], phases=[recorded.FLOOD])
        await until(lambda: notes)
        await asyncio.sleep(0.1)

    notes = watched(config, meanwhile)
    record.close()
    assert [note.text for note in notes] == ["the report about attack 3 was written"]
    assert [one.number for one in folder.reports()] == [3]
    for edition in ("internal", "public"):
        assert all(folder.read(3, edition, form) for form in FORMS)
    assert watched(config, lambda keeper, notes: asyncio.sleep(0.1)) == []


def test_an_attack_is_checked_before_its_report_and_the_report_has_the_result(config):
    recorded.write_record(config.data_dir, seconds=5)
    at_ms = recorded.SPAN.ended_ms + 1000

    async def check(span: AttackSpan) -> list[Note]:
        note = Note(at_ms=at_ms, kind="check", text="", because="posts", who="attack:3", count=7)
        # In a server the watch writes its notes each second.
        journal = Journal(config.data_dir / "journal.sqlite")
        journal.write([note])
        journal.close()
        return [note]

    notes = watched(config, lambda keeper, notes: until(lambda: len(notes) == 2), check=check)
    assert [note.kind for note in notes] == ["check", "watch"]
    text = InsightFolder(config.data_dir).read(3, "public", "md").decode()
    assert "looked for 7 posts" in text


def test_a_public_edition_is_shown_only_while_it_is_published(config):
    recorded.write_both(config.data_dir)
    folder = InsightFolder(config.data_dir)

    async def meanwhile(keeper, notes):
        await until(lambda: notes)
        await asyncio.sleep(0.1)
        assert keeper.published == ()
        publish(config.data_dir, 3, domain=config.domain)
        await until(lambda: keeper.published)
        report = keeper.published[0]
        assert (report.number, set(report.forms)) == (3, set(FORMS))
        assert b"Public edition" in report.forms["html"]
        folder.withdraw(3)
        await until(lambda: not keeper.published)

    watched(config, meanwhile)


def test_a_disk_that_takes_no_file_costs_the_report_and_is_noted_once(config):
    recorded.write_both(config.data_dir)
    # No folder can be made in place of a file, also by root.
    blocked = config.data_dir / "insight"
    blocked.write_bytes(b"")

    async def meanwhile(keeper, notes):
        await until(lambda: notes)
        keeper._failed_s[3] = -insight.AGAIN_S
        await asyncio.sleep(0.3)
        blocked.unlink()
        keeper._failed_s[3] = -insight.AGAIN_S
        await until(lambda: len(notes) == 2)

    notes = watched(config, meanwhile)
    assert [note.text.partition(": ")[0] for note in notes] == [
        "the report about attack 3 could not be written",
        "the report about attack 3 was written",
    ]


def test_a_damaged_record_does_not_end_the_watch(config):
    (config.data_dir / "attacks.sqlite").write_bytes(b"no database " * 500)
    assert watched(config, lambda keeper, notes: asyncio.sleep(0.1)) == []
