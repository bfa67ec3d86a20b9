"""Countries of noted addresses, from an operator's table."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.insight.countries import UNLISTED, countries_of, country_of, read_table
from stormpetrel.insight.make import made, read, window_of
from stormpetrel.storage.journal import Journal, Note
from tests.insight import recorded
from tests.repository import ROOT

WINDOW = window_of(recorded.SPAN, now_ms=recorded.SPAN.ended_ms)


def table(tmp_path, text):
    path = tmp_path / "countries.csv"
    path.write_text(text)
    return path


def test_the_smallest_network_decides(tmp_path):
    found = read_table(table(tmp_path, "# table\n203.0.0.0/8,AA\n203.0.113.0/24, BB\n2001:db8::/32,CC\n"))
    assert country_of("203.0.113.7", found) == "BB"
    assert country_of("203.1.1.1", found) == "AA"
    assert country_of("2001:db8::5", found) == "CC"
    assert country_of("198.51.100.1", found) == UNLISTED


@pytest.mark.parametrize("text", ["203.0.113.0/24\n", "not a network,AA\n"])
def test_a_table_that_is_wrong_is_named(tmp_path, text):
    with pytest.raises(SetupError, match=r"countries\.csv"):
        read_table(table(tmp_path, text))
    with pytest.raises(SetupError, match="cannot be read"):
        read_table(tmp_path / "missing.csv")


def test_noted_addresses_are_counted_for_operators_alone(tmp_path):
    recorded.write_record(tmp_path, seconds=5)
    journal = Journal(tmp_path / "journal.sqlite")
    for address in (recorded.ADDRESS, recorded.ADDRESS, "198.51.100.1"):
        journal.write(
            [
                Note(
                    at_ms=recorded.SPAN.onset_ms + 900,
                    kind="offender",
                    text="",
                    who="address",
                    address=address,
                )
            ]
        )
    journal.close()
    path = table(tmp_path, "203.0.113.0/24,BB\n")
    found = countries_of(tmp_path, WINDOW, table=str(path))
    assert [(name, number.value) for name, number in found] == [("BB", 2), (UNLISTED, 1)]
    data = read(tmp_path, WINDOW, domain="petrel.example", countries=str(path))
    assert "BB" not in made(data, edition="public").form("json")
    report = tmp_path / "report.json"
    report.write_text(made(data, edition="internal").form("json"))
    script = [sys.executable, ROOT / "bench" / "recompute_insight.py", report, tmp_path, path]
    assert "(100.0 %)" in subprocess.run(script, capture_output=True, text=True, check=True).stdout
