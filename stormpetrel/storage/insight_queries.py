"""The queries of the insight report: one table of numbers, one of tables, one of charts.

A query is a template. Filled with the times of a report it is part of the report, so that anyone can run it:
`sqlite3 attacks.sqlite "SELECT …"`. bench/recompute_insight.py computes the same numbers in another way.
"""

from __future__ import annotations

from dataclasses import dataclass

from stormpetrel.storage import attack_record, journal

ATTACKS, JOURNAL = attack_record.FILE_NAME, journal.FILE_NAME
MAX_TIMELINE = 200

_DURING = "at_s BETWEEN {from_s} AND {until_s}"
_BEFORE = "at_s BETWEEN {from_s} - {around_s} AND {from_s} - 1"
_PHASES = "began_ms <= {until_ms} AND (ended_ms = 0 OR ended_ms >= {from_ms})"
_SPANS = "onset_ms <= {until_ms} AND (ended_ms = 0 OR ended_ms >= {from_ms})"
_ENTRIES = "at_ms BETWEEN {from_ms} AND {until_ms} + 1999"
"""Sums are written some seconds after the refusals that they count, with the time of the last one."""
_NEAR = "at_ms BETWEEN {from_ms} - 30000 AND {until_ms} + 90000"
"""From a canary that fails before the overload is dated, to the entry that says that it is over."""
_END = "iif(ended_ms = 0, {until_ms}, min(ended_ms, {until_ms}))"
_SPAN_MS = f"({_END} - max(onset_ms, {{from_ms}}))"
_PHASE_MS = f"({_END} - max(began_ms, {{from_ms}}))"
"""The part of an attack, or of a phase, that is in the time of the report."""


@dataclass(frozen=True, slots=True)
class NumberQuery:
    """A query that gives one number."""

    name: str
    file: str
    sql: str


@dataclass(frozen=True, slots=True)
class TableQuery:
    """A query that gives rows: the columns of the key, then the numbers."""

    name: str
    file: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    sql: str


def _moments(name: str, column: str) -> NumberQuery:
    return NumberQuery(name, ATTACKS, f"SELECT {column} FROM moments WHERE {_DURING}")


def _all_outcomes(name: str, outcomes: str) -> NumberQuery:
    return NumberQuery(
        name,
        ATTACKS,
        "SELECT sum(o.value) FROM moments, json_each(body, '$.classes') c, json_each(c.value) o "
        f"WHERE o.key IN ({outcomes}) AND {_DURING}",
    )


def _outcomes(name: str, *, path: str = "", key: str = "c.key") -> TableQuery:
    """Return the query for requests by name and outcome. `answered`: by the application or from memory."""

    def outcome(*names: str) -> str:
        listed = ", ".join(f"'{one}'" for one in names)
        return f"sum(iif(o.key IN ({listed}), o.value, 0))"

    all_, answered = outcome("served", "cached", "refused", "gone"), outcome("served", "cached")
    return TableQuery(
        name,
        ATTACKS,
        (name,),
        ("requests", "answered", "refused", "gone", "answered_share"),
        f"SELECT {key} AS {name}, {all_} AS requests, {answered} AS answered, {outcome('refused')} AS refused, "
        f"{outcome('gone')} AS gone, 1.0 * {answered} / max({all_}, 1) AS answered_share "
        f"FROM moments, json_each(body, '$.{path or name}') c, json_each(c.value) o WHERE {_DURING} "
        f"GROUP BY 1 ORDER BY 2 DESC, 1",
    )


def _checked(name: str, because: str) -> NumberQuery:
    """Return the query for a result of the watch's check after the attacks of the report."""
    return NumberQuery(
        name,
        JOURNAL,
        f"SELECT sum(count) FROM entries WHERE kind = 'check' AND because = '{because}' AND who IN ({{attacks}})",
    )


_WANTED = (
    "sum(CASE WHEN o.key IN ('served', 'cached', 'refused', 'gone') THEN o.value "
    "WHEN o.key = 'excess' THEN -o.value ELSE 0 END)"
)
_SUCCEEDED = (
    "sum(CASE WHEN o.key IN ('served', 'cached') THEN o.value WHEN o.key = 'failed' THEN -o.value ELSE 0 END)"
)


