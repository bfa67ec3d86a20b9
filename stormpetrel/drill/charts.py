"""Charts as HTML with inline SVG, from plain values. No script; the stylesheet (report.py) sets the colours.

The SVG holds only lines and areas and stretches to the available width. All text is HTML beside it, so its
size stays the same, on a phone too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

from stormpetrel.drill.over_time import Values
from stormpetrel.drill.scenario import Scenario

WIDTH = 1000.0
HEIGHT = 100.0
Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart. `style`: a class of the stylesheet. `is_filled`: filled down to the bottom.

    `hangs`: filled up to the top instead, to show how much is missing from the maximum.
    """

    values: Values
    style: str
    is_filled: bool = False
    hangs: bool = False


@dataclass(frozen=True, slots=True)
class AxisMarks:
    """The vertical axis: `scale` maps a value to 0 (bottom) … 1 (top); `labels`: value and text."""

    scale: Scale
    labels: tuple[tuple[float, str], ...]


def linear(most: float, unit: str = "") -> AxisMarks:
    """Return an axis from 0 to `most`, rounded up to a round number."""
    top = nice(most)
    return AxisMarks(lambda value: value / top, ((0.0, "0"), (top, f"{top:,g}{unit}")))


def logarithmic(least: float, most: float, labels: Sequence[tuple[float, str]]) -> AxisMarks:
    """Return an axis where each factor of ten has the same height; values out of range stay at the edge."""
    low, high = log10(least), log10(most)

    def scale(value: float) -> float:
        return (log10(min(max(value, least), most)) - low) / (high - low)

    return AxisMarks(scale, tuple(labels))


def nice(most: float) -> float:
    """Return the first of 1, 2, 5, 10, 20, 50 … that is at least `most`; 1 if `most` is 1 or less."""
    if most <= 1:
        return 1.0
    power = 10.0 ** int(log10(most))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= most), 10 * power)


def chart(
    *,
    title: str,
    about: str,
    curves: Sequence[Curve],
    marks: AxisMarks,
    scenario: Scenario,
    style: str = "strip",
) -> str:
    """Return a strip over the whole run, with the phases behind it. `title` and `about` are texts, not HTML.

    `style`: its classes in the stylesheet.
    """
    lines = "".join(
        f'<line class="grid" x1="0" x2="{WIDTH:g}" y1="{y:.2f}" y2="{y:.2f}"/>'
        for y in (_y(marks.scale(value)) for value, _ in marks.labels)
    )
    labels = "".join(
        f'<span class="mark" style="bottom:{marks.scale(value) * 100:.1f}%">{escape(text)}</span>'
        for value, text in marks.labels
    )
    drawn = "".join(_curve(curve, marks.scale) for curve in curves)
    return (
        f'<figure class="{style}"><figcaption><b>{escape(title)}</b> {escape(about)}</figcaption>'
        f'<div class="plot"><div class="marks" aria-hidden="true">{labels}</div>'
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(f"{title}: {about}")}">{_bands(scenario)}{lines}{drawn}</svg></div></figure>'
    )


def ruler(scenario: Scenario) -> str:
    """Return a row with the numbers of the phases, as wide as the strips below."""
    parts = "".join(
        f'<span class="{"calm" if phase.is_calm else "attack"}" '
        f'style="left:{phase.start_s / scenario.seconds * 100:.3f}%;'
        f'width:{(phase.end_s - phase.start_s) / scenario.seconds * 100:.3f}%">{number}</span>'
        for number, phase in enumerate(scenario.phases, start=1)
    )
    return f'<div class="plot ruler" aria-hidden="true"><div></div><div class="phases">{parts}</div></div>'


def phase_list(scenario: Scenario, about: Callable[[str], str]) -> str:
    """Return the list that explains the phase numbers. `about` describes a vector."""
    items = []
    for phase in scenario.phases:
        vectors = "; ".join(f"{name} {about(name)} × {scale:g}" for name, scale in phase.vectors)
        told = f": {vectors}" if vectors else ""
        items.append(
            f"<li><b>{escape(phase.name)}</b> {phase.start_s:g} to {phase.end_s:g} s{escape(told)}</li>"
        )
    return f'<ol class="phaselist">{"".join(items)}</ol>'


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    style: Callable[[str, str], str] = lambda row, text: "",
) -> str:
    """Return a table; the first cell of a row names it. `style`: (row name, cell text) → CSS class."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = ""
    for row in rows:
        cells = "".join(f'<td class="{style(row[0], text)}">{escape(text)}</td>' for text in row[1:])
        body += f'<tr><th scope="row">{escape(row[0])}</th>{cells}</tr>'
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _bands(scenario: Scenario) -> str:
    return "".join(
        f'<rect class="band" x="{phase.start_s / scenario.seconds * WIDTH:.2f}" y="0" '
        f'width="{(phase.end_s - phase.start_s) / scenario.seconds * WIDTH:.2f}" height="{HEIGHT:g}"/>'
        for phase in scenario.phases
        if not phase.is_calm
    ) + "".join(
        f'<line class="border" x1="{phase.start_s / scenario.seconds * WIDTH:.2f}" '
        f'x2="{phase.start_s / scenario.seconds * WIDTH:.2f}" y1="0" y2="{HEIGHT:g}"/>'
        for phase in scenario.phases[1:]
    )


def _curve(curve: Curve, scale: Scale) -> str:
    """Draw steps, as a value stands for a whole slice; leave a gap where there is no value."""
    width = WIDTH / len(curve.values)
    line, area = "", ""
    ground = 0.0 if curve.hangs else HEIGHT
    begun: float | None = None
    for number, value in enumerate((*curve.values, None)):
        x = number * width
        if value is None:
            if begun is not None:
                area += f"V{ground:g}H{begun:.2f}Z"
            begun = None
            continue
        y = _y(scale(value))
        if begun is None:
            begun = x
            line += f"M{x:.2f} {y:.2f}"
            area += f"M{x:.2f} {ground:g}V{y:.2f}"
        else:
            line += f"V{y:.2f}"
            area += f"V{y:.2f}"
        line += f"H{x + width:.2f}"
        area += f"H{x + width:.2f}"
    filled = f'<path class="area {curve.style}" d="{area}"/>' if curve.is_filled or curve.hangs else ""
    return f'{filled}<path class="line {curve.style}" d="{line}"/>'


def _y(share: float) -> float:
    return HEIGHT * (1 - min(max(share, 0.0), 1.0))
