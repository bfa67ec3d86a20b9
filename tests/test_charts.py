"""The charts of a report: curves, areas, axes and marks, from plain values."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stormpetrel import charts
from stormpetrel.charts import AxisMarks, Band, Curve

BANDS = (Band(0, 0.25, is_calm=True), Band(0.25, 0.75, is_calm=False), Band(0.75, 1, is_calm=True))


def path_of(chart: str, kind: str) -> str:
    found = re.search(rf'<path class="{kind} [a-z]+" d="([^"]*)"', chart)
    assert found
    return found[1]


def chart(values: charts.Values, marks: AxisMarks | None = None, **more: Any) -> str:
    return charts.chart(
        title="apps",
        about="a <b> & c",
        curves=[Curve(values, "kept", **more)],
        marks=marks or charts.linear(100),
        bands=BANDS,
    )


def test_a_curve_has_a_step_for_each_value_and_a_gap_where_there_is_none():
    drawn = path_of(chart((100.0, 50.0, None, 0.0)), "line")
    assert drawn == "M0.00 0.00H250.00V50.00H500.00M750.00 100.00H1000.00"


def test_an_area_stands_on_the_ground_and_one_that_hangs_shows_what_is_missing():
    assert path_of(chart((100.0, None), is_filled=True), "area") == "M0.00 100V0.00H500.00V100H0.00Z"
    assert path_of(chart((80.0, None), hangs=True), "area") == "M0.00 0V20.00H500.00V0H0.00Z"


def test_the_phases_of_an_attack_are_marked_behind_the_curve():
    drawn = chart((1.0,))
    assert re.findall(r'<rect class="band" x="([\d.]+)" y="0" width="([\d.]+)"', drawn) == [
        ("250.00", "500.00")
    ]
    assert 'left:25.000%;width:50.000%">2</span>' in charts.ruler(BANDS)


def test_what_is_drawn_is_also_said():
    assert 'role="img" aria-label="apps: a &lt;b&gt; &amp; c"' in chart((1.0,))


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 1), (0.3, 1), (1, 1), (1.1, 2), (3, 5), (10, 10), (432, 500), (501, 1000), (1500, 2000)],
)
def test_an_axis_ends_at_a_number_that_is_easily_read(most, top):
    assert charts.nice(most) == top


def test_a_logarithmic_axis_keeps_what_is_outside_at_its_edges():
    marks = charts.logarithmic(1, 10_000, ((10, "10 ms"),))
    assert [marks.scale(value) for value in (0.001, 1, 100, 10_000, 1e9)] == pytest.approx([0, 0, 0.5, 1, 1])