def _known(name: str, path: str) -> TableQuery:
    """Return the query for clients from before the attack: what they wanted, apart from their own excess."""
    return TableQuery(
        name,
        ATTACKS,
        (name,),
        ("requests", "succeeded", "failed", "refused", "gone", "succeeded_share"),
        f"SELECT c.key AS {name}, {_WANTED} AS requests, {_SUCCEEDED} AS succeeded, "
        "sum(iif(o.key = 'failed', o.value, 0)) AS failed, sum(iif(o.key = 'refused', o.value, 0)) AS refused, "
        "sum(iif(o.key = 'gone', o.value, 0)) AS gone, "
        f"1.0 * {_SUCCEEDED} / max({_WANTED}, 1) AS succeeded_share "
        f"FROM moments, json_each(body, '$.{path}') c, json_each(c.value) o WHERE {_DURING} "
        f"GROUP BY 1 ORDER BY 2 DESC, 1",
    )


def _sampled(name: str) -> TableQuery:
    """Return the query for sampled requests by name, with their part of all that were sampled."""
    return TableQuery(
        name,
        ATTACKS,
        (name,),
        ("sampled", "share"),
        f"SELECT e.key AS {name}, sum(e.value) AS sampled, "
        "1.0 * sum(e.value) / max(sum(sum(e.value)) OVER (), 1) AS share "
        f"FROM moments, json_each(body, '$.{name}') e WHERE {_DURING} GROUP BY 1 ORDER BY 2 DESC, 1",
    )


def _evidence(name: str) -> TableQuery:
    return TableQuery(
        name,
        ATTACKS,
        ("phase", "measure"),
        ("value", "usual"),
        f"SELECT number AS phase, json_extract(e.value, '$.name') AS measure, "
        "json_extract(e.value, '$.value') AS value, json_extract(e.value, '$.usual') AS usual "
        f"FROM phases, json_each(body, '$.{name}') e WHERE {_PHASES} ORDER BY number, e.key",
    )


_CLIENT = (
    "CASE WHEN c.key IN ('web', 'posting', 'streaming') THEN 'members' WHEN c.key = 'apps' THEN 'apps' "
    "WHEN c.key IN ('new', 'returning') THEN 'visitors' WHEN c.key = 'feeds' THEN 'feeds' "
    "WHEN c.key = 'sign_in' THEN 'sign-ins' WHEN c.key GLOB 'sms*' THEN 'SMS' WHEN c.key = 'canary' THEN 'canaries' "
    "ELSE 'others' END"
)
_PAGE_KIND = (
    "CASE WHEN e.key = '/' THEN 'start page' WHEN e.key GLOB '/@*.atom' OR e.key GLOB '/tags/*.atom' THEN 'feed' "
    "WHEN e.key GLOB '/@*/*' THEN 'post' WHEN e.key GLOB '/@*' THEN 'profile' "
    "WHEN e.key GLOB '/tags/*' THEN 'hashtag' "
    "WHEN e.key = '/search' OR e.key GLOB '/api/*/search' THEN 'search' "
    "WHEN e.key GLOB '/auth/*' OR e.key GLOB '/oauth/*' THEN 'sign-in' WHEN e.key GLOB '/api/*' THEN 'API' "
    "WHEN e.key GLOB '/media/*' THEN 'media' WHEN e.key GLOB '/sms/*' THEN 'SMS' ELSE 'other' END"
)

