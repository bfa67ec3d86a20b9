"""The report: values over time, charts, and the page, which is also opened in a real browser."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from stormpetrel.drill import charts, over_time
from stormpetrel.drill.charts import AxisMarks, Curve
from stormpetrel.drill.over_time import Slices
from stormpetrel.drill.record import FAILED, OK, REFUSED, AttackSecond, CpuUsage, FoundPost, Line, Run
from stormpetrel.drill.report import page, write_report
from stormpetrel.drill.run import Result
from stormpetrel.drill.scenario import build
from tests.markup import Page

SCENARIO = build("only A3", (10, "calm", ()), (20, "few", (("A3", 0.5),)), (10, "calm again", ()))


def line(t: float, outcome: str = OK, **more: Any) -> Line:
    """Return a line for a request of a member's app."""
    fields = {"kind": "own", "channel": "apps", "who": "ann", "app": "Tusky", "address_kind": "own"} | more
    status = {OK: 200, REFUSED: 429}.get(outcome, 0)
    return Line(
        **{
            "t": t,
            "phase": SCENARIO.at(t).name,
            "status": status,
            "ms": 20.0,
            "late_ms": 0.1,
            "outcome": outcome,
            "known": True,
            "contract": True if outcome == REFUSED else None,
            **fields,
        }
    )


def result(*, seed: int = 1, mode: str = "full", front: str = "", refused_from_s: float = 99.0) -> Result:
    """Return a result of forty seconds with ten requests a second. From `refused_from_s` to second 30, half
    are refused.
    """
    lines = [
        line(
            number / 10,
            REFUSED if refused_from_s <= number / 10 < 30 and number % 2 else OK,
            who=f"person {number % 50}",
        )
        for number in range(400)
    ]
    lines += [line(second, channel="new", kind="new", app="", known=False) for second in range(40)]
    attacks = [AttackSecond(float(second), "A3", 700, 100, 600, 0, 50, 0.2) for second in range(10, 30)]
    return Result(
        Run(SCENARIO, mode, front, seed, 0.5),
        tuple(lines),
        tuple(attacks),
        (FoundPost("a text", 1),),
        CpuUsage(people_s=1.0, attackers_s=4.0, server_s=20.0, available_s=80.0),
    )


# Values over time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1, Slices(2, 1)),
        (60, Slices(2, 30)),
        (61, Slices(2, 31)),
        (300, Slices(4, 75)),
        (3600, Slices(40, 90)),
    ],
)
def test_a_run_is_cut_into_at_most_ninety_slices_of_whole_seconds(seconds, expected):
    assert over_time.slices(seconds) == expected


def test_a_moment_after_the_end_is_in_the_last_slice_and_one_before_the_start_in_the_first():
    cut = Slices(2, 5)
    assert [cut.of(t) for t in (-1, 0, 1.9, 2, 9.9, 12)] == [0, 0, 0, 1, 4, 4]


def test_kept_is_the_share_of_first_attempts_that_were_served_and_a_gap_where_nobody_asked():
    lines = [line(0.5), line(1, FAILED), line(1, REFUSED, is_retry=True), line(4, REFUSED), line(5)]
    lines += [line(0, channel="web", app="")]
    assert over_time.kept(lines, Slices(2, 3)) == {"apps": (50.0, None, 50.0), "web": (100.0, None, None)}


def test_channels_come_in_their_usual_order_and_unknown_ones_last():
    lines = [line(0, channel=channel) for channel in ("zebra", "new", "web", "apps")]
    assert list(over_time.kept(lines, Slices(2, 1))) == ["apps", "web", "new", "zebra"]


def test_latency_is_that_of_members_requests_that_were_served():
    lines = [line(0, ms=ms) for ms in (10.0, 20.0, 30.0)]
    lines += [line(0, REFUSED, ms=900.0), line(0, channel="new", ms=800.0)]
    assert over_time.latency_ms(lines, Slices(2, 2), 50) == (20.0, None)
    assert over_time.latency_ms(lines, Slices(2, 2), 99) == (30.0, None)


def test_refusals_are_counted_a_second_with_retries():
    lines = [line(0, REFUSED), line(1, REFUSED, is_retry=True), line(1), line(3, FAILED)]
    assert over_time.refused_per_s(lines, Slices(2, 2)) == (1.0, 0.0)


def test_vectors_are_told_apart_and_come_by_number():
    attacks = [
        AttackSecond(0, "A10", 10, 1, 4, 0, 5),
        AttackSecond(1, "A10", 30, 1, 0, 0, 5),
        AttackSecond(2, "A3", 8, 8, 0, 0, 5),
        AttackSecond(2, "A17", 0, 0, 0, 0, 0),
    ]
    found = over_time.vectors(attacks, Slices(2, 2))
    assert list(found) == ["A3", "A10"]
    assert found["A10"] == over_time.VectorRates((20.0, 0.0), (2.0, 0.0), 40, 4, 30)
    assert over_time.attackers_refused_per_s(attacks, Slices(2, 2)) == (2.0, 0.0)


def test_the_extreme_of_nothing_is_nothing():
    assert over_time.extreme((None, 3.0, 1.0), min) == 1.0
    assert over_time.extreme((None,), max) is None


