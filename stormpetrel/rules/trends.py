"""Trends, counted in small steps by the courier (`count_*`).

Only public posts of accounts that are active and `discoverable` count. A tag gets a point for each account
that uses it on a day, so that no single account can make a trend; a post gets a point for each favourite and
two for each boost. Points halve every HALF_LIFE_MS.
"""

from __future__ import annotations

from collections import Counter

from stormpetrel.model.ids import first_id_at, time_ms
from stormpetrel.model.trend import Day
from stormpetrel.storage import trends as stored
from stormpetrel.storage.engine.connection import Connection

DAY_MS = 86_400_000
HISTORY_DAYS = 7
HALF_LIFE_MS = 6 * 3_600_000
LATE_MS = 10_000
"""An id is created before its transaction commits, so rows younger than this are counted in the next round."""
STEP = 500
"""Rows per transaction: a few milliseconds of the writer."""
MOST = 500
"""Limit of stored candidates: tags, and posts."""
LEAST_SCORE = 0.05
TAG_PEOPLE = 2
"""Accounts that must have used a tag in the last two days."""
POST_SCORE = 1.0
FAVOURITE_POINTS, BOOST_POINTS = 1.0, 2.0


def count_tags(connection: Connection, *, now_ms: int) -> int:
    """Count the tags of the next posts; return the number of rows read, which is below STEP at the end."""
    after_id = stored.cursor(connection, name="tags")
    uses = stored.new_tag_uses(
        connection, after_id=after_id, until_id=first_id_at(max(now_ms - LATE_MS, 0)), count=STEP
    )
    if not uses:
        return 0
    counted = uses
    if len(uses) == STEP and uses[0].post_id != uses[-1].post_id:
        # The last post may have more tags than this step has read.
        counted = [use for use in uses if use.post_id != uses[-1].post_id]
    first_day = _today(now_ms) - HISTORY_DAYS + 1
    ever: Counter[int] = Counter()
    by_day: dict[tuple[int, int], list[int]] = {}
    for use in counted:
        if not use.counts:
            continue
        ever[use.tag_id] += 1
        day = time_ms(use.post_id) // DAY_MS
        if day >= first_day:
            by_day.setdefault((use.tag_id, day), []).append(use.author_id)
    for tag_id, count in sorted(ever.items()):
        stored.add_tag_uses(connection, tag_id=tag_id, uses=count)
    for (tag_id, day), author_ids in sorted(by_day.items()):
        new = stored.add_tag_day(
            connection, tag_id=tag_id, day=day, uses=len(author_ids), account_ids=set(author_ids)
        )
        if new:
            points = new * _weight(now_ms - min((day + 1) * DAY_MS, now_ms))
            stored.add_score(connection, kind="tag", subject_id=tag_id, points=points)
    stored.set_cursor(connection, name="tags", at=counted[-1].post_id)
    return len(uses)


def count_favourites(connection: Connection, *, now_ms: int) -> int:
    """Count the next favourites as `count_tags` does, skipping those older than a day."""
    after_id, until_id = _recent(connection, "favourites", now_ms)
    rows = stored.new_favourites(connection, after_id=after_id, until_id=until_id, count=STEP)
    _score_posts(connection, "favourites", rows, FAVOURITE_POINTS, now_ms)
    return len(rows)


def count_boosts(connection: Connection, *, now_ms: int) -> int:
    """Count the boosts among the next posts, as `count_favourites` does."""
    after_id, until_id = _recent(connection, "boosts", now_ms)
    rows = stored.new_posts(connection, after_id=after_id, until_id=until_id, count=STEP)
    _score_posts(connection, "boosts", rows, BOOST_POINTS, now_ms)
    return len(rows)


def _recent(connection: Connection, name: str, now_ms: int) -> tuple[int, int]:
    oldest = first_id_at(max(now_ms - DAY_MS, 0))
    return max(stored.cursor(connection, name=name), oldest), first_id_at(max(now_ms - LATE_MS, 0))


def _score_posts(
    connection: Connection, name: str, rows: list[tuple[int, int]], points: float, now_ms: int
) -> None:
    scores: dict[int, float] = {}
    for event_id, post_id in rows:
        if post_id:
            weight = _weight(now_ms - time_ms(event_id))
            scores[post_id] = scores.get(post_id, 0.0) + points * weight
    for post_id, score in sorted(scores.items()):
        stored.add_score(connection, kind="post", subject_id=post_id, points=score)
    if rows:
        stored.set_cursor(connection, name=name, at=rows[-1][0])


def _weight(age_ms: int) -> float:
    return float(0.5 ** (max(age_ms, 0) / HALF_LIFE_MS))


def fade(connection: Connection, *, now_ms: int) -> int:
    """Decay all points by the time since the last call, and delete those that have faded away; return 0."""
    before_ms = stored.cursor(connection, name="decayed") or now_ms
    stored.decay(
        connection,
        factor=_weight(now_ms - before_ms),
        least=LEAST_SCORE,
        most=MOST,
        before_day=_today(now_ms) - HISTORY_DAYS + 1,
    )
    stored.set_cursor(connection, name="decayed", at=max(now_ms, before_ms))
    return 0


def _today(now_ms: int) -> int:
    return now_ms // DAY_MS


def tags(connection: Connection, *, limit: int, offset: int = 0, now_ms: int) -> list[str]:
    """Return hashtags that several accounts use now, most points first."""
    return stored.tags(
        connection, since_day=_today(now_ms) - 1, people=TAG_PEOPLE, limit=limit, offset=offset
    )


def posts(
    connection: Connection, *, reader_id: int | None, limit: int, offset: int = 0, now_ms: int
) -> list[int]:
    """Return public posts that are favourited and boosted now, most points first."""
    return stored.posts(
        connection, reader_id=reader_id, least=POST_SCORE / 2, limit=limit, offset=offset, now_ms=now_ms
    )


def history(connection: Connection, *, names: list[str], now_ms: int) -> dict[str, tuple[Day, ...]]:
    """Return the last seven days of each tag, today first."""
    today = _today(now_ms)
    counted = stored.history(connection, names=names, since_day=today - HISTORY_DAYS + 1)
    return {
        name: tuple(
            Day(day * 86_400, *counted.get((name, day), (0, 0)))
            for day in range(today, today - HISTORY_DAYS, -1)
        )
        for name in names
    }
