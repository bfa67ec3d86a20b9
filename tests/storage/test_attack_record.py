"""The record of attacks in a real SQLite file: its rows, its bounds, and its reader."""

from __future__ import annotations

import os
import sqlite3
import stat

import pytest

from stormpetrel.model.attack import AttackPhase, AttackSpan, EvidenceItem, Moment, NamedVector
from stormpetrel.storage.attack_record import (
    AttackRecord,
    AttackRecordFailed,
    RecordedAttacks,
    read_attacks,
)

AT_S = 1_900_000_000
SPAN = AttackSpan(1, AT_S * 1000, AT_S * 1000 + 500, 0)
PHASE = AttackPhase(
    number=1,
    attack=1,
    began_ms=AT_S * 1000,
    ended_ms=0,
    verdict="attack",
    attack_share=0.9,
    vectors=(NamedVector("page_flood", 0.8, (EvidenceItem("new_networks", 0.9, 0.1),)),),
    evidence_for=(EvidenceItem("new_networks", 0.9, 0.1),),
    pages=(("/@ana", 300),),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "attacks.sqlite"


def moment(at_s, *, requests=10):
    return Moment(at_s, 1.0, is_overloaded=True, requests=requests, channels={"apps": {"refused": 1}})


def read_all(path):
    return read_attacks(path, from_ms=0, until_ms=AT_S * 2000)


def test_a_missing_file_is_an_empty_record(path):
    assert read_all(path) == RecordedAttacks()
    assert not path.exists()


def test_what_was_written_is_read_back_and_a_later_state_replaces_it(path):
    record = AttackRecord(path)
    record.write(attack=1, moments=[moment(AT_S), moment(AT_S + 1)], phases=[PHASE], spans=[SPAN])
    assert read_all(path) == RecordedAttacks((SPAN,), (PHASE,), (moment(AT_S), moment(AT_S + 1)))
    ended = AttackSpan(1, SPAN.onset_ms, SPAN.noticed_ms, SPAN.onset_ms + 60_000)
    record.write(attack=1, spans=[ended])
    record.close()
    assert read_all(path).spans == (ended,)
    assert read_attacks(path, from_ms=ended.ended_ms + 1, until_ms=AT_S * 2000).spans == ()
    assert read_attacks(path, from_ms=0, until_ms=AT_S * 1000, with_moments=False).moments == ()


def test_sqlite_computes_a_sum_from_the_bodies(path):
    record = AttackRecord(path)
    record.write(attack=1, moments=[moment(AT_S), moment(AT_S + 1, requests=5)])
    record.close()
    columns = "sum(json_extract(body, '$.requests')), sum(json_extract(body, '$.channels.apps.refused'))"
    assert sqlite3.connect(path).execute(f"SELECT {columns} FROM moments").fetchone() == (15, 2)


def test_numbers_continue_after_a_restart(path):
    record = AttackRecord(path)
    assert record.last_numbers() == (0, 0)
    record.write(attack=1, phases=[PHASE], spans=[SPAN])
    record.close()
    assert AttackRecord(path).last_numbers() == (1, 1)


def test_the_oldest_moments_go_when_there_are_too_many(path):
    record = AttackRecord(path, max_moments=3)
    record.write(attack=1, moments=[moment(AT_S + second) for second in range(5)])
    assert [one.at_s - AT_S for one in read_all(path).moments] == [2, 3, 4]


def test_only_the_owner_can_read_it(path):
    record = AttackRecord(path)
    record.write(attack=1, spans=[SPAN])
    assert {stat.S_IMODE(os.stat(file).st_mode) for file in path.parent.glob("attacks.sqlite*")} == {0o600}
    record.close()


def test_a_file_that_is_no_database_is_reported_and_not_destroyed(path):
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(AttackRecordFailed):
        AttackRecord(path)
    with pytest.raises(AttackRecordFailed):
        read_all(path)
    assert path.read_bytes() == b"not a database" * 100
