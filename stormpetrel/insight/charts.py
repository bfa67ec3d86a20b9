"""The charts of a report over its time, from its series."""

from __future__ import annotations

from stormpetrel.charts import Band, Curve, Values
from stormpetrel.insight import vocabulary
from stormpetrel.insight.document import Strip, Strips, clock
from stormpetrel.insight.vocabulary import named
from stormpetrel.model.insight import NumberTable, ReportData

MAX_STRIPS = 6
MEAN_S = 1.5
"""From this length on, a slice has several seconds: a second is measured as 0.9 to 1.1."""
MAX_BANDS = 60
"""More phases cannot be told apart in a chart, and would make the page large."""


def bands_of(data: ReportData) -> tuple[Band, ...]:
    """Return the phases as parts of the width; none if there are more than MAX_BANDS."""
    times = _times(data)
    if times is None or len(data.phases) > MAX_BANDS:
        return ()
    first_ms, last_ms = times
    width_ms = max(last_ms - first_ms, 1)
    bands = []
    for phase in data.phases:
        ended_ms = phase.ended_ms or data.window.until_ms
        begin = max(0.0, (phase.began_ms - first_ms) / width_ms)
        end = min(1.0, (ended_ms - first_ms) / width_ms)
        bands.append(Band(begin, max(begin, end), phase.verdict not in ("attack", "mixed", "unknown")))
    return tuple(bands)


def outcome_strips(data: ReportData) -> tuple[Strips, ...]:
    """Return requests by outcome, and the answered share by kind of client; nothing without moments."""
    outcomes, clients = data.series["outcomes"], data.series["clients"]
    if not outcomes.rows:
        return ()
    slices = _slices(outcomes)
    bands = bands_of(data)
    rates = {
        column: _values(
            slices,
            {
                int(row.key[0]): row.numbers[column].known / (row.numbers["seconds"].known or 1)
                for row in outcomes.rows
            },
        )
        for column in ("requests", "answered", "refused", "gone")
    }
    # The text has the highest second, which is more than the highest mean.
    width_s = max(row.numbers["seconds"].known for row in outcomes.rows)
    mean = f", as the mean of {width_s:.0f} s" if width_s >= MEAN_S else ""
    found = [
        Strips(
            bands,
            tuple(
                Strip(
                    title,
                    f"{_at_most(rates[column])}{mean}",
                    (Curve(rates[column], style, is_filled=True),),
                    _most(rates),
                )
                for column, title, style in (
                    ("requests", "Requests a second", "sent"),
                    ("answered", "Answered a second", "kept-line"),
                    ("refused", "Refused a second", "refused"),
                )
            ),
            outcomes.query,
            outcomes.file,
            *_edges(data),
        )
    ]
    totals: dict[str, float] = {}
    for row in clients.rows:
        totals[str(row.key[1])] = totals.get(str(row.key[1]), 0) + row.numbers["requests"].known
    strips = []
    for client in [name for name in vocabulary.CLIENTS if name in totals][:MAX_STRIPS]:
        shares = {
            int(row.key[0]): 100 * row.numbers["answered"].known / row.numbers["requests"].known
            for row in clients.rows
            if row.key[1] == client and row.numbers["requests"].known
        }
        if shares:
            about = f"answered, in percent; at worst {min(shares.values()):.1f}"
            strips.append(
                Strip(
                    named(vocabulary.CLIENTS, client),
                    about,
                    (Curve(_values(slices, shares), "kept", hangs=True),),
                    0,
                )
            )
    if strips:
        found.append(Strips(bands, tuple(strips), clients.query, clients.file, *_edges(data)))
    return tuple(found)


def source_strips(data: ReportData) -> tuple[Strips, ...]:
    """Return sampled requests by kind of sender over time; nothing without samples."""
    sources = data.series["sources"]
    if not sources.rows:
        return ()
    slices = _slices(data.series["outcomes"]) or _slices(sources)
    kinds: dict[str, dict[int, float]] = {}
    for row in sources.rows:
        kinds.setdefault(str(row.key[1]), {})[int(row.key[0])] = row.numbers["sampled"].known
    most = max((value for values in kinds.values() for value in values.values()), default=0.0)
    strips = tuple(
        Strip(
            named(vocabulary.SOURCES, kind),
            "sampled requests",
            (Curve(_values(slices, kinds[kind]), "sent", is_filled=True),),
            most,
        )
        for kind in sorted(kinds, key=lambda kind: -sum(kinds[kind].values()))[:MAX_STRIPS]
    )
    return (Strips(bands_of(data), strips, sources.query, sources.file, *_edges(data)),)


def _slices(table: NumberTable) -> range:
    numbers = [int(row.key[0]) for row in table.rows]
    return range(min(numbers), max(numbers) + 1) if numbers else range(0)


def _values(slices: range, found: dict[int, float]) -> Values:
    return tuple(found.get(number) for number in slices)


def _times(data: ReportData) -> tuple[int, int] | None:
    """Return the begin and the end of the charts, in ms."""
    rows = data.series["outcomes"].rows
    if not rows:
        return None
    numbers = rows[0].numbers, rows[-1].numbers
    last_s = numbers[1]["at_s"].known + max(numbers[1]["seconds"].known - 1, 0)
    return int(numbers[0]["at_s"].known * 1000) - 1000, int(last_s * 1000)


def _edges(data: ReportData) -> tuple[str, str]:
    times = _times(data)
    return ("", "") if times is None else (clock(times[0]), clock(times[1]))


def _at_most(values: Values) -> str:
    return f"at most {max((value for value in values if value is not None), default=0):,.0f}"


def _most(rates: dict[str, Values]) -> float:
    return max((value for values in rates.values() for value in values if value is not None), default=0.0)
