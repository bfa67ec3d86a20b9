"""The numbers of a report from real files: missing ones, damaged ones, and a watch that writes meanwhile."""

from __future__ import annotations

import pytest

from stormpetrel.model.insight import ReportWindow
from stormpetrel.storage.attack_record import AttackRecord
from stormpetrel.storage.insight import (
    InsightUnreadable,
    attacks_between,
    identities_in_journal,
    last_attack,
    noted_addresses,
    read_report_data,
)
from stormpetrel.storage.insight_queries import NUMBERS, SERIES, TABLES
from tests.insight import recorded

SPAN = recorded.SPAN
WINDOW = ReportWindow(SPAN.onset_ms, SPAN.ended_ms, SPAN.ended_ms + 70_000)


def test_the_last_attack_before_a_time_is_found(tmp_path):
    assert last_attack(tmp_path, until_ms=SPAN.ended_ms) is None
    recorded.write_record(tmp_path, seconds=5)
    assert last_attack(tmp_path, until_ms=SPAN.ended_ms) == SPAN
    assert last_attack(tmp_path, until_ms=SPAN.onset_ms - 1) is None
    assert attacks_between(tmp_path, from_ms=SPAN.ended_ms + 1, until_ms=SPAN.ended_ms + 2) == ()


def test_files_that_are_missing_have_no_rows_and_are_not_created(tmp_path):
    data = read_report_data(tmp_path, WINDOW, domain="petrel.example")
    assert data.numbers["requests"].value is None
    assert not any(table.rows for table in (*data.tables.values(), *data.series.values()))
    assert list(tmp_path.iterdir()) == []


def test_every_query_has_rows_in_a_whole_record(tmp_path):
    recorded.write_both(tmp_path)
    data = read_report_data(tmp_path, WINDOW, domain="petrel.example")
    assert set(data.numbers) == {query.name for query in NUMBERS}
    assert [name for name, number in data.numbers.items() if number.value is None] == []
    assert {query.name for query in TABLES} == {name for name, table in data.tables.items() if table.rows}
    assert {query.name for query in SERIES} == {name for name, table in data.series.items() if table.rows}
    assert [entry.kind for entry in data.timeline][:2] == ["overload", "canary"]


def test_a_report_is_read_while_the_watch_writes(tmp_path):
    recorded.write_both(tmp_path)
    record = AttackRecord(tmp_path / "attacks.sqlite")
    record.write(attack=3, moments=[recorded.moment(recorded.ONSET_S + 1)])
    assert read_report_data(tmp_path, WINDOW, domain="petrel.example").numbers["requests"].value
    record.write(attack=3, moments=[recorded.moment(recorded.ONSET_S + 2)])
    record.close()


@pytest.mark.parametrize("name", ["attacks.sqlite", "journal.sqlite"])
def test_a_damaged_file_is_named(tmp_path, name):
    recorded.write_both(tmp_path)
    for path in tmp_path.glob(f"{name}*"):
        path.write_bytes(b"no database " * 500)
    with pytest.raises(InsightUnreadable):
        read_report_data(tmp_path, WINDOW, domain="petrel.example")


def test_the_identities_of_the_journal_are_listed_for_checks(tmp_path):
    recorded.write_journal(tmp_path)
    found = identities_in_journal(tmp_path)
    assert {recorded.ADDRESS, recorded.TOKEN, recorded.PERSON} <= found
    assert noted_addresses(tmp_path, WINDOW)[1] == [(recorded.ADDRESS, 1)]
