"""`audience`: a table with a chart, JSON and CSV."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime

import pytest

from stormpetrel.storage.audience import store_numbers

NUMBERS = {
    "2025-10": {"visitors/all": 593_000},
    "2026-09": {"visitors/all": 18_000_000, "visitors/web": 17_000_000},
    "2026-10": {
        "visitors/all": 20_100_000,
        "visitors/web": 19_000_000,
        "visitors/apps": 2_000_000,
        "known_by/account": 25,
        "known_by/cookie": 75,
        "from/search": 1,
        "landing/home": 1,
        "requests/programs": 1234,
        "subscribers/announced": 150,
    },
}
MONTHS = ("--from", "2026-09-01", "--to", "2026-10-31")


@pytest.fixture
def counted(run, place):
    """Return the function that runs a command, for an instance with NUMBERS."""
    store_numbers(place, machine="a", numbers=NUMBERS)
    return run


def test_the_table_shows_visitors_growth_and_a_chart(counted):
    lines = counted("audience", *MONTHS).out.splitlines()
    assert re.split(r"\s{2,}", lines[0].strip()) == [
        *("PERIOD", "ALL", "WEB", "APPS", "FEEDS", "SMS", "GROWTH", "GROWTH OVER A YEAR")
    ]
    assert lines[1].split() == ["2026-09", "18,000,000", "17,000,000", "0", "0", "0", "█" * 27]
    assert lines[2].split() == [
        "2026-10", "20,100,000", "19,000,000", "2,000,000", "0", "0", "+12", "%", "34×", "█" * 30,
    ]  # fmt: skip
    assert "known by   cookie 75%, account 25%" in lines
    assert "not visits 1,234 requests of programs" in lines
    assert "feeds      150 subscribers announced by feed services, not among the visitors" in lines


def test_the_table_marks_a_period_that_is_not_over(run, place):
    month = datetime.now(UTC).strftime("%Y-%m")
    store_numbers(place, machine="a", numbers={month: NUMBERS["2026-09"]})
    assert run("audience").out.splitlines()[1].startswith(f"{month} so far  ")


def test_json_has_every_number(counted):
    row = counted("audience", *MONTHS, "--json").json[-1]
    assert (row["period"], row["growth"], row["year_growth"]) == ("2026-10", "+12 %", "34×")
    assert (row["numbers"], row["running"], row["machines"]) == (NUMBERS["2026-10"], False, 1)


def test_csv_has_a_column_for_each_number(counted):
    rows = list(csv.DictReader(io.StringIO(counted("audience", *MONTHS, "--csv").out)))
    assert [row["period"] for row in rows] == ["2026-09", "2026-10"]
    assert (rows[1]["visitors/all"], rows[0]["visitors/apps"]) == ("20100000", "0")


def test_several_machines_and_nothing_counted_are_said(counted, place):
    store_numbers(place, machine="b", numbers={"2026-10": {"visitors/all": 21_000_000}})
    out = counted("audience", *MONTHS).out
    assert "21,000,000" in out
    assert "Counted on 2 machines" in out
    assert counted("audience", "--by", "day", *MONTHS).out == "No visitors were counted in this time.\n"
    assert counted("audience", "--from", "2026-11-01", "--to", "2026-10-01", "--json").json == []


def test_a_date_that_is_none_is_refused(counted):
    done = counted("audience", "--from", "yesterday", expect=2)
    assert "is not a date such as 2026-11-01" in done.complaint