# Charts --------------------------------------------------------------------------------------------------


def path_of(chart: str, kind: str) -> str:
    found = re.search(rf'<path class="{kind} [a-z]+" d="([^"]*)"', chart)
    assert found
    return found[1]


def chart(values: over_time.Values, marks: AxisMarks | None = None, **more: Any) -> str:
    return charts.chart(
        title="apps",
        about="a <b> & c",
        curves=[Curve(values, "kept", **more)],
        marks=marks or charts.linear(100),
        scenario=SCENARIO,
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
    assert 'left:25.000%;width:50.000%">2</span>' in charts.ruler(SCENARIO)


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


# The page ------------------------------------------------------------------------------------------------


class WholePage(Page):
    """A page parser that also accepts the self-closing elements of SVG drawings."""

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        assert tag in {"rect", "line", "path"}


COLUMNS = [
    ("full", [result(seed=1), result(seed=2), result(seed=3, refused_from_s=25.0)]),
    ("off", [result(mode="off", refused_from_s=10.0)]),
    ("nginx", [result(mode="off", front="nginx", refused_from_s=15.0)]),
]


def test_the_page_is_whole_has_no_script_and_loads_nothing():
    text = page(COLUMNS)
    read = WholePage(text)
    assert read.scripts == 0
    assert read.headings.count(1) == 1
    assert read.langs == ["en"]
    assert "src=" not in text
    assert "href=" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_the_page_says_what_the_terminal_says():
    text = unescape(page(COLUMNS))
    assert "kept: apps 100 · new 100" in text
    assert "A3 few sources, dynamic pages × 0.5" in text
    assert "at most 700 a second, 14,000 in all, 86 % refused" in text
    assert "the server used 60.0 s, the people 3.0 s, the attackers 12.0 s, of 240 s" in text
    assert "nginx with limit_req before mode off" in text
    assert "seeds 1, 2, 3" in text


def test_modes_stand_side_by_side_and_their_figures_are_shaded():
    text = page(COLUMNS)
    row = re.search(r'<tr><th scope="row">apps %</th>(.*?)</tr>', text)
    assert row
    assert re.findall(r'<td class="(\w+)">([\d.]+)</td>', row[1]) == [
        ("good", "100"),
        ("bad", "50.0"),
        ("bad", "62.5"),
    ]
    assert "Side by side" not in page(COLUMNS[:1])


def test_of_several_runs_the_one_in_the_middle_is_drawn():
    first, second, third = (
        result(seed=1),
        result(seed=2, refused_from_s=10.0),
        result(seed=3, refused_from_s=20.0),
    )
    assert "of seed 3, the middle one" in page([("full", [first, second, third])])


def test_margins_that_were_kept_and_missed_are_said():
    assert "Every margin was kept." in page([("full", [result()])])
    missed = unescape(page([("off", [result(refused_from_s=10.0)])]))
    assert "Fell short:" in missed
    assert "G1: apps 50.00 %, at least 99.5 % wanted" in missed
    assert "Every margin" not in missed


def test_people_who_were_refused_are_counted_by_channel_and_by_application():
    text = page([("off", [result(refused_from_s=10.0)])])
    assert re.search(r'<th scope="row">apps</th><td class="">50</td><td class="">25</td>', text)
    assert re.search(r'<th scope="row">Tusky</th><td class="">50</td><td class="">25</td>', text)


def test_a_run_that_measured_itself_is_called_so():
    busy = result()
    busy = Result(busy.run, busy.lines, busy.attacks, busy.found, CpuUsage(10.0, 60.0, 20.0, 80.0))
    text = unescape(page([("full", [busy])]))
    assert "This drill is not valid" in text
    assert "Every margin" not in text


def test_names_from_outside_are_escaped():
    lines = [line(t, app="<script>alert(1)</script>") for t in range(30)]
    evil = result()
    text = page([("full", [Result(evil.run, tuple(lines), (), (), evil.usage)])])
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_run_without_an_attack_has_a_page_too():
    calm = result()
    quiet = build("calm", (40, "calm", ()))
    text = page([("full", [Result(Run(quiet, "full", "", 1, 1.0), calm.lines, (), (), calm.usage)])])
    WholePage(text)
    assert "The attack" not in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_follows_the_readers_colours(browser, tmp_path: Path, scheme):
    write_report(tmp_path / "report.html", COLUMNS)
    context = browser.new_context(viewport={"width": 360, "height": 800}, color_scheme=scheme)
    with context:
        shown = context.new_page()
        shown.goto(f"file://{tmp_path}/report.html")
        # The page's CSP forbids its own scripts, but not the browser's evaluation.
        assert shown.evaluate("document.documentElement.scrollWidth") <= 360
        widths = shown.evaluate("[...document.querySelectorAll('section svg')].map(e => e.clientWidth)")
        assert len(widths) == 6  # two channels, latency, refusals of people and attackers, one vector
        assert min(widths) > 200
        paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(part) for part in re.findall(r"\d+", paper)[:3]) / 3
        assert (brightness < 60) == (scheme == "dark")
