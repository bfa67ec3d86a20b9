"""The file of the status page's history: its contents, its bounds, and its errors."""

from __future__ import annotations

import pytest

from stormpetrel.model.channel import ChannelState
from stormpetrel.storage import status_history
from stormpetrel.storage.status_history import (
    DAYS,
    FILE_NAME,
    MINUTES_KEPT,
    ChannelDay,
    ChannelMinute,
    StatusHistory,
    StatusHistoryFailed,
    read_incidents,
)
from tests.watch.status.viewing import NOW_MS, a_maintenance, an_incident

MINUTE = NOW_MS // 60_000
TODAY = MINUTE // 1440


@pytest.fixture
def history(tmp_path):
    made = StatusHistory(tmp_path / FILE_NAME)
    yield made
    made.close()


def test_incidents_come_back_as_they_were_and_a_later_form_replaces_the_earlier(history, tmp_path):
    first, other = an_incident(), a_maintenance()
    history.put_incidents([first, other])
    later = an_incident("Apps get errors.", "It works.", status="resolved")
    history.put_incidents([later])
    assert history.incidents() == [other, later]
    assert read_incidents(tmp_path / FILE_NAME, only_open=True) == [other]
    assert read_incidents(tmp_path / FILE_NAME, only_open=False) == [other, later]


def test_days_and_minutes_replace_their_earlier_forms_and_expire(history):
    history.put_measurements(
        [ChannelDay("apps", TODAY, {ChannelState.MAJOR: 5.0}), ChannelDay("apps", TODAY - DAYS - 1, {})],
        [ChannelMinute("apps", MINUTE, 1.5), ChannelMinute("apps", MINUTE - MINUTES_KEPT - 1, 1.0)],
        now_ms=NOW_MS,
    )
    history.put_measurements([ChannelDay("apps", TODAY, {ChannelState.MAJOR: 9.0})], [], now_ms=NOW_MS)
    (day,) = history.days(since_day=0)
    assert (day.day, day.seconds[ChannelState.MAJOR], day.measured_s) == (TODAY, 9.0, 9.0)
    assert history.minutes(since_minute=0) == [ChannelMinute("apps", MINUTE, 1.5)]


def test_old_incidents_are_deleted_and_open_ones_are_not(history, monkeypatch):
    monkeypatch.setattr(status_history, "MAX_INCIDENTS", 3)
    old = an_incident(id="00000000000f", started_ms=1)
    done = [
        an_incident(id=f"{number:012x}", status="resolved", started_ms=10 + number) for number in range(6)
    ]
    history.put_incidents([old, *done])
    assert history._raw.execute("SELECT count(*) FROM incidents").fetchone() == (4,)
    assert read_ids(history) == ["000000000005", "000000000004", "000000000003"]


def read_ids(history):
    return [one.id for one in history.incidents()]


def test_only_the_owner_can_read_it(history, tmp_path):
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_database_is_an_error_and_a_missing_one_is_empty(tmp_path):
    path = tmp_path / FILE_NAME
    assert read_incidents(path, only_open=True) == []
    assert not path.exists()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StatusHistoryFailed):
        StatusHistory(path)
    with pytest.raises(StatusHistoryFailed):
        read_incidents(path, only_open=True)
    with pytest.raises(StatusHistoryFailed):
        StatusHistory(tmp_path / "missing" / FILE_NAME)
