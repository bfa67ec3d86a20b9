"""The report as a page, which is also opened in a real browser."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from stormpetrel.drill.record import OK, REFUSED, AttackSecond, CpuUsage, FoundPost, Run
from stormpetrel.drill.report import page, write_report
from stormpetrel.drill.run import Result
from stormpetrel.drill.scenario import build
from tests.drill.lines import SCENARIO, line
from tests.markup import Page


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
    assert "the server used 60.0 s, the simulated users 3.0 s, the attackers 12.0 s, of 240 s" in text
    assert "nginx with limit_req in front of mode off" in text
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
    assert ", seed 3 (the median run)" in page([("full", [first, second, third])])


def test_margins_that_were_kept_and_missed_are_said():
    assert "Every target was met." in page([("full", [result()])])
    missed = unescape(page([("off", [result(refused_from_s=10.0)])]))
    assert "Missed targets:" in missed
    assert "G1: apps 50.00 %, at least 99.5 % required" in missed
    assert "Every target" not in missed


def test_people_who_were_refused_are_counted_by_channel_and_by_application():
    text = page([("off", [result(refused_from_s=10.0)])])
    assert re.search(r'<th scope="row">apps</th><td class="">50</td><td class="">25</td>', text)
    assert re.search(r'<th scope="row">Tusky</th><td class="">50</td><td class="">25</td>', text)


def test_a_run_that_measured_itself_is_called_so():
    busy = result()
    busy = Result(busy.run, busy.lines, busy.attacks, busy.found, CpuUsage(10.0, 60.0, 20.0, 80.0))
    text = unescape(page([("full", [busy])]))
    assert "This drill is not valid" in text
    assert "Every target" not in text


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
