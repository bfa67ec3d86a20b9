"""Charts as HTML with inline SVG, from plain values: for the reports of the drill and of attacks. No script.

The SVG holds only lines and areas and stretches to the available width. All text is HTML beside it, so its
size stays the same, on a phone too. STYLE has the rules that a page with charts and tables needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

WIDTH = 1000.0
HEIGHT = 100.0
Scale = Callable[[float], float]
Values = tuple[float | None, ...]
"""One value for each slice of a chart; None leaves a gap."""


@dataclass(frozen=True, slots=True)
class Band:
    """A phase behind a chart. `begin`, `end`: parts of the width, 0 to 1. `is_calm`: drawn without colour."""

    begin: float
    end: float
    is_calm: bool


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
    bands: Sequence[Band],
    style: str = "strip",
) -> str:
    """Return a strip over the whole time, with the phases behind it. `title` and `about` are texts, not HTML.

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
        f'aria-label="{escape(f"{title}: {about}")}">{_bands(bands)}{lines}{drawn}</svg></div></figure>'
    )


def ruler(bands: Sequence[Band]) -> str:
    """Return a row with the numbers of the phases, as wide as the strips below."""
    parts = "".join(
        f'<span class="{"calm" if band.is_calm else "attack"}" '
        f'style="left:{band.begin * 100:.3f}%;width:{(band.end - band.begin) * 100:.3f}%">{number}</span>'
        for number, band in enumerate(bands, start=1)
    )
    return f'<div class="plot ruler" aria-hidden="true"><div></div><div class="phases">{parts}</div></div>'


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


def _bands(bands: Sequence[Band]) -> str:
    return "".join(
        f'<rect class="band" x="{band.begin * WIDTH:.2f}" y="0" '
        f'width="{(band.end - band.begin) * WIDTH:.2f}" height="{HEIGHT:g}"/>'
        for band in bands
        if not band.is_calm
    ) + "".join(
        f'<line class="border" x1="{band.begin * WIDTH:.2f}" x2="{band.begin * WIDTH:.2f}" y1="0" y2="{HEIGHT:g}"/>'
        for band in bands[1:]
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


STYLE = """
:root{color-scheme:light dark;--paper:#f6f8fa;--card:#fff;--ink:#1d2733;--soft:#5a6776;--rule:#d5dce4;
--band:#e9eef4;--kept:#1f6f5c;--lost:#c0392b;--sent:#8a93a0;--refused:#3a5fa8;--late:#b0621a;
--good:#dff3e8;--fair:#fdf0d0;--bad:#fbdedb}
@media(prefers-color-scheme:dark){:root{--paper:#10161d;--card:#18212b;--ink:#dbe4ee;--soft:#97a5b5;--rule:#2d3a48;
--band:#202c39;--kept:#5cc8a8;--lost:#ff7b6b;--sent:#8592a1;--refused:#7ea6f4;--late:#f0a35c;
--good:#173a2b;--fair:#453711;--bad:#4d211d}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.25rem;margin:0 0 .5rem}h3{font-size:1.1rem;margin:1.5rem 0 .5rem}
h4{font-size:1rem;margin:1.5rem 0 .25rem}
section,details{background:var(--card);border:1px solid var(--rule);border-radius:.6rem;padding:1rem;margin:0 0 1rem}
summary{cursor:pointer}summary h2{display:inline;margin:0}
.kept{font:600 1.05rem/1.5 ui-monospace,monospace;margin:0 0 .5rem;overflow-wrap:anywhere}
.note{border-radius:.4rem;padding:.5rem .75rem;margin:.5rem 0}.note p{margin:0}
.note ul{margin:.25rem 0;padding-left:1.2rem}
.good{background:var(--good)}.fair{background:var(--fair)}.bad{background:var(--bad)}
.scroll{overflow-x:auto;margin:0 0 1rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.92rem}
th,td{padding:.3rem .5rem;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
tbody th,thead th:first-child{text-align:left;font-weight:600;position:sticky;left:0;background:var(--card)}
@media(max-width:40rem){tbody th{white-space:normal;min-width:6rem}th,td{padding:.3rem}}
td.words{text-align:left;white-space:normal;min-width:14rem}
thead th{color:var(--soft);font-weight:600}
.phaselist{padding-left:1.4rem;margin:.25rem 0;font-size:.92rem}
.strip{margin:.5rem 0 0}
figcaption{font-size:.88rem;color:var(--soft);margin-left:3.6rem}figcaption b{color:var(--ink)}
.plot{display:grid;grid-template-columns:3.2rem 1fr;gap:.4rem}
.plot svg{display:block;width:100%;height:3.4rem}.tall svg{height:8rem}
.marks{position:relative;font-size:.72rem;color:var(--soft)}
.mark{position:absolute;right:0;transform:translateY(50%);line-height:1}
.ruler{font-size:.75rem}
.phases{position:relative;height:1.4rem}
.phases span{position:absolute;top:0;bottom:0;text-align:center;overflow:hidden;border-left:1px solid var(--soft);
background:var(--band);color:var(--soft)}
.phases .attack{background:var(--bad);color:var(--ink)}
.band{fill:var(--band)}
.grid,.border{stroke:var(--rule);stroke-width:1;vector-effect:non-scaling-stroke}
.line{fill:none;stroke-width:1.5;vector-effect:non-scaling-stroke}
.area{stroke:none;opacity:.35}
.line.kept{stroke:var(--kept)}.area.kept{fill:var(--lost);opacity:.75}
.line.lost{stroke:var(--lost)}.area.lost{fill:var(--lost)}
.line.sent{stroke:var(--sent)}.area.sent{fill:var(--sent)}
.line.refused{stroke:var(--refused)}.area.refused{fill:var(--refused)}
.line.middle{stroke:var(--kept);stroke-width:2.5}.line.late{stroke:var(--late);stroke-width:1}
footer{color:var(--soft);font-size:.85rem}
@media print{body,section,details{background:#fff;border:0}}
"""
