"""Queries about the numbers of visitors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stormpetrel.storage.engine.connection import Connection, connect, transaction
from stormpetrel.storage.engine.statement import sql

MachineNumbers = dict[str, dict[str, int]]
"""Numbers by name, by machine."""

_PUT = sql(
    "INSERT INTO audience_numbers (period, machine, name, count) VALUES (:period, :machine, :name, :count) "
    "ON CONFLICT (period, machine, name) DO UPDATE SET count = excluded.count"
)
_NUMBERS = sql(
    "SELECT period, machine, name, count FROM audience_numbers WHERE period IN :periods[text] "
    "ORDER BY period, machine, name"
)


def put_numbers(connection: Connection, *, period: str, machine: str, numbers: Mapping[str, int]) -> None:
    """Store a machine's numbers of a period, in place of earlier ones."""
    connection.many(
        _PUT,
        [
            {"period": period, "machine": machine, "name": name, "count": count}
            for name, count in sorted(numbers.items())
        ],
    )


def numbers_of(connection: Connection, *, periods: Iterable[str]) -> dict[str, MachineNumbers]:
    """Return the numbers of these periods; a period without numbers is left out."""
    found: dict[str, MachineNumbers] = {}
    for period, machine, name, count in connection.all(_NUMBERS, periods=list(periods)):
        found.setdefault(period, {}).setdefault(machine, {})[name] = count
    return found


def store_numbers(url: str, *, machine: str, numbers: Mapping[str, Mapping[str, int]]) -> None:
    """Store a machine's numbers by period, in a connection of its own."""
    connection = connect(url)
    try:
        with transaction(connection) as writer:
            for period, counts in numbers.items():
                put_numbers(writer, period=period, machine=machine, numbers=counts)
    finally:
        connection.close()


def load_numbers(url: str, *, periods: Iterable[str]) -> dict[str, MachineNumbers]:
    """Return `numbers_of` these periods, in a connection of its own."""
    connection = connect(url, writes=False)
    try:
        return numbers_of(connection, periods=periods)
    finally:
        connection.close()
