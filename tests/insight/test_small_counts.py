"""Tables of requests by outcome in the public edition: no small count is exact, and none follows from the others."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace

import pytest

from stormpetrel.insight.make import made
from stormpetrel.insight.small_counts import without_small
from stormpetrel.model.insight import Number, NumberRow, NumberTable
from tests.insight import recorded
from tests.insight.recorded import data_of, recomputed

COLUMNS = ("requests", "answered", "refused", "gone", "answered_share")
PARTS = COLUMNS[1:4]


def table_of(*rows):
    """Return a table with a row for each (answered, refused, gone)."""
    return NumberTable(
        "clients",
        ("client",),
        COLUMNS,
        "SELECT 1",
        "attacks.sqlite",
        tuple(
            NumberRow(
                (f"row {at}",),
                {
                    name: Number(value, "SELECT 1", "attacks.sqlite")
                    for name, value in zip(COLUMNS, (sum(row), *row, row[0] / sum(row)), strict=True)
                },
            )
            for at, row in enumerate(rows)
        ),
    )


def shown(table):
    """Return the counts that a reader sees: requests, answered, refused, gone."""
    return [
        [
            f"<{row.numbers[name].below}" if row.numbers[name].below else row.numbers[name].value
            for name in COLUMNS[:4]
        ]
        for row in table.rows
    ]


def possible_rows(row):
    """Return all counts that the row can have, by its limits and its requests."""
    numbers = [row.numbers[name] for name in PARTS]
    ranges = [range(max(one.below // 10, 1), one.below) if one.below else (one.value,) for one in numbers]
    requests = row.numbers["requests"]
    return [tried for tried in itertools.product(*ranges) if requests.below or sum(tried) == requests.value]


def possible(table, totals, at, column):
    """Return every value that a count can have, by all that is public: found by trying all of them."""
    rows = map(possible_rows, table.rows)
    return {
        tried[at][column]
        for tried in itertools.product(*rows)
        if [sum(counts) for counts in zip(*tried, strict=True)] == totals
    }


@pytest.mark.parametrize(
    ("rows", "seen"),
    [
        ([(60, 12, 0), (40, 20, 30)], [[72, 60, 12, 0], [90, 40, 20, 30]]),
        ([(60, 3, 0), (40, 30, 0)], [[63, "<100", "<10", 0], [70, "<100", "<100", 0]]),
        (
            [(60, 3, 0), (40, 30, 0), (900, 700, 0)],
            [[63, "<100", "<10", 0], [70, "<100", "<100", 0], [1600, 900, 700, 0]],
        ),
        # A row without a count in the column cannot take it, and is not hidden.
        (
            [(60, 3, 0), (50, 0, 0), (70, 30, 0)],
            [[63, "<100", "<10", 0], [50, 50, 0, 0], [100, "<100", "<100", 0]],
        ),
        # The sum of a column alone would tell it.
        ([(60, 3, 0), (50, 0, 0)], []),
        ([(60, 9, 0), (50, 9, 0)], []),
        # So few requests are those of few people.
        ([(4, 0, 0), (60, 12, 0)], [["<10", "<10", 0, 0], ["<100", "<100", "<100", 0]]),
        ([(4, 2, 0), (60, 22, 0)], [["<10", "<10", "<10", 0], ["<100", "<100", "<100", 0]]),
    ],
)
def test_a_small_count_can_be_any_by_the_sums_of_rows_and_columns(rows, seen):
    table = table_of(*rows)
    public = without_small(table, share="answered_share")
    assert shown(public) == seen
    assert public.is_private is (not seen)
    assert all(
        ("answered_share" in row.numbers) is (row.numbers["answered"].value is not None)
        for row in public.rows
    )
    totals = [sum(column) for column in zip(*rows, strict=True)]
    for at, row in enumerate(rows if seen else ()):
        for column, count in enumerate(row):
            if 0 < count < 10:
                # Of few requests, the others have their part too.
                others = sum(row) - count if sum(row) < 10 else 0
                assert possible(public, totals, at, column) >= set(range(1, 10 - others)), (at, column)


def test_where_no_sum_of_a_column_is_public_one_row_is_hidden_alone():
    public = without_small(
        table_of((60, 3, 0), (50, 0, 0)), share="answered_share", unknown=("answered", "refused")
    )
    assert shown(public) == [[63, "<100", "<10", 0], [50, 50, 0, 0]]


@pytest.fixture
def few_refused_dir(tmp_path, monkeypatch):
    """Return a folder with the record of an attack in which two apps and a browser were refused a few requests."""
    complete = recorded.moment

    def moment(at_s, *, load=0, texts=recorded.TEXTS):
        one = complete(at_s, load=load, texts=texts)
        hurt = 1 if at_s == recorded.ONSET_S + 100 else 0
        ivory = {"served": 10, "refused": hurt}
        web = {"served": 18, "refused": 15 if at_s == recorded.ONSET_S + 200 else 0}
        return replace(
            one,
            classes=one.classes | {"K1": {"served": 60, "refused": hurt}},
            channels=one.channels | {"apps": {"served": 30, "refused": hurt}, "web": web},
            applications={"Tusky": {"served": 20}, "Ivory": ivory},
            known={"apps": {"served": 30, "refused": hurt}, "web": web, "posting": {"served": 6}},
            known_applications={"Tusky": {"served": 20}, "Ivory": ivory},
        )

    monkeypatch.setattr(recorded, "moment", moment)
    recorded.write_both(tmp_path)
    return tmp_path


def test_a_public_edition_says_fewer_than_10_of_the_refused_requests_of_apps_in_every_form(few_refused_dir):
    data = data_of(few_refused_dir)
    assert "| Ivory | 99.98 % | 6,001 | 0 | 1 | 0 |" in made(data, edition="internal").form("md")
    public = made(data, edition="public")
    for form in ("md", "html"):
        text = " ".join(re.sub(r"<[^>]*>|\|", " ", public.form(form)).split())
        for row in (
            "Members in apps not public 18,001 fewer than 10 0",
            "Apps not public 18,001 0 fewer than 10 0",
            "Ivory not public 6,001 0 fewer than 10 0",
        ):
            assert row in text, (form, row)
    found = json.loads(public.form("json"))
    assert "channels" not in found["tables"]
    for name in ("clients", "classes", "known", "known_applications"):
        counts = [one["value"] for row in found["tables"][name] for one in row["numbers"].values()]
        assert not [count for count in counts if isinstance(count, int) and 0 < count < 10], name
    assert found["series"]["clients"]["rows"] == []
    assert ",refused,fewer than 10," in public.form("csv")
    path = few_refused_dir / "report.json"
    path.write_text(public.form("json"))
    assert "(100.0 %)" in recomputed(path, few_refused_dir)


def test_if_fewer_than_10_requests_failed_in_all_their_share_is_not_public_but_that(few_refused_dir):
    data = data_of(few_refused_dir)
    data = replace(
        data,
        numbers=data.numbers | {"known_missed": replace(data.numbers["known_missed"], value=1)},
    )
    public = made(data, edition="public")
    assert "known from before, all but fewer than 10 succeeded." in " ".join(public.form("md").split())
    found = json.loads(public.form("json"))["numbers"]
    assert "known_share" not in found
    assert (found["known_missed"]["value"], found["known_missed"]["below"]) == (None, 10)


def counted(table, **rows):
    """Return a table of requests by outcome with these rows, each as (answered or succeeded, refused)."""
    one = table.rows[0].numbers["requests"]
    share = table.columns[-1]
    filled = []
    for name, (good, refused) in rows.items():
        counts = dict.fromkeys(table.columns, 0) | {table.columns[1]: good, "refused": refused}
        counts |= {"requests": good + refused, share: good / (good + refused)}
        filled.append(NumberRow((name,), {key: replace(one, value=value) for key, value in counts.items()}))
    return replace(table, rows=tuple(filled))


def test_a_small_count_does_not_follow_from_another_table(data_dir):
    """Apps were refused 3 requests, and members who post 30, and those on pages 50."""
    data = data_of(data_dir)
    tables = data.tables
    members = {"web": (9_000, 50), "posting": (20_000, 30), "apps": (18_000, 3)}
    refused = tables["collateral_channels"]
    numbers = refused.rows[0].numbers
    by_rule = {("web", "queue/identity"): 50, ("posting", "queue/full"): 30, ("apps", "queue/identity"): 3}
    by_number = tables["because"].rows[0].numbers["refused"]
    tables |= {
        "known": counted(tables["known"], **members),
        "clients": counted(
            tables["clients"], visitors=(90_000, 1_000_000), members=(29_000, 80), apps=(18_000, 3)
        ),
        "classes": counted(tables["classes"], K3=(90_000, 1_000_000), K1=(27_000, 53), K0=(20_000, 30)),
        "because": replace(
            tables["because"],
            rows=tuple(
                NumberRow((rule,), {"refused": replace(by_number, value=value)})
                for rule, value in (("queue/full", 1_000_030), ("queue/identity", 53))
            ),
        ),
        "collateral_channels": replace(
            refused,
            rows=tuple(
                NumberRow(key, numbers | {"refused": replace(numbers["refused"], value=value)})
                for key, value in by_rule.items()
            ),
        ),
    }
    totals = {"refused_known": 83, "known_missed": 83, "refused": 1_000_083, "answered": 137_000, "gone": 0}
    data = replace(
        data,
        tables=tables,
        numbers=data.numbers
        | {name: replace(data.numbers[name], value=value) for name, value in totals.items()},
    )
    found = json.loads(made(data, edition="public").form("json"))

    def exact(table):
        return [one["numbers"]["refused"]["value"] for one in found["tables"][table]]

    # What the report still says allows any number of apps among the other 33.
    assert found["numbers"]["refused_known"]["value"] == 83
    assert sorted(exact("collateral_channels"), key=str) == [50, None, None]
    for table in ("known", "clients", "classes", "because"):
        assert not any(exact(table)), table
    assert found["numbers"]["known_missed"]["value"] is None
    assert "known_share" not in found["numbers"]


def test_few_sampled_requests_of_members_are_not_public(data_dir):
    data = data_of(data_dir)
    for name, kind in (("sources", "member"), ("agents", "app")):
        table = data.tables[name]
        few = tuple(
            replace(row, numbers=row.numbers | {"sampled": replace(row.numbers["sampled"], value=3)})
            if row.key == (kind,)
            else row
            for row in table.rows
        )
        public = made(replace(data, tables=data.tables | {name: replace(table, rows=few)}), edition="public")
        assert json.loads(public.form("json"))["tables"][name] == []
    over_time = data.series["sources"]
    first = over_time.rows[0]
    quiet = replace(
        first,
        key=(first.key[0], "member"),
        numbers={"sampled": replace(first.numbers["sampled"], value=2)},
    )
    series = data.series | {"sources": replace(over_time, rows=(quiet, *over_time.rows[1:]))}
    public = made(replace(data, series=series), edition="public")
    assert json.loads(public.form("json"))["series"]["sources"]["rows"] == []
    assert public.form("html")


def test_small_sums_of_all_requests_are_hidden_with_the_answered_ones_and_the_charts(data_dir):
    data = data_of(data_dir)
    gone = data.numbers | {"gone": replace(data.numbers["gone"], value=2)}
    found = json.loads(made(replace(data, numbers=gone), edition="public").form("json"))
    assert (found["numbers"]["gone"]["value"], found["numbers"]["gone"]["below"]) == (None, 10)
    assert found["numbers"]["answered"]["value"] is None
    assert found["series"]["outcomes"]["rows"] == []
