"""The printed summary of a drill."""

from __future__ import annotations

import json
from dataclasses import replace

from stormpetrel.drill import scenario, table
from stormpetrel.drill.record import OK, REFUSED, TIMEOUT, AttackSecond, CarrierBill, Line
from stormpetrel.drill.score import Scores, score

SCENARIO = scenario.build("t", (10, "calm", ()), (10, "A1", [("A1", 1.0)]), (10, "calm again", ()))


def line(t: float, outcome: str = OK, channel: str = "apps", who: str = "lena", **more: object) -> Line:
    fields: dict[str, object] = {
        "phase": SCENARIO.at(t).name,
        "kind": "own",
        "app": "Tusky",
        "address_kind": "own",
        "status": 200,
        "ms": 12.0,
        "late_ms": 0.0,
        "known": True,
    } | more
    return Line(t=t, outcome=outcome, channel=channel, who=who, **fields)  # type: ignore[arg-type]


def run(*lines: Line, attacks: tuple[AttackSecond, ...] = ()) -> Scores:
    return score(SCENARIO, lines, attacks, [], None)


def test_the_last_line_is_for_comparing() -> None:
    lines = [line(11 + i / 100, who=f"p{i}") for i in range(99)] + [line(12, REFUSED, who="p99")]
    lines += [line(12, channel="posting", who="p1"), line(12, TIMEOUT, channel="new", known=False, who="n")]
    assert (
        table.kept_line([run(*lines)])
        == "kept: apps 99.0 · posts 100 · new 0.0 · collateral 1.00 % · mitigated 0.0 s · lost 0"
    )


def test_a_hundred_is_written_only_where_nothing_is_missing() -> None:
    assert [table.percent(value) for value in (100.0, 99.999, 99.95, 99.94, 99.0, 0.0)] == [
        *("100", "99.9", "99.9", "99.9", "99.0", "0.0")
    ]


def test_rows_pool_what_was_asked_and_name_the_worst_phase() -> None:
    good = run(*[line(t / 2) for t in range(60)], attacks=(AttackSecond(11, "A1", 10, 9, 1, 0, 0),))
    bad = run(*[line(t / 2, TIMEOUT if 10 <= t / 2 < 20 else OK) for t in range(60)])
    rows = {row[0]: row for row in table.channel_rows([good, bad])}
    assert rows["apps"][:5] == ("apps", "40", "50.0", "0.0", "A1")
    assert rows["crowd"][:3] == ("crowd", "10", "90.0")


def test_every_goal_has_a_row_and_applications_that_were_hit_are_named() -> None:
    rows = dict(table.score_rows([run(line(11, REFUSED, contract=False), line(12, who="tim", app="Ivory"))]))
    assert [name.split()[0] for name in rows] == [
        "G2",
        "G2",
        "G2",
        "G3",
        "G3",
        "G4",
        "G5",
        "G5",
        "G7",
        "G8",
        "G9",
    ]
    assert rows["G2 collateral"] == "1 of 2 known users refused at least once; by app: Tusky 1"
    assert rows["G2 requests"] == "1 of 2 requests of known users refused, 50000 per 100,000"
    assert rows["G8 contract kept"].startswith("0.0 % of 1 ")


def test_lost_and_doubled_texts_have_a_row() -> None:
    lines = [line(11, TIMEOUT, channel="sms_answers"), line(12, channel="sms_deliveries"), line(13, TIMEOUT)]
    scores = replace(run(*lines), bill=CarrierBill(40, 40, 800, doubled=2))
    rows = dict(table.score_rows([scores]))
    assert rows["G7 texts"] == "40 at the carrier, 1 that members waited for never came, 2 doubled"


def test_scores_become_json_also_where_a_ratio_has_no_end() -> None:
    scores = run(line(11, REFUSED, address_kind="tor"), line(12, who="tim"))
    plain = json.loads(json.dumps(table.as_json(scores), allow_nan=False))
    assert plain["collateral"]["shared_to_own"] is None
    assert plain["kept"]["apps"] == {"ok": 1, "asked": 2, "percent": 50.0}


def test_a_comparison_has_a_column_for_each_mode() -> None:
    full, off = run(*[line(11 + i / 10) for i in range(20)]), run(line(12, TIMEOUT))
    heads, rows = table.comparison([("full", [full]), ("off", [off])])
    assert heads == ["", "full", "off"]
    assert ["apps %", "100", "0.0"] in rows
    assert all(len(row) == 3 for row in rows)