NUMBERS = (
    _moments("requests", "sum(json_extract(body, '$.requests'))"),
    _moments("sampled", "sum(json_extract(body, '$.sampled'))"),
    _moments("seconds", "sum(json_extract(body, '$.period_s'))"),
    _moments(
        "overloaded_s",
        "sum(iif(json_extract(body, '$.is_overloaded'), json_extract(body, '$.period_s'), 0))",
    ),
    _moments(
        "requests_per_s", "sum(json_extract(body, '$.requests')) / sum(json_extract(body, '$.period_s'))"
    ),
    _moments("peak_per_s", "max(json_extract(body, '$.requests') / json_extract(body, '$.period_s'))"),
    _moments("texts_in", "sum(json_extract(body, '$.texts.in'))"),
    _moments("texts_out", "sum(json_extract(body, '$.texts.out'))"),
    _moments("texts_new", "sum(json_extract(body, '$.texts.new'))"),
    _moments("worst_wait_ms", "max(json_extract(body, '$.worst_wait_ms'))"),
    _moments("loop_lag_ms", "max(json_extract(body, '$.loop_lag_ms'))"),
    _moments("writer_wait_ms", "max(json_extract(body, '$.writer_wait_ms'))"),
    NumberQuery(
        "usual_per_s",
        ATTACKS,
        "SELECT sum(json_extract(body, '$.requests')) / sum(json_extract(body, '$.period_s')) "
        f"FROM moments WHERE {_BEFORE}",
    ),
    NumberQuery("onset_ms", ATTACKS, f"SELECT min(onset_ms) FROM spans WHERE {_SPANS}"),
    NumberQuery("ended_ms", ATTACKS, f"SELECT max({_END}) FROM spans WHERE {_SPANS}"),
    NumberQuery("attacks", ATTACKS, f"SELECT count(*) FROM spans WHERE {_SPANS}"),
    NumberQuery("lasted_s", ATTACKS, f"SELECT sum({_SPAN_MS}) / 1000.0 FROM spans WHERE {_SPANS}"),
    NumberQuery(
        "noticed_after_s", ATTACKS, f"SELECT max(noticed_ms - onset_ms) / 1000.0 FROM spans WHERE {_SPANS}"
    ),
    NumberQuery("phases", ATTACKS, f"SELECT count(*) FROM phases WHERE {_PHASES}"),
    NumberQuery(
        "attack_share",
        ATTACKS,
        f"SELECT sum(json_extract(body, '$.attack_share') * {_PHASE_MS}) / sum({_PHASE_MS}) "
        f"FROM phases WHERE {_PHASES}",
    ),
    NumberQuery(
        "known_share",
        ATTACKS,
        f"SELECT 1.0 * {_SUCCEEDED} / max({_WANTED}, 1) "
        f"FROM moments, json_each(body, '$.known') c, json_each(c.value) o WHERE c.key <> 'canary' AND {_DURING}",
    ),
    NumberQuery(
        "known_missed",
        ATTACKS,
        f"SELECT {_WANTED} - {_SUCCEEDED} "
        f"FROM moments, json_each(body, '$.known') c, json_each(c.value) o WHERE c.key <> 'canary' AND {_DURING}",
    ),
    _all_outcomes("answered", "'served', 'cached'"),
    _all_outcomes("refused", "'refused'"),
    _all_outcomes("gone", "'gone'"),
    NumberQuery(
        "refused_known",
        JOURNAL,
        f"SELECT coalesce(sum(count), 0) FROM entries WHERE kind = 'collateral' AND {_ENTRIES}",
    ),
    NumberQuery(
        "people_refused",
        JOURNAL,
        f"SELECT count(DISTINCT who) FROM entries WHERE kind = 'collateral' AND who <> '' AND {_ENTRIES}",
    ),
    NumberQuery("restarts", JOURNAL, f"SELECT count(*) FROM entries WHERE kind = 'worker' AND {_ENTRIES}"),
    NumberQuery(
        "entries_lost",
        JOURNAL,
        f"SELECT coalesce(sum(count), 0) FROM entries WHERE kind = 'watch' AND text GLOB '*are lost' AND {_ENTRIES}",
    ),
    _checked("posts_checked", "posts"),
    _checked("posts_missing", "posts_missing"),
)
TABLES = (
    TableQuery(
        "spans",
        ATTACKS,
        ("attack",),
        ("onset_ms", "noticed_ms", "ended_ms", "lasted_s"),
        f"SELECT number AS attack, onset_ms, noticed_ms, ended_ms, {_SPAN_MS} / 1000.0 AS lasted_s "
        f"FROM spans WHERE {_SPANS} ORDER BY number",
    ),
    TableQuery(
        "phases",
        ATTACKS,
        ("phase",),
        ("began_ms", "ended_ms", "lasted_s", "attack_share", "volume_rule", "addresses", "networks"),
        f"SELECT number AS phase, began_ms, ended_ms, {_PHASE_MS} / 1000.0 AS lasted_s, "
        "json_extract(body, '$.attack_share') AS attack_share, "
        "json_extract(body, '$.volume_rule_says_attack') AS volume_rule, "
        "json_extract(body, '$.addresses') AS addresses, json_extract(body, '$.networks') AS networks "
        f"FROM phases WHERE {_PHASES} ORDER BY number",
    ),
    TableQuery(
        "verdicts",
        ATTACKS,
        ("verdict",),
        ("seconds",),
        f"SELECT json_extract(body, '$.verdict') AS verdict, sum({_PHASE_MS}) / 1000.0 AS seconds "
        f"FROM phases WHERE {_PHASES} GROUP BY 1 ORDER BY 2 DESC, 1",
    ),
    TableQuery(
        "vectors",
        ATTACKS,
        ("phase", "vector"),
        ("share",),
        "SELECT number AS phase, json_extract(v.value, '$.name') AS vector, "
        "json_extract(v.value, '$.share') AS share "
        f"FROM phases, json_each(body, '$.vectors') v WHERE {_PHASES} ORDER BY number, v.key",
    ),
    TableQuery(
        "vector_evidence",
        ATTACKS,
        ("phase", "vector", "measure"),
        ("value", "usual"),
        "SELECT number AS phase, json_extract(v.value, '$.name') AS vector, "
        "json_extract(e.value, '$.name') AS measure, "
        "json_extract(e.value, '$.value') AS value, json_extract(e.value, '$.usual') AS usual "
        f"FROM phases, json_each(body, '$.vectors') v, json_each(v.value, '$.evidence') e WHERE {_PHASES} "
        "ORDER BY number, v.key, e.key",
    ),
    _evidence("evidence_for"),
    _evidence("evidence_against"),
    _outcomes("clients", path="channels", key=_CLIENT),
    _outcomes("classes"),
    _outcomes("channels"),
    _outcomes("applications"),
    _known("known", "known"),
    _known("known_applications", "known_applications"),
    _sampled("kinds"),
    _sampled("sources"),
    _sampled("agents"),
    _sampled("referrers"),
    TableQuery(
        "cost",
        ATTACKS,
        ("kind",),
        ("cpu_ms", "share"),
        "SELECT e.key AS kind, sum(e.value) AS cpu_ms, "
        "1.0 * sum(e.value) / max(sum(sum(e.value)) OVER (), 1) AS share "
        f"FROM moments, json_each(body, '$.cost_ms') e WHERE {_DURING} GROUP BY 1 ORDER BY 2 DESC, 1",
    ),
    TableQuery(
        "because",
        ATTACKS,
        ("rule",),
        ("refused",),
        f"SELECT e.key AS rule, sum(e.value) AS refused FROM moments, json_each(body, '$.because') e WHERE {_DURING} "
        "GROUP BY 1 ORDER BY 2 DESC, 1",
    ),
    TableQuery(
        "connections",
        ATTACKS,
        ("state",),
        ("most",),
        "SELECT e.key AS state, max(e.value) AS most "
        f"FROM moments, json_each(body, '$.connections') e WHERE {_DURING} "
        "GROUP BY 1 ORDER BY 2 DESC, 1",
    ),
    TableQuery(
        "features",
        ATTACKS,
        ("measure",),
        ("mean", "most"),
        f"SELECT e.key AS measure, avg(e.value) AS mean, max(e.value) AS most FROM moments, "
        f"json_each(body, '$.features') e WHERE {_DURING} GROUP BY 1 ORDER BY 1",
    ),
    TableQuery(
        "page_kinds",
        ATTACKS,
        ("page_kind",),
        ("sampled", "pages"),
        f"SELECT {_PAGE_KIND} AS page_kind, sum(e.value) AS sampled, count(DISTINCT e.key) AS pages "
        f"FROM moments, json_each(body, '$.pages') e WHERE {_DURING} GROUP BY 1 ORDER BY 2 DESC, 1",
    ),
    TableQuery(
        "pages",
        ATTACKS,
        ("page",),
        ("sampled",),
        f"SELECT e.key AS page, sum(e.value) AS sampled FROM moments, json_each(body, '$.pages') e WHERE {_DURING} "
        "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20",
    ),
    TableQuery(
        "collateral",
        JOURNAL,
        ("channel", "application", "rule"),
        ("refused", "people", "first_ms", "last_ms"),
        "SELECT channel, application, because AS rule, sum(count) AS refused, "
        "count(DISTINCT iif(who <> '', who, NULL)) AS people, min(at_ms) AS first_ms, max(at_ms) AS last_ms "
        f"FROM entries WHERE kind = 'collateral' AND {_ENTRIES} GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3",
    ),
    TableQuery(
        "collateral_channels",
        JOURNAL,
        ("channel", "rule"),
        ("refused", "people", "first_ms", "last_ms"),
        "SELECT channel, because AS rule, sum(count) AS refused, "
        "count(DISTINCT iif(who <> '', who, NULL)) AS people, min(at_ms) AS first_ms, max(at_ms) AS last_ms "
        f"FROM entries WHERE kind = 'collateral' AND {_ENTRIES} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
    ),
    TableQuery(
        "orders",
        JOURNAL,
        ("order",),
        ("count",),
        'SELECT kind AS "order", count(*) AS count FROM entries '
        f"WHERE kind IN ('allow', 'deny', 'undo', 'pause') AND {_ENTRIES} GROUP BY 1 ORDER BY 1",
    ),
    TableQuery(
        "canaries",
        JOURNAL,
        ("channel",),
        ("alarms", "first_ms"),
        "SELECT channel, count(*) AS alarms, min(at_ms) AS first_ms FROM entries "
        f"WHERE kind = 'canary' AND because <> 'ok' AND {_ENTRIES} GROUP BY 1 ORDER BY 3, 1",
    ),
    TableQuery(
        "rules_on",
        JOURNAL,
        ("order", "kind"),
        ("count", "last_end_ms"),
        'SELECT verdict AS "order", kind, count(*) AS count, max(expires_ms) AS last_end_ms FROM directions '
        "WHERE expires_ms > {made_ms} GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    TableQuery(
        "noticed",
        JOURNAL,
        ("by",),
        ("at_ms",),
        "SELECT CASE kind WHEN 'overload' THEN 'watch' WHEN 'incident' THEN 'operator' ELSE kind END AS \"by\", "
        "min(at_ms) AS at_ms FROM entries WHERE (kind IN ('overload', 'phase') "
        "OR (kind = 'canary' AND because <> 'ok') OR (kind = 'incident' AND because = 'start')) "
        f"AND {_NEAR} GROUP BY 1 ORDER BY 2, 1",
    ),
)
_SLICE = "(at_s - ({from_s} - {around_s})) / {slice_s}"
_AROUND = "at_s BETWEEN {from_s} - {around_s} AND {until_s} + {around_s}"
SERIES = (
    TableQuery(
        "outcomes",
        ATTACKS,
        ("slice",),
        ("at_s", "seconds", "requests", "answered", "refused", "gone"),
        f"SELECT {_SLICE} AS slice, min(at_s) AS at_s, sum(json_extract(body, '$.period_s')) AS seconds, "
        "sum(json_extract(body, '$.requests')) AS requests, "
        "sum((SELECT total(o.value) FROM json_each(body, '$.classes') c, json_each(c.value) o "
        "WHERE o.key IN ('served', 'cached'))) AS answered, "
        "sum((SELECT total(o.value) FROM json_each(body, '$.classes') c, json_each(c.value) o "
        "WHERE o.key = 'refused')) AS refused, "
        "sum((SELECT total(o.value) FROM json_each(body, '$.classes') c, json_each(c.value) o "
        f"WHERE o.key = 'gone')) AS gone FROM moments WHERE {_AROUND} GROUP BY 1 ORDER BY 1",
    ),
    TableQuery(
        "clients",
        ATTACKS,
        ("slice", "client"),
        ("answered", "requests"),
        f"SELECT {_SLICE} AS slice, {_CLIENT} AS client, "
        "sum(iif(o.key IN ('served', 'cached'), o.value, 0)) AS answered, "
        "sum(iif(o.key IN ('served', 'cached', 'refused', 'gone'), o.value, 0)) AS requests "
        f"FROM moments, json_each(body, '$.channels') c, json_each(c.value) o WHERE {_AROUND} "
        "GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    TableQuery(
        "sources",
        ATTACKS,
        ("slice", "source"),
        ("sampled",),
        f"SELECT {_SLICE} AS slice, e.key AS source, sum(e.value) AS sampled "
        f"FROM moments, json_each(body, '$.sources') e WHERE {_AROUND} GROUP BY 1, 2 ORDER BY 1, 2",
    ),
)
LAST_MOMENT = "SELECT max(at_s) FROM moments WHERE at_s >= {from_s}"
TIMELINE = f"""SELECT at_ms, kind, text, channel FROM entries WHERE {_NEAR} AND kind IN
    ('overload', 'calm', 'canary', 'worker', 'watch', 'allow', 'deny', 'undo', 'pause', 'incident', 'phase', 'check')
    ORDER BY id LIMIT {MAX_TIMELINE}"""
NOTED_ADDRESSES = f"""SELECT address, count(*) FROM entries
    WHERE kind = 'offender' AND address <> '' AND {_ENTRIES} GROUP BY 1 ORDER BY 2 DESC"""
IDENTITIES = """SELECT DISTINCT who FROM entries WHERE who <> '' AND kind <> 'check'
    UNION SELECT DISTINCT address FROM entries"""
