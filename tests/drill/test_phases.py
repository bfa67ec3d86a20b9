"""How soon the watch notices the attacks of a run, and whether it names them: its metrics beside the timetable."""

from __future__ import annotations

import pytest

from stormpetrel.drill.phases import MEANS, RIGHT, UNKNOWN, WRONG, notices, result_of
from stormpetrel.drill.record import PageLook, look_json, parse
from stormpetrel.drill.scenario import VECTORS, build
from stormpetrel.watch.phases.vectors import RULES

TIMETABLE = build(
    "two",
    (10, "calm", ()),
    (20, "flood", (("A3", 1.0), ("A17", 1.0))),
    (20, "crowd and flood", (("A1", 1.0), ("A3", 1.0))),
    (20, "calm again", ()),
)


def looks(label_at):
    """Return a look each second; `label_at(t)` gives verdict and means."""
    return [PageLook(float(t), 2.0, {"Apps": "operational"}, *label_at(t)) for t in range(70)]


def course(t):
    if t < 12 or t >= 53:
        return "calm", ()
    return ("attack", ("few_sources",)) if t < 33 else ("mixed", ("few_sources",))


def test_notices_and_ends_are_counted_from_the_timetable_and_names_are_right():
    flood, both = notices(TIMETABLE, looks(course))
    assert (flood.noticed_s, flood.over_s, flood.names, flood.result) == (2.0, None, ("few_sources",), RIGHT)
    assert (both.noticed_s, both.over_s) == (3.0, 3.0)
    assert (both.names, both.result) == (("crowd", "few_sources"), RIGHT)


def test_an_attack_that_the_watch_does_not_see_is_unknown_and_not_noticed():
    for one in notices(TIMETABLE, looks(lambda t: ("calm", ()))):
        assert (one.noticed_s, one.names, one.result) == (None, (), UNKNOWN)


@pytest.mark.parametrize(
    ("names", "result"),
    [
        (("few_sources",), RIGHT),
        ((), UNKNOWN),
        (("unknown",), UNKNOWN),
        (("few_sources", "unknown"), UNKNOWN),
        (("page_flood",), WRONG),
        (("few_sources", "page_flood"), WRONG),
    ],
)
def test_a_name_that_was_not_sent_is_wrong_and_a_missing_one_is_unknown(names, result):
    assert result_of(names, ("few_sources",)) == result


@pytest.mark.parametrize(
    ("found", "result"), [(("connection_churn", "streams"), RIGHT), (("streams",), UNKNOWN)]
)
def test_a_vector_in_pulses_is_judged_while_it_is_sent(found, result):
    # It is sent from 10 to 15 s and from 25 to 30 s; between them its name would be wrong.
    timetable = build(
        "pulses", (10, "calm", ()), (20, "both", (("A11", 1.0), ("A15", 1.0))), (10, "calm again", ())
    )
    (both,) = notices(timetable, looks(lambda t: ("attack", found if t in (28, 29) else ("streams",))))
    assert both.result == result
    short = build(
        "short", (10, "calm", ()), (12, "both", (("A11", 1.0), ("A15", 1.0))), (10, "calm again", ())
    )
    (both,) = notices(short, looks(lambda t: ("attack", found if 12 <= t < 15 else ("streams",))))
    assert both.result == result


def test_a_record_of_an_earlier_version_has_no_notices():
    old = parse('{"page": {"Apps": "operational"}, "t": 1.0, "ms": 2.0}')
    assert notices(TIMETABLE, [old]) is None


def test_a_look_is_written_and_read_with_its_verdict():
    look = looks(course)[20]
    assert parse(look_json(look)) == look


def test_the_names_are_those_of_the_watch():
    assert set(MEANS) == set(VECTORS) - {"A17", "A24"}
    assert set(MEANS.values()) - {"crowd"} <= {rule.name for rule in RULES}
