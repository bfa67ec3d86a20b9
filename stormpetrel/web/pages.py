"""Timelines and related pages: home, public, hashtags, about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.filter import FilterContext
from stormpetrel.model.moderation import TEXT_NAMES, Announcement, InstanceRule, InstanceText
from stormpetrel.model.page import Page
from stormpetrel.model.text import MAX_TAG_CHARACTERS, tag_key, tags_in
from stormpetrel.rules import instance as instance_rules
from stormpetrel.rules import timelines as timeline_rules
from stormpetrel.storage.engine.hot import hot
from stormpetrel.web.admin_texts import TITLES
from stormpetrel.web.compose import blank_form
from stormpetrel.web.filtered import filtered
from stormpetrel.web.fragments import PostListData, Reading, gather, reading
from stormpetrel.web.links import tag_path
from stormpetrel.web.paging import page_of, pager
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection


ANNOUNCEMENTS_SHOWN = 3
"""The number above Home; after a member dismisses one, the next appears. The about page has all of them."""


@dataclass(frozen=True, slots=True)
class TimelineView:
    """A list of posts and its reader. `ids`: as the rule returned them, for paging in their own order.

    `announcements`: on Home, the newest that the reader has not dismissed.
    """

    gathered: PostListData
    reader: Reader | None
    ids: tuple[int, ...]
    announcements: tuple[Announcement, ...] = ()


@hot
def read_home(connection: Connection, by: Reading, *, ids: Sequence[int]) -> TimelineView:
    """Read the data of the home page; `ids` come from the reader's home timeline."""
    told = instance_rules.announcements(connection, reader_id=by.reader_id)
    unread = tuple(one for one in told if not one.read)[:ANNOUNCEMENTS_SHOWN]
    return replace(_view(connection, by, ids), announcements=unread)


@hot
def read_public(connection: Connection, by: Reading, *, page: Page) -> TimelineView:
    """Read the public timeline for this reader."""
    ids = timeline_rules.public(connection, reader_id=by.reader_id, page=page, now_ms=by.now_ms)
    return _view(connection, by, ids)


@hot
def read_tag(connection: Connection, by: Reading, *, name: str, page: Page) -> TimelineView:
    """Read the posts with a hashtag for this reader."""
    ids = timeline_rules.tag(connection, reader_id=by.reader_id, page=page, name=name, now_ms=by.now_ms)
    return _view(connection, by, ids)


def read_bookmarks(connection: Connection, by: Reading, *, page: Page) -> TimelineView:
    """Read the reader's bookmarks. Pages go by the time of bookmarking, so `ids` are not post ids."""
    assert by.reader_id is not None
    pairs = timeline_rules.bookmarks(connection, account_id=by.reader_id, page=page, now_ms=by.now_ms)
    return _view(connection, by, [post_id for _, post_id in pairs], [kept_id for kept_id, _ in pairs])


def read_favourites(connection: Connection, by: Reading, *, page: Page) -> TimelineView:
    """Read the reader's favourites. Pages go by the time of favouriting, so `ids` are not post ids."""
    assert by.reader_id is not None
    pairs = timeline_rules.favourites(connection, account_id=by.reader_id, page=page, now_ms=by.now_ms)
    return _view(connection, by, [post_id for _, post_id in pairs], [kept_id for kept_id, _ in pairs])


def _view(
    connection: Connection, by: Reading, post_ids: Sequence[int], ids: Sequence[int] | None = None
) -> TimelineView:
    gathered = gather(connection, by, post_ids=post_ids)
    reader = read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms)
    return TimelineView(gathered, reader, tuple(post_ids if ids is None else ids))


async def front(request: Request) -> Response:
    """GET /: the home timeline for members, a welcome and the public timeline for visitors."""
    site, page = request.site, page_of(request)
    if request.reader_id is None:
        seen = await site.database.read(read_public, reading(request), page=page)
        request.keep_hot("public", "instance")
        return await _timeline(request, "landing.html", seen, page, FilterContext.PUBLIC)
    ids = await site.home.page(request.reader_id, page)
    seen = await site.database.read(read_home, reading(request), ids=ids)
    assert seen.reader is not None
    form = blank_form(request, seen.reader.account)
    return await _timeline(
        request,
        "home.html",
        seen,
        page,
        FilterContext.HOME,
        once=True,
        form=form,
        announcements=seen.announcements,
    )


