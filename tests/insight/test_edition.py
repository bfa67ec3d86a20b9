"""Small counts in the public edition of a report: none is exact, and none follows from the others."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from stormpetrel.insight.make import made
from tests.insight.recorded import data_of, recomputed


def with_refusals(data, *rows, people):
    """Return the data with these rows (refused, people) of the refusals by channel, and with their totals."""
    table = data.tables["collateral_channels"]
    row = table.rows[0]
    made_rows = tuple(
        replace(
            row,
            key=("apps", f"rule/{at}"),
            numbers=row.numbers
            | {
                "refused": replace(row.numbers["refused"], value=refused),
                "people": replace(row.numbers["people"], value=found),
            },
        )
        for at, (refused, found) in enumerate(rows)
    )
    numbers = data.numbers | {
        "refused_known": replace(data.numbers["refused_known"], value=sum(refused for refused, _ in rows)),
        "people_refused": replace(data.numbers["people_refused"], value=people),
    }
    tables = data.tables | {"collateral_channels": replace(table, rows=made_rows)}
    return replace(data, numbers=numbers, tables=tables)


def test_a_public_edition_says_fewer_than_10_of_few_people_and_of_their_refused_requests(data_dir):
    data = with_refusals(data_of(data_dir), (1, 1), people=1)
    public = made(data, edition="public")
    text = " ".join(public.form("md").split())
    assert "fewer than 10 of them came from fewer than 10 clients with a credential" in text
    assert (
        "Requests with a credential that were refused: fewer than 10, of fewer than 10 known clients" in text
    )
    assert "fewer than 10 | fewer than 10 | not public | not public" in text
    found = json.loads(public.form("json"))
    numbers = [found["numbers"]["refused_known"], found["numbers"]["people_refused"]]
    numbers += found["tables"]["collateral_channels"][0]["numbers"].values()
    assert [(one["value"], one["below"]) for one in numbers] == [(None, 10)] * 4
    assert ",refused_known,fewer than 10," in public.form("csv")
    assert "fewer than 10 clients" in re.sub(r"<[^>]*>", "", public.form("html"))
    assert "1 of them came from 1 client with" in " ".join(made(data, edition="internal").form("md").split())


def test_a_public_edition_says_none_where_no_one_was_refused(data_dir):
    public = made(with_refusals(data_of(data_dir), people=0), edition="public")
    found = json.loads(public.form("json"))["numbers"]
    assert [found[name]["value"] for name in ("refused_known", "people_refused")] == [0, 0]
    assert "none of them had the credential of a member" in public.form("md").replace("\n", " ")


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ([(500, 40), (12, 3)], ["500", "12"]),
        ([(500, 40), (80, 3), (2, 1)], ["500", "fewer than 100", "fewer than 10"]),
        ([(80, 3), (2, 1)], ["fewer than 100", "fewer than 10"]),
        ([(500, 40), (80, 3), (1, 1), (1, 1)], ["500", "fewer than 100", "fewer than 10", "fewer than 10"]),
        ([(500, 40), (6, 3), (7, 1), (3, 1)], ["500", *["fewer than 10"] * 3]),
        # One and ten are all that add up to eleven, and nine and nine to 18.
        ([(500, 40), (10, 3), (1, 1)], ["fewer than 1000", "fewer than 100", "fewer than 10"]),
        ([(500, 40), (9, 3), (9, 1)], ["fewer than 1000", "fewer than 10", "fewer than 10"]),
        ([(500, 40), *[(1, 1)] * 10], ["fewer than 1000", *["fewer than 10"] * 10]),
    ],
)
def test_a_small_count_does_not_follow_from_the_total_and_the_other_rows(data_dir, rows, shown):
    public = made(with_refusals(data_of(data_dir), *rows, people=41), edition="public")
    found = json.loads(public.form("json"))
    assert found["numbers"]["refused_known"]["value"] == sum(refused for refused, _ in rows)
    assert [
        str(one["numbers"]["refused"]["value"] or f"fewer than {one['numbers']['refused']['below']}")
        for one in found["tables"]["collateral_channels"]
    ] == shown
    assert ["first_ms" in one["numbers"] for one in found["tables"]["collateral_channels"]] == [
        people >= 10 for _, people in rows
    ]


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ([(10, 3), (1, 1)], ["10", "fewer than 10"]),
        ([(9, 3), (9, 1)], ["fewer than 10"] * 2),
        ([(1, 1)] * 10, ["fewer than 10"] * 10),
    ],
)
def test_a_total_from_which_small_counts_follow_is_not_public(data_dir, rows, shown):
    public = made(with_refusals(data_of(data_dir), *rows, people=41), edition="public")
    found = json.loads(public.form("json"))
    total = found["numbers"]["refused_known"]
    assert (total["value"], total["below"]) == (None, 100)
    assert [
        str(one["numbers"]["refused"]["value"] or f"fewer than {one['numbers']['refused']['below']}")
        for one in found["tables"]["collateral_channels"]
    ] == shown
    assert "fewer than 100 of them came from 41 clients" in " ".join(public.form("md").split())


def test_the_foreign_script_finds_a_small_count_that_is_not_below_its_limit(data_dir):
    report = json.loads(made(data_of(data_dir), edition="public").form("json"))
    assert report["numbers"]["people_refused"]["below"] == 10
    report["numbers"]["people_refused"]["below"] = 2
    path = data_dir / "report.json"
    path.write_text(json.dumps(report))
    assert "people_refused: fewer than 2 in the report, 2 computed" in recomputed(path, data_dir)
