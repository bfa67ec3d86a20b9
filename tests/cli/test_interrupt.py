"""Ctrl-C during a callback from SQLite ends a command as Ctrl-C, and not as an error of the database."""

from __future__ import annotations

import signal
import sqlite3

import pytest

from stormpetrel.cli.interrupt import ctrl_c_is_never_an_error_of_the_store


@pytest.fixture
def store():
    """Yield a database whose function `interrupted` raises SIGINT each time it is called."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    connection = sqlite3.connect(":memory:")
    connection.create_function("interrupted", 0, lambda: signal.raise_signal(signal.SIGINT))
    yield connection
    connection.close()
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_inside_a_function_that_sqlite_calls_is_ctrl_c(store):
    # Without the context manager it becomes a database error.
    with pytest.raises(sqlite3.OperationalError, match="user-defined function raised exception"):
        store.execute("SELECT interrupted()")
    with pytest.raises(KeyboardInterrupt), ctrl_c_is_never_an_error_of_the_store():
        store.execute("SELECT interrupted()")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_without_ctrl_c_stays_that_error(store):
    with (
        pytest.raises(sqlite3.OperationalError, match="no such table"),
        ctrl_c_is_never_an_error_of_the_store(),
    ):
        store.execute("SELECT * FROM missing")


def test_where_ctrl_c_is_ignored_it_stays_ignored(store):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with ctrl_c_is_never_an_error_of_the_store():
        assert store.execute("SELECT interrupted()").fetchone() == (None,)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
