"""The numbers of an insight report: each with the query that gives it and the file that the query reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from stormpetrel.model.attack import AttackPhase, AttackSpan

EDITIONS = ("internal", "public")
"""internal: for the operators. public: for everyone; it names no page, no account and no actor."""

Value = int | float | None


@dataclass(frozen=True, slots=True)
class Number:
    """`value`: None if nothing was recorded. `query`: gives exactly this value in the SQLite file `file`.

    `whole`: the query of the table that the number is from, or "". `below`: if the edition has no exact value, a
    number that the value is below, otherwise 0.
    """

    value: Value
    query: str
    file: str
    whole: str = ""
    below: int = 0

    @property
    def known(self) -> float:
        """Return the value, or 0 if there is none."""
        return self.value or 0


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A row of a table. `key`: a text or number for each key column of the table."""

    key: tuple[str | int, ...]
    numbers: dict[str, Number]

    @property
    def name(self) -> str:
        """Return the first column of the key as text."""
        return str(self.key[0])


@dataclass(frozen=True, slots=True)
class NumberTable:
    """Numbers by key, those with the greatest first. `query`: gives the whole table, key columns first.

    `is_private`: the edition has none of its rows.
    """

    name: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    query: str
    file: str
    rows: tuple[NumberRow, ...] = ()
    is_private: bool = False

    def row(self, *key: str | int) -> NumberRow | None:
        """Return the row with this key; None if there is none."""
        return next((row for row in self.rows if row.key == key), None)

    def number(self, *key: str | int, column: str) -> Number | None:
        """Return one number; None if the table has no such row."""
        row = self.row(*key)
        return None if row is None else row.numbers[column]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """An event of the time line. `kind`: of the journal's entry, or "phase". `text`: for operators only."""

    at_ms: int
    kind: str
    text: str
    channel: str = ""


@dataclass(frozen=True, slots=True)
class ReportWindow:
    """The time of a report, and when it was made, in ms since 1970. `is_over`: False if the attack lasts."""

    from_ms: int
    until_ms: int
    made_ms: int
    is_over: bool = True

    @property
    def from_s(self) -> int:
        """Return the first second of the moments."""
        return self.from_ms // 1000

    @property
    def until_s(self) -> int:
        """Return the last second of the moments."""
        return -(-self.until_ms // 1000)


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that a report is made of. `numbers`: by name; `tables`, `series`: by name, see storage/insight.py.

    `domain`: of the instance. `countries`: sightings of noted addresses by country, or empty without a table.
    """

    domain: str
    window: ReportWindow
    spans: tuple[AttackSpan, ...] = ()
    phases: tuple[AttackPhase, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    numbers: dict[str, Number] = field(default_factory=dict)
    tables: dict[str, NumberTable] = field(default_factory=dict)
    series: dict[str, NumberTable] = field(default_factory=dict)
    countries: tuple[tuple[str, Number], ...] = ()
