"""The hot-page cache in isolation, with the time as a number."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.edge.cache import CachedPage, Flight, HotCache
from stormpetrel.edge.codings import BROTLI, GZIP, IDENTITY, coding_for, is_compressible
from stormpetrel.edge.heads import Head, HeadMemo, date_s, etag_matches
from stormpetrel.edge.wheel import NEVER, TimerWheel

DATE = b"Thu, 01 Jan 1970 00:00:00 GMT"
HEADERS = [(b"Content-Type", b"text/html"), (b"Vary", b"Cookie")]


def a_cache(*, capacity_bytes: int = 1_000_000) -> HotCache:
    return HotCache(capacity_bytes=capacity_bytes, ttl_s=1.0, grace_s=300.0)


def keep(cache: HotCache, key: bytes, *tags: str, at_s: float = 0.0, body: bytes = b"x" * 1000) -> bool:
    flight = cache.begin(key, at_s)
    stored = cache.store(flight, CachedPage(key, HEADERS, body), tags=tags, at_s=at_s)
    cache.finish(flight)
    return stored


def is_fresh(cache: HotCache, key: bytes, at_s: float) -> bool:
    page = cache.lookup(key, at_s)
    return page is not None and page.fresh_until_s > at_s


def test_a_page_is_fresh_then_stale_then_gone() -> None:
    cache = a_cache()
    assert keep(cache, b"/a", "public", at_s=10.0)
    assert is_fresh(cache, b"/a", 10.9)
    assert not is_fresh(cache, b"/a", 11.0)
    assert cache.lookup(b"/a", 310.9) is not None
    assert cache.lookup(b"/a", 311.0) is None
    assert (len(cache), cache.size_bytes) == (0, 0)


def test_invalidating_makes_stale_and_purging_removes() -> None:
    cache = a_cache()
    keep(cache, b"/a", "account:1", "public")
    keep(cache, b"/b", "account:2", "public")
    cache.invalidate("account:1")
    assert not is_fresh(cache, b"/a", 0.0)
    assert cache.lookup(b"/a", 0.0) is not None
    assert is_fresh(cache, b"/b", 0.0)
    cache.purge("public")
    assert len(cache) == 0
    cache.purge("public")


@pytest.mark.parametrize("end", ["invalidate", "purge"])
def test_a_rendering_older_than_the_invalidation_of_one_of_its_tags_is_not_kept(end: str) -> None:
    cache = a_cache()
    before = cache.begin(b"/a", 0.0)
    getattr(cache, end)("post:1")
    after = Flight(b"/b", cache.freshness.begin())
    assert not cache.store(before, CachedPage(b"/a", HEADERS, b"x"), tags=["public", "post:1"], at_s=0.0)
    assert cache.store(before, CachedPage(b"/a", HEADERS, b"x"), tags=["public", "post:2"], at_s=0.0)
    assert cache.store(after, CachedPage(b"/b", HEADERS, b"x"), tags=["post:1"], at_s=0.0)


def test_a_gap_purges_everything_and_every_rendering_in_progress() -> None:
    cache = a_cache()
    keep(cache, b"/a", "public")
    flight = cache.begin(b"/b", 0.0)
    cache.purge_all()
    assert (len(cache), cache.size_bytes) == (0, 0)
    assert not cache.store(flight, CachedPage(b"/b", HEADERS, b"x"), tags=["anything"], at_s=0.0)
    cache.finish(flight)
    assert keep(cache, b"/b", "anything")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["keep", "lookup", "invalidate", "purge", "gzip", "all"]),
            st.integers(0, 7),
            st.integers(1, 4000),
        ),
        max_size=60,
    )
)
def test_memory_stays_within_its_bound_and_the_accounts_are_right(events: list[tuple[str, int, int]]) -> None:
    cache = a_cache(capacity_bytes=16_000)
    for at_s, (what, n, size) in enumerate(events):
        key = b"/%d" % n
        if what == "keep":
            keep(cache, key, f"tag:{n % 3}", at_s=float(at_s), body=b"x" * size)
        elif what == "invalidate":
            cache.invalidate(f"tag:{n % 3}")
        elif what == "purge":
            cache.purge(f"tag:{n % 3}")
        elif what == "all":
            cache.purge_all()
        elif (page := cache.lookup(key, float(at_s))) is not None:
            page.wire(GZIP if what == "gzip" else IDENTITY, at_s, DATE)
            cache.touch(page)
        assert cache.size_bytes <= 16_000
        assert cache.size_bytes == sum(page.size_bytes for page in cache.pages.values())
        tagged = {key for keys in cache._keys_of_tag.values() for key in keys}
        assert tagged == set(cache.pages)


def test_the_page_used_longest_ago_is_dropped_first() -> None:
    cache = a_cache(capacity_bytes=10_000)
    for n in range(3):
        keep(cache, b"/%d" % n, "t")
    page = cache.lookup(b"/0", 0.0)
    assert page is not None
    cache.touch(page)
    keep(cache, b"/3", "t")
    assert set(cache.pages) == {b"/0", b"/2", b"/3"}


def test_hits_are_counted_by_path_and_reset_when_taken() -> None:
    cache = a_cache()
    for key, hits in ((b"/a", 3), (b"/search?q=secret", 5), (b"/c", 1)):
        keep(cache, key)
        for _ in range(hits):
            cache.pages[key].hits += 1
        cache.first_hit(cache.pages[key])
    keep(cache, b"/a")
    cache.pages[b"/a"].hits += 1
    cache.first_hit(cache.pages[b"/a"])
    assert cache.take_hits(2) == {"/search": 5, "/a": 4}
    assert cache.take_hits(2) == {}


def test_a_cache_of_no_bytes_keeps_nothing() -> None:
    assert not keep(a_cache(capacity_bytes=0), b"/a", "t")


def test_the_same_page_rendered_again_keeps_its_encoded_bytes() -> None:
    cache = a_cache()
    keep(cache, b"/a", "t", at_s=0.0)
    first = cache.pages[b"/a"]
    encoded = first.wire(GZIP, 1, DATE)
    keep(cache, b"/a", "t", at_s=2.0)
    second = cache.pages[b"/a"]
    assert second is not first
    assert second.wire(GZIP, 1, DATE) is encoded
    keep(cache, b"/a", "t", at_s=4.0, body=b"y" * 1000)
    assert cache.pages[b"/a"].wire(GZIP, 1, DATE) != encoded


def test_the_date_changes_and_nothing_else() -> None:
    page = CachedPage(b"/a", HEADERS, b"body")
    old, new = page.wire(IDENTITY, 1, DATE), page.wire(IDENTITY, 2, b"Fri, 02 Jan 1970 00:00:00 GMT")
    assert old.replace(b"Thu, 01", b"Fri, 02") == new
    assert old.startswith(b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n")
    assert b"vary: Cookie, Accept-Encoding\r\n" in old


def test_what_belongs_to_one_visitor_is_not_in_a_kept_page() -> None:
    private = [
        (b"X-Request-Id", b"1"),
        (b"X-RateLimit-Remaining", b"9"),
        (b"Date", b"x"),
        (b"Connection", b"close"),
    ]
    wire = CachedPage(b"/a", HEADERS + private, b"body").wire(IDENTITY, 1, DATE)
    for name, _ in private[:2] + private[3:]:
        assert name.lower() not in wire
    assert wire.count(b"date: ") == 1


def test_not_modified_keeps_what_rfc_9110_asks_for() -> None:
    headers = [*HEADERS, (b"cache-control", b"max-age=0"), (b"access-control-allow-origin", b"*")]
    page = CachedPage(b"/a", headers, b"body")
    page.wire(IDENTITY, 1, DATE)
    head = Head(b"/a", b"/a", coding=0, if_none_match=page.etags[0], only_head=False, keep_alive=True)
    status, data = page.answer(head, 1, DATE)
    assert status == 304
    for line in (
        b"etag: ",
        b"vary: Cookie",
        b"cache-control: max-age=0",
        b"access-control-allow-origin: *",
        b"date: ",
    ):
        assert line in data
    assert b"content-type" not in data
    assert data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, IDENTITY),
        (b"", IDENTITY),
        (b"gzip", GZIP),
        (b"br", BROTLI),
        (b"gzip, deflate, br", BROTLI),
        (b"gzip, deflate, br, zstd", BROTLI),
        (b"GZIP", GZIP),
        (b"x-gzip", GZIP),
        (b"gzip;q=1.0, br;q=0.5", GZIP),
        (b"gzip;q=0", IDENTITY),
        (b"br;q=0, gzip", GZIP),
        (b"*", BROTLI),
        (b"*;q=0", IDENTITY),
        (b"gzip, *;q=0", GZIP),
        (b"identity", IDENTITY),
        (b"identity;q=1, gzip;q=0.5", IDENTITY),
        (b"identity;q=0", IDENTITY),
        (b"deflate", IDENTITY),
        (b"gzip;q=nonsense", IDENTITY),
        (b"gzip ; q = 0.5", GZIP),
        (b",,gzip,,", GZIP),
    ],
)
def test_accept_encoding(accept: bytes | None, coding: int) -> None:
    assert coding_for(accept) == coding
    assert coding_for(accept) == coding


def test_negotiations_are_remembered_within_a_bound() -> None:
    from stormpetrel.edge import codings

    for n in range(3000):
        coding_for(b"gzip;q=0.%d" % n)
    assert len(codings._memo) <= codings._MEMO_ENTRIES
    assert coding_for(None) == IDENTITY


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (b"text/html; charset=utf-8", True),
        (b"application/atom+xml", True),
        (b"application/json", True),
        (b"image/png", False),
        (b"", False),
        (b"image/svg+xml", True),
    ],
)
def test_only_text_is_compressed(content_type: bytes, expected: bool) -> None:
    assert is_compressible(content_type) is expected


@pytest.mark.parametrize("size", [0, 255])
def test_small_bodies_and_those_that_do_not_shrink_stay_as_they_are(size: int) -> None:
    import os

    for body in (b"x" * size, os.urandom(500)):
        page = CachedPage(b"/a", HEADERS, body)
        assert b"content-encoding" not in page.wire(GZIP, 1, DATE)


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        (b'"a"', True),
        (b'W/"a"', True),
        (b'"b", "a"', True),
        (b" * ", True),
        (b'"b"', False),
        (b"a", False),
        (b"", False),
    ],
)
def test_if_none_match(condition: bytes, fits: bool) -> None:
    assert etag_matches(condition, b'"a"') is fits


def test_the_memo_remembers_what_comes_twice_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stormpetrel.edge.heads.MEMO_ENTRIES", 10)
    memo = HeadMemo()
    head = Head(b"/", b"/", coding=0, if_none_match=None, only_head=False, keep_alive=True)
    memo.offer(b"once", head)
    assert memo.get(b"once") is None
    for n in range(1000):
        memo.put(b"%d" % n, head)
        assert memo.get(b"%d" % n) is head
        assert len(memo) <= 20
    for _ in range(2):
        memo.offer(b"x" * 2000, head)
    assert memo.get(b"x" * 2000) is None


class Item:
    def __init__(self) -> None:
        self.deadline_s = NEVER
        self.wheel_slot = -1


@given(
    st.lists(
        st.tuples(st.sampled_from(["arm", "later", "disarm", "turn"]), st.integers(0, 3), st.floats(0, 50)),
        max_size=60,
    )
)
def test_the_wheel_gives_each_deadline_once_not_early_and_at_most_a_tick_late(
    events: list[tuple[str, int, float]],
) -> None:
    wheel: TimerWheel[Item] = TimerWheel(tick_s=0.5, at_s=100.0)
    items = [Item() for _ in range(4)]
    armed: dict[int, float] = {}
    at_s = 100.0
    for what, n, value in [*events, ("turn", 0, 1000.0)]:
        item = items[n]
        if what == "arm":
            wheel.arm(item, at_s + value)
            armed[n] = at_s + value
        elif what == "later" and n in armed:
            # Like the fast path: only an assignment.
            armed[n] = item.deadline_s = armed[n] + value
        elif what == "disarm":
            wheel.disarm(item)
            armed.pop(n, None)
        elif what == "turn":
            at_s += value
            due = wheel.turn(at_s)
            assert len(due) == len(set(map(id, due)))
            for given_item in due:
                deadline_s = armed.pop(items.index(given_item))
                assert deadline_s <= at_s
            assert all(deadline_s > at_s - 1.0 for deadline_s in armed.values())
        assert len(wheel) == len(armed)
    assert not armed


@pytest.mark.parametrize(
    ("text", "at_s"),
    [
        (b"Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
        (b"Sun Nov  6 08:49:37 1994", 784_111_777),
        (b"", 0),
        (b"yesterday", 0),
        (b"Sun, 99 Nov 1994 08:49:37 GMT", 0),
        (b"Sun, 06 Nov 1994 08:49:37 +99999999999", 0),
        (b"Sun, 06 Nov 1900 08:49:37 GMT", 0),
        (b"\xff\xfe", 0),
        (b"Sun, 06 Nov 1994 08:49:37 GMT" + b" " * 5000, 0),
    ],
)
def test_a_date_is_read_and_garbage_is_none(text: bytes, at_s: int) -> None:
    assert date_s(text) == at_s


@given(st.binary(max_size=80))
def test_no_date_makes_the_edge_fail(text: bytes) -> None:
    assert date_s(text) >= 0


def asked(**more: Any) -> Head:
    given_facts: dict[str, Any] = {"if_none_match": None, "only_head": False, "keep_alive": True} | more
    return Head(b"/a", b"/a", coding=IDENTITY, **given_facts)


def test_a_page_with_a_date_is_not_sent_again_to_who_has_it() -> None:
    at_s = 784_111_777
    date = b"Sun, 06 Nov 1994 08:49:37 GMT"
    page = CachedPage(b"/a", [*HEADERS, (b"Last-Modified", date)], b"x" * 1000)

    def status(**more: Any) -> int:
        return page.answer(asked(**more), at_s + 100, DATE)[0]

    assert status(if_modified_since=date) == 304
    assert status(if_modified_since=b"Sun, 06 Nov 1994 08:50:00 GMT") == 304
    assert status(if_modified_since=b"Sun, 06 Nov 1994 08:49:36 GMT") == 200
    # A date in the future is not one of ours. A date beside an entity tag is ignored.
    assert status(if_modified_since=b"Sun, 06 Nov 2094 08:49:37 GMT") == 200
    assert status(if_modified_since=date, if_none_match=b'"other"') == 200
    # The timer's second may lag behind the clock that dated the page.
    assert page.answer(asked(if_modified_since=date), at_s - 1, DATE)[0] == 304
    ahead = asked(if_modified_since=b"Sun, 06 Nov 1994 08:49:38 GMT")
    assert page.answer(ahead, at_s - 1, DATE)[0] == 200
    assert CachedPage(b"/a", HEADERS, b"x").answer(asked(if_modified_since=date), at_s + 100, DATE)[0] == 200
    assert b"last-modified: " + date in page.answer(asked(if_modified_since=date), at_s + 100, DATE)[1]
