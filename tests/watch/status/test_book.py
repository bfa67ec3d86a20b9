"""The history's file under the watch: changes are stored before they are shown, and no bad disk hides a loss."""

from __future__ import annotations

import asyncio

import pytest

from stormpetrel.control.messages import IncidentChange
from stormpetrel.errors import SetupError
from stormpetrel.storage.status_history import FILE_NAME, read_incidents
from stormpetrel.watch.status.board import StatusBoard
from stormpetrel.watch.status.book import IncidentDesk, StatusBook, keep, new_incident_id
from tests.watch.status.viewing import NOW_MS, NOW_S, a_result, an_incident

START = IncidentChange("start", name="Apps fail", body="We look into it.")


def with_book(directory, body):
    async def main():
        book = StatusBook(directory)
        stored = await book.load(now_ms=NOW_MS)
        board = StatusBoard(("apps",), new_id=new_incident_id, now_epoch_s=NOW_S, incidents=stored.incidents)
        try:
            return await body(board, book)
        finally:
            await book.close()

    return asyncio.run(main())


def test_an_operators_change_is_stored_before_it_is_shown(tmp_path):
    async def body(board, book):
        incident = await IncidentDesk(board, book).change(START)
        assert board.incidents == {incident.id: incident}
        assert read_incidents(tmp_path / FILE_NAME, only_open=True) == [incident]
        return incident

    incident = with_book(tmp_path, body)

    async def again(board, book):
        assert board.incidents == {incident.id: incident}

    with_book(tmp_path, again)


def test_a_change_that_cannot_be_stored_is_refused_and_not_shown(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"not a database, but long enough to be read as one" * 100)

    async def body(board, book):
        with pytest.raises(SetupError, match=r"could not be stored: .*not a database"):
            await IncidentDesk(board, book).change(START)
        assert board.incidents == {}

    with_book(tmp_path, body)


def test_a_change_during_which_the_watch_changed_the_incident_has_both(tmp_path):
    before = an_incident(is_automatic=True)

    async def body(board, book):
        board.publish(before)
        changing = asyncio.ensure_future(
            IncidentDesk(board, book).change(IncidentChange("update", id=before.id, body="Ours."))
        )
        await asyncio.sleep(0)
        board.publish(an_incident("Apps get errors.", "Theirs.", is_automatic=True))
        return await changing

    changed = with_book(tmp_path, body)
    assert [update.body for update in changed.updates] == ["Apps get errors.", "Theirs.", "Ours."]


def test_what_the_board_changes_by_itself_is_stored_by_the_way_and_at_the_end(tmp_path):
    async def body(board, book):
        for second in range(70):
            board.second(
                lambda channel, second=second: [a_result(channel, "failed", ago_s=-second)],
                (),
                named=(),
                at_s=float(second),
                now_epoch_s=NOW_S + second,
            )
        assert board.unsaved
        stop = asyncio.Event()
        stop.set()
        await keep(board, book, stop)
        assert board.unsaved == {}
        assert board.history.unsaved() == ([], [])
        stored = await book.load(now_ms=NOW_MS)
        return stored

    stored = with_book(tmp_path, body)
    assert [one.name for one in stored.incidents] == ["Problems with Apps"]
    assert [one.channel for one in stored.days] == ["apps"]
