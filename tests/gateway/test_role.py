"""What the role writes for commands and pages."""

from __future__ import annotations

from pathlib import Path

from stormpetrel.gateway.role import SpoolFigures, _figures_of
from stormpetrel.storage.sms_spool import state
from stormpetrel.storage.sms_spool.file import open_spool

NOW = 1_790_000_000_000


def test_states_of_routes_are_written_on_though_the_clock_was_set_back(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool, spool.transaction() as db:
        _figures_of(db, [("drop", "up")], SpoolFigures(), NOW)
        _figures_of(db, [("drop", "connecting")], SpoolFigures(), NOW + 10)
        assert state.route_states(db, now_ms=NOW + 10) == {"drop": "up"}, "once a second"
        _figures_of(db, [("drop", "down")], SpoolFigures(), NOW - 3_600_000)
        assert state.route_states(db, now_ms=NOW - 3_600_000) == {"drop": "down"}