async def public(request: Request) -> Response:
    """GET /public: all public posts of this instance, newest first."""
    page = page_of(request)
    seen = await request.site.database.read(read_public, reading(request), page=page)
    request.keep_hot("public", "instance")
    return await _timeline(request, "public.html", seen, page, FilterContext.PUBLIC)


async def tag(request: Request) -> Response:
    """GET /tags/TAG: public posts with a hashtag."""
    page = page_of(request)
    written, name = hashtag_asked(request)
    seen = await request.site.database.read(read_tag, reading(request), name=name, page=page)
    request.keep_hot(f"tag:{name}", "instance")
    feed = f"{tag_path(name)}/feed.atom"
    return await _timeline(request, "tag.html", seen, page, FilterContext.PUBLIC, name=written, feed=feed)


def hashtag_asked(request: Request) -> tuple[str, str]:
    """Return the hashtag in the path as written, and its key. Raise NotFound if it is not a valid hashtag."""
    written = request.parameters["name"]
    # Folding 8 KB costs 1 ms.
    name = tag_key(written) if len(written) <= MAX_TAG_CHARACTERS else ""
    if not name or [key for key, _ in tags_in(f"#{written}")] != [name]:
        raise NotFound("Not a valid hashtag")
    return written, name


async def bookmarks(request: Request) -> Response:
    """GET /bookmarks: the reader's bookmarks, private to them."""
    page = page_of(request)
    seen = await request.site.database.read(read_bookmarks, reading(request), page=page)
    return await _timeline(request, "bookmarks.html", seen, page, FilterContext.HOME, may_hide=False)


async def favourites(request: Request) -> Response:
    """GET /favourites: the posts that the reader favourited."""
    page = page_of(request)
    seen = await request.site.database.read(read_favourites, reading(request), page=page)
    return await _timeline(request, "favourites.html", seen, page, FilterContext.HOME, may_hide=False)


async def _timeline(
    request: Request,
    template: str,
    seen: TimelineView,
    page: Page,
    context: FilterContext,
    *,
    once: bool = False,
    may_hide: bool = True,
    **values: Any,
) -> Response:
    items = pages_of(request).items(seen.gathered, once=once)
    # Filters must not hide the posts that the reader saved.
    asked_for = () if may_hide else [item.fragment.id for item in items]
    return pages_of(request).page(
        request,
        template,
        reader=seen.reader,
        items=await filtered(request, items, context, asked_for=asked_for),
        pager=pager(request, page, seen.ids),
        **values,
    )


@dataclass(frozen=True, slots=True)
class About:
    """The instance's rules, texts and announcements, and the reader."""

    reader: Reader | None
    rules: tuple[InstanceRule, ...]
    texts: dict[str, InstanceText]
    announcements: tuple[Announcement, ...]


def read_about(connection: Connection, by: Reading) -> About:
    """Read the data of the about page."""
    return About(
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
        tuple(instance_rules.rules(connection)),
        instance_rules.texts(connection),
        tuple(instance_rules.announcements(connection, reader_id=by.reader_id)),
    )


async def about(request: Request) -> Response:
    """GET /about: describe the instance, its rules and its contact."""
    seen = await request.site.database.read(read_about, reading(request))
    request.keep_hot("instance", "public")
    return pages_of(request).page(
        request,
        "about.html",
        reader=seen.reader,
        counts=await request.site.counts.now(now_ms=request.now_ms),
        contact_email=request.site.config.contact_email,
        rules=seen.rules,
        texts=[(name, TITLES[name], seen.texts[name].text) for name in TEXT_NAMES if name in seen.texts],
        announcements=seen.announcements,
    )
