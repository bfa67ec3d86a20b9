"""A report as one HTML file: no script, nothing loaded, readable in dark mode, on a phone and on paper."""

from __future__ import annotations

import re
from html import escape

from stormpetrel import charts
from stormpetrel.insight.document import (
    Bars,
    Block,
    Bullets,
    Figure,
    Grid,
    InsightReport,
    Line,
    Paragraph,
    Piece,
    Strips,
)

_CODE = re.compile(r"`([^`]*)`")
_STYLE = (
    charts.STYLE
    + """
main{max-width:52rem}
.lead{font-size:1.15rem;line-height:1.55}.lead p{margin:0 0 .6rem}
.sub,.hint{color:var(--soft)}.hint{font-size:.9rem}
p,li{overflow-wrap:anywhere}
a.n{color:inherit;text-decoration:none;white-space:nowrap;border-bottom:1px dotted var(--soft)}
td a.n,dd a.n{border-color:transparent}
a.n:hover,a.n:focus{border-bottom:1px solid}
a{color:var(--refused)}a.n{color:inherit}
th.words{text-align:left!important}
.times{display:flex;justify-content:space-between;font-size:.75rem;color:var(--soft);margin:.1rem 0 0 3.6rem}
.kept-line.line{stroke:var(--kept)}.kept-line.area{fill:var(--kept)}
.bars{margin:.75rem 0}.bars figcaption{margin-left:0}
.bars dl{display:grid;grid-template-columns:minmax(7rem,14rem) 1fr auto;gap:.2rem .6rem;margin:.3rem 0;
font-size:.92rem}
.bars dt,.bars dd{margin:0}.bars dd.bar{align-self:center;height:.8rem;background:var(--band);border-radius:.2rem}
.bars dd.bar i{display:block;height:100%;background:var(--refused);border-radius:.2rem;min-width:1px}
.bars dd.value{text-align:right;align-self:center;font-variant-numeric:tabular-nums}
td.words{min-width:0}
nav ul{columns:2 9rem;margin:0 0 1rem;padding-left:1.2rem}
.queries{font-size:.8rem;padding-left:2.2rem}.queries code{overflow-wrap:anywhere;white-space:pre-wrap}
.queries li:target{background:var(--fair)}
:target{scroll-margin-top:1rem}
@media(max-width:40rem){main{padding:.5rem}section,details{padding:.75rem}.lead{font-size:1.05rem}
.bars dl{grid-template-columns:8rem 1fr auto}}
@media print{details>*{display:block}a.n{border:0}section{break-inside:avoid-page;padding:0}h2{break-after:avoid}
.queries{font-size:.65rem}}
"""
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The page's Content-Security-Policy. Charts need style attributes; scripts, images and connections are forbidden."""


class _Queries:
    """The queries of the page, each once, with their numbers."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, str], int] = {}

    def number(self, file: str, query: str) -> int:
        """Return the number of a query on the page, from 1."""
        return self.numbers.setdefault((file, query), len(self.numbers) + 1)


def html(report: InsightReport) -> str:
    """Return the page."""
    queries = _Queries()
    summary = "".join(f"<p>{_line(line, queries)}</p>" for line in report.summary)
    links = "".join(
        f'<li><a href="#{section.name}">{escape(section.title)}</a></li>' for section in report.sections
    )
    sections = "".join(
        f'<section id="{section.name}"><h2>{escape(section.title)}</h2>'
        f"{''.join(_block(block, queries) for block in section.blocks)}</section>"
        for section in report.sections
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">'
        f"<title>{escape(report.title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>{escape(report.title)}</h1><p class="sub">{escape(report.subtitle)}</p>'
        f'<section class="lead" id="summary">{summary}</section><nav aria-label="Sections"><ul>{links}</ul></nav>'
        f"{sections}{_listed(queries)}</main></body></html>\n"
    )


def _listed(queries: _Queries) -> str:
    """Return the list of queries, in which a number's link ends."""
    items = "".join(
        f'<li id="q{number}">{escape(file)}: <code>{escape(query)}</code></li>'
        for (file, query), number in queries.numbers.items()
    )
    return (
        '<details id="queries"><summary><h2>Queries</h2></summary><p class="hint">Each number is the result of a '
        "query on a file in the data directory. Select a number to see its query.</p>"
        f'<ol class="queries">{items}</ol></details>'
    )


def _block(block: Block, queries: _Queries) -> str:
    match block:
        case Paragraph():
            style = ' class="hint"' if block.is_note else ""
            return f"<p{style}>{_line(block.line, queries)}</p>"
        case Bullets():
            return f"<ul>{''.join(f'<li>{_line(line, queries)}</li>' for line in block.lines)}</ul>"
        case Grid():
            return _grid(block, queries)
        case Bars():
            return _bars(block, queries)
        case Strips():
            return _strips(block, queries)


def _grid(grid: Grid, queries: _Queries) -> str:
    style = ' class="words"' if grid.is_text else ""
    head = "".join(f'<th scope="col"{style}>{escape(text)}</th>' for text in grid.heads)
    body = ""
    for first, *rest in grid.rows:
        cells = "".join(f"<td{style}>{_line(cell, queries)}</td>" for cell in rest)
        body += f'<tr><th scope="row">{_line(first, queries)}</th>{cells}</tr>'
    # Keyboards scroll it only if it can have the focus.
    label = escape(grid.heads[0])
    opened = f'<div class="scroll" role="group" aria-label="{label}" tabindex="0">'
    return f"{opened}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _bars(block: Bars, queries: _Queries) -> str:
    rows = "".join(
        f'<dt>{escape(bar.name)}</dt><dd class="bar"><i style="width:{bar.share * 100:.1f}%"></i></dd>'
        f'<dd class="value">{_piece(bar.figure, queries)}</dd>'
        for bar in block.bars
    )
    return (
        f'<figure class="bars"><figcaption><b>{escape(block.title)}</b></figcaption><dl>{rows}</dl></figure>'
    )


def _strips(block: Strips, queries: _Queries) -> str:
    parts = [charts.ruler(block.bands)] if block.bands else []
    hundred = charts.AxisMarks(lambda value: value / 100, ((0.0, "0"), (100.0, "100 %")))
    parts += [
        charts.chart(
            title=strip.title,
            about=strip.about,
            curves=strip.curves,
            marks=charts.linear(strip.most) if strip.most else hundred,
            bands=block.bands,
        )
        for strip in block.strips
    ]
    number = queries.number(block.file, block.query)
    parts.append(f'<p class="times"><span>{block.first}</span><span>{block.last} UTC</span></p>')
    parts.append(
        f'<p class="hint">Numbered bands: phases; coloured: attacks. <a class="n" href="#q{number}">Query</a></p>'
    )
    return "".join(parts)


def _line(line: Line, queries: _Queries) -> str:
    return "".join(_piece(piece, queries) for piece in line)


def _piece(piece: Piece, queries: _Queries) -> str:
    if not isinstance(piece, Figure):
        return _CODE.sub(r"<code>\1</code>", escape(piece))
    number = queries.number(piece.number.file, piece.number.whole or piece.number.query)
    return f'<a class="n" href="#q{number}">{escape(piece.shown)}</a>'
