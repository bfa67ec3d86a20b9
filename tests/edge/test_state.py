"""The states of a connection: the table is whole, and a real connection takes no other way."""

from __future__ import annotations

import pytest

from stormpetrel.edge import state as state_module
from stormpetrel.edge.protocol import EdgeProtocol
from stormpetrel.edge.state import CLOSED, ENDED, IDLE, NEW, READS, TRANSITIONS, UPGRADED, ConnectionState
from tests.edge.place import a_place, get


def test_every_state_can_be_reached_and_every_connection_can_end() -> None:
    assert set(TRANSITIONS) == set(ConnectionState)
    reached = {NEW}
    while more := {after for state in reached for after in TRANSITIONS[state]} - reached:
        reached |= more
    assert reached == set(ConnectionState)
    for state in ConnectionState:
        assert state in (CLOSED, UPGRADED) or CLOSED in TRANSITIONS[state]
        assert state not in TRANSITIONS[state]


def test_nothing_is_read_after_the_end_and_no_way_leads_back() -> None:
    assert not ENDED & READS
    for state in ENDED:
        assert TRANSITIONS[state] <= ENDED


def test_the_docstring_describes_every_state() -> None:
    assert state_module.__doc__ is not None
    text = state_module.__doc__
    described = [line.split()[0] for line in text.splitlines() if line.startswith("    ")]
    assert described == [state.name for state in ConnectionState]


def test_a_way_that_the_table_does_not_have_is_an_error() -> None:
    with a_place() as place, place.connect() as client:
        assert client.ask(get("/other")).status == 200
        connection = place.call(lambda: next(iter(place.server.worker.connections)))
        assert isinstance(connection, EdgeProtocol)
        assert connection.state is IDLE
        with pytest.raises(AssertionError, match="IDLE to STREAM"):
            place.call(lambda: connection.enter(ConnectionState.STREAM))
        assert connection.state is IDLE
