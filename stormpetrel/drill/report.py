"""`--report`: one HTML file with the whole drill in it, to read, archive and share.

It needs no script and loads nothing; it stays readable in dark mode, on a phone and without colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from stormpetrel import charts
from stormpetrel.charts import Band, Curve
from stormpetrel.drill import over_time, table
from stormpetrel.drill.margins import OWN_VECTORS, shortfalls
from stormpetrel.drill.score import KeptShare, Scores
from stormpetrel.drill.vectors.catalogue import CATALOGUE

if TYPE_CHECKING:
    from stormpetrel.drill.run import Result
    from stormpetrel.drill.scenario import Scenario

Columns = Sequence[tuple[str, Sequence["Result"]]]
"""(mode of the shield or name of a front, its runs) for each column."""

_CHANNELS = {
    "apps": "apps",
    "web": "web sessions",
    "posting": "posts",
    "streaming": "streams",
    "sign_in": "sign-ins",
    "sign_up": "sign-ups",
    "feeds": "feed readers",
    "returning": "returning visitors",
    "new": "new visitors",
    "sms_in": "texts stored",
    "sms_answers": "answers by text",
    "sms_deliveries": "posts by text",
}
_LATENCIES = ((10.0, "10 ms"), (100.0, "100 ms"), (1000.0, "1 s"), (10_000.0, "10 s"))
_LEAST_MS, _MOST_MS = 1.0, 20_000.0
_GOOD, _FAIR = 99.0, 95.0


def write_report(path: Path, columns: Columns) -> None:
    """Write the page. `columns`: at least one, each with at least one run; the page is about the first."""
    path.write_text(page(columns), encoding="utf-8")


def page(columns: Columns) -> str:
    """Return the whole page as HTML."""
    scored = [
        (
            name,
            [one.scores() for one in runs],
        )
        for name, runs in columns
    ]
    first = columns[0][1][0].run
    invalid = table.invalid_lines(columns, scored)
    title = f"{'Not valid: drill' if invalid else 'Drill'} {first.scenario.name}"
    sections = [_not_valid(invalid), _summary(columns, scored, is_valid=not invalid)]
    if len(columns) > 1:
        heads, rows = table.comparison(scored)
        sections.append(f"<section><h2>Side by side</h2>{charts.table(heads, rows, style=_shade)}</section>")
    for number, ((name, runs), (_, scores)) in enumerate(zip(columns, scored, strict=True)):
        sections.append(_column(name, runs, scores, is_open=number == 0))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{charts.STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>{''.join(sections)}<footer>{_FOOT}</footer></main></body></html>\n"
    )


def _not_valid(invalid: Sequence[str]) -> str:
    """Return a warning for the top of the page, or ""; otherwise readers would trust the figures."""
    if not invalid:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in invalid)
    return (
        '<section class="note bad" role="alert"><p><b>This drill is not valid: ignore its figures.</b> '
        f"Run it again.</p><ul>{items}</ul></section>"
    )


def _summary(columns: Columns, scored: Sequence[tuple[str, Sequence[Scores]]], *, is_valid: bool) -> str:
    name, results = columns[0]
    runs = scored[0][1]
    first = results[0].run
    seeds = ", ".join(str(one.run.seed) for one in results)
    vectors = {vector for one in results for phase in one.run.scenario.phases for vector, _ in phase.vectors}
    short = shortfalls(runs, strangers_attack=bool(vectors & OWN_VECTORS))
    parts = [
        f'<p class="kept">{escape(table.kept_line(runs, behind=first.front if first.has_tls else ""))}</p>',
        f"<p>{escape(_named(name))}; seed{'s' if len(results) > 1 else ''} {seeds}; rates × {first.scale:g}; "
        f"{first.scenario.seconds:g} s a run.</p>",
    ]
    if short:
        items = "".join(f"<li>{escape(f'{one.goal}: {one.what}')}</li>" for one in short)
        parts.append(f'<div class="note fair"><p>Missed targets:</p><ul>{items}</ul></div>')
    elif is_valid:
        parts.append('<p class="note good">Every target was met.</p>')
    return f"<section>{''.join(parts)}</section>"


def _column(name: str, results: Sequence[Result], scores: Sequence[Scores], *, is_open: bool) -> str:
    shown = _in_the_middle(scores)
    which = f", seed {results[shown].run.seed} (the median run)" if len(results) > 1 else ""
    body = (
        charts.table(table.HEADS, [[_channel(row[0]), *row[1:]] for row in table.channel_rows(scores)])
        + charts.table(("score", "value"), table.score_rows(scores), style=lambda row, text: "words")
        + _collateral(scores)
        + _usage(results)
        + f"<h3>Over time{escape(which)}</h3>"
        + _over_time(results[shown])
    )
    head = f"<h2>{escape(_named(name))}</h2>"
    if is_open:
        return f"<section>{head}{body}</section>"
    return f"<details><summary>{head}</summary>{body}</details>"


def _collateral(scores: Sequence[Scores]) -> str:
    """Return tables of known people refused at least once, by channel and by application, over all runs."""
    parts = [_refused_once("by channel", [one.collateral.by_channel for one in scores], _channel)]
    parts.append(_refused_once("by application", [one.collateral.by_app for one in scores], lambda app: app))
    return "<h3>Collateral: known users who were refused</h3>" + "".join(parts)


def _refused_once(title: str, runs: Sequence[Mapping[str, KeptShare]], shown: Callable[[str], str]) -> str:
    rows = []
    for name in dict.fromkeys(name for one in runs for name in one):
        known = sum(one[name].asked for one in runs if name in one)
        refused = known - sum(one[name].ok for one in runs if name in one)
        rows.append([shown(name), f"{known:,}", f"{refused:,}", f"{100 * refused / max(1, known):.2f}"])
    return charts.table((title, "known", "refused at least once", "%"), rows) if rows else ""


def _usage(results: Sequence[Result]) -> str:
    used = [one.usage for one in results]
    server, people, attackers, all_ = (
        sum(values)
        for values in zip(
            *((one.server_s, one.people_s, one.attackers_s, one.available_s) for one in used), strict=True
        )
    )
    return (
        f"<p>CPU time: the server used {server:,.1f} s, the simulated users {people:,.1f} s, the attackers "
        f"{attackers:,.1f} s, of {all_:,.0f} s available.</p>"
    )


def _in_the_middle(scores: Sequence[Scores]) -> int:
    """Return the index of the run with the median share of kept requests, over all channels."""

    def share(number: int) -> float:
        all_ = scores[number].kept.values()
        return sum(one.ok for one in all_) / max(1, sum(one.asked for one in all_))

    return sorted(range(len(scores)), key=share)[(len(scores) - 1) // 2]


def _over_time(result: Result) -> str:
    scenario = result.run.scenario
    bands = _bands(scenario)
    cut = over_time.slices(scenario.seconds)
    parts = [_phase_list(scenario), "<h4>Kept, by channel</h4>", charts.ruler(bands)]
    hundred = charts.AxisMarks(lambda value: value / 100, ((0.0, "0"), (100.0, "100 %")))
    for channel, values in over_time.kept(result.lines, cut).items():
        worst = over_time.extreme(values, min)
        about = f"at worst {table.percent(worst)} % in {cut.each_s:g} s" if worst is not None else ""
        curve = Curve(values, "kept", hangs=True)
        parts.append(
            charts.chart(title=_channel(channel), about=about, curves=[curve], marks=hundred, bands=bands)
        )
    parts += [
        "<h4>Latency of members' requests</h4>",
        charts.ruler(bands),
        _latency(result, cut, bands),
        "<h4>Refusals</h4>",
        charts.ruler(bands),
        _rate("people", "refused a second", over_time.refused_per_s(result.lines, cut), "lost", bands),
        _rate(
            "attackers",
            "refused a second",
            over_time.attackers_refused_per_s(result.attacks, cut),
            "refused",
            bands,
        ),
    ]
    rates = over_time.vectors(result.attacks, cut)
    if rates:
        parts += ["<h4>The attack, by vector: sent a second, and refused</h4>", charts.ruler(bands)]
    for name, rate in rates.items():
        refused = 100 * rate.refused / rate.sent
        parts.append(
            charts.chart(
                title=f"{name} {_about(name)}",
                about=f"at most {rate.most_per_s:,} a second, {rate.sent:,} in all, {refused:.0f} % refused",
                curves=[
                    Curve(rate.sent_per_s, "sent", is_filled=True),
                    Curve(rate.refused_per_s, "refused", is_filled=True),
                ],
                marks=charts.linear(over_time.extreme(rate.sent_per_s, max) or 0.0),
                bands=bands,
            )
        )
    return "".join(parts)


def _bands(scenario: Scenario) -> tuple[Band, ...]:
    return tuple(
        Band(phase.start_s / scenario.seconds, phase.end_s / scenario.seconds, phase.is_calm)
        for phase in scenario.phases
    )


def _phase_list(scenario: Scenario) -> str:
    """Return the list that explains the phase numbers."""
    items = []
    for phase in scenario.phases:
        vectors = "; ".join(f"{name} {_about(name)} × {scale:g}" for name, scale in phase.vectors)
        told = f": {vectors}" if vectors else ""
        items.append(
            f"<li><b>{escape(phase.name)}</b> {phase.start_s:g} to {phase.end_s:g} s{escape(told)}</li>"
        )
    return f'<ol class="phaselist">{"".join(items)}</ol>'


def _latency(result: Result, cut: over_time.Slices, bands: Sequence[Band]) -> str:
    middle = over_time.latency_ms(result.lines, cut, 50)
    late = over_time.latency_ms(result.lines, cut, 99)
    most = over_time.extreme(late, max)
    return charts.chart(
        title="members",
        about="median (thick) and 99th percentile (thin)" + (f", at worst {most:,.0f} ms" if most else ""),
        curves=[Curve(late, "late"), Curve(middle, "middle")],
        marks=charts.logarithmic(_LEAST_MS, _MOST_MS, _LATENCIES),
        bands=bands,
        style="strip tall",
    )


def _rate(title: str, what: str, values: charts.Values, style: str, bands: Sequence[Band]) -> str:
    most = over_time.extreme(values, max) or 0.0
    return charts.chart(
        title=title,
        about=f"{what}, at most {most:,.1f}" if most else f"{what}: none",
        curves=[Curve(values, style, is_filled=True)],
        marks=charts.linear(most),
        bands=bands,
    )


def _about(vector: str) -> str:
    return CATALOGUE[vector].about if vector in CATALOGUE else ""


def _channel(name: str) -> str:
    return _CHANNELS.get(name, name)


_FRONTS = {
    "nginx": "nginx with limit_req in front of mode off",
    "haproxy": "HAProxy with stick tables in front of mode off",
}


def _named(column: str) -> str:
    has_tls = " behind " in column
    return _FRONTS.get(column, f"shield mode {column}{', with TLS as in deploy/' if has_tls else ''}")


def _shade(row: str, text: str) -> str:
    """Return the CSS class of a cell with a share; the colour adds nothing to the figure."""
    if not row.endswith("%") or not text:
        return ""
    value = float(text)
    return "good" if value >= _GOOD else "fair" if value >= _FAIR else "bad"


_FOOT = (
    "Kept: the share of the requests that users wanted that succeeded at the first attempt, in time. Attackers are "
    "counted by their own process; the server gets no hint about who attacks."
)
