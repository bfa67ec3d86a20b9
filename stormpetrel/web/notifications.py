"""The reader's notifications."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.account import Account
from stormpetrel.model.filter import FilterContext
from stormpetrel.model.ids import MAX_ID
from stormpetrel.model.moderation import Act
from stormpetrel.model.notification import Kind, Notification
from stormpetrel.model.page import Page
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import moderation as moderation_rules
from stormpetrel.rules import naming as naming_rules
from stormpetrel.rules import notification_policy as policy_rules
from stormpetrel.rules import notifications as notification_rules
from stormpetrel.web.filtered import filtered
from stormpetrel.web.fragments import ListedPost, PostListData, Reading, gather, reading
from stormpetrel.web.paging import page_of, pager
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

MARKER = "notifications"
_WHOLE_POST = (Kind.MENTION, Kind.POST)
"""Kinds shown with the complete post and its actions; the other kinds show only a reminder of it."""

_SAID = {
    Kind.MENTION: ("reply", "mentioned you"),
    Kind.POST: ("bell", "posted"),
    Kind.BOOST: ("boost", "boosted your post"),
    Kind.FOLLOW: ("person", "followed you"),
    Kind.FOLLOW_REQUEST: ("person", "requested to follow you"),
    Kind.FAVOURITE: ("star", "favourited your post"),
    Kind.SIGN_UP: ("person", "signed up"),
    Kind.REPORT: ("shield", "reported someone"),
    Kind.WARNING: ("shield", "made a decision about your account"),
    Kind.POLL: ("bell", "ran a poll that has ended"),
    Kind.UPDATE: ("bell", "edited a post you boosted"),
}


_DECIDED = {
    Act.WARN: "Warning",
    Act.HIDE: "Your post was hidden; only you and the moderators can see it",
    Act.UNHIDE: "Your post is visible again",
    Act.MARK_SENSITIVE: "Your post was marked as sensitive",
    Act.DELETE_POST: "Your post was deleted",
    Act.SILENCE: "Your account is limited: only your followers see your posts in timelines",
    Act.UNSILENCE: "Your account is no longer limited",
    Act.SUSPEND: "Your account was suspended",
    Act.UNSUSPEND: "Your account is no longer suspended",
}


@dataclass(frozen=True, slots=True)
class NotificationsView:
    """A page of notifications with accounts and posts. `read_to`: the id of the last one already read.

    `has_question`: a report may name the reader, who has not answered yet. `waiting`: the number of requests.
    """

    notifications: tuple[Notification, ...]
    people: dict[int, Account]
    gathered: PostListData
    reader: Reader | None
    read_to: int
    warnings: dict[int, str]
    has_question: bool
    waiting: int


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """One notification as shown. `item` is its post, if that still exists."""

    id: int
    kind: Kind
    icon: str
    said: str
    who: Account
    at_ms: int
    item: ListedPost | None
    whole: bool
    new: bool
    report_id: int = 0
    warning: str = ""


def read_notifications(connection: Connection, by: Reading, *, page: Page) -> NotificationsView:
    """Read one page of notifications, with the data to show them."""
    assert by.reader_id is not None
    found = notification_rules.notifications(connection, account_id=by.reader_id, page=page, now_ms=by.now_ms)
    people = account_rules.accounts(
        connection, account_ids=list(dict.fromkeys(item.from_account_id for item in found))
    )
    gathered = gather(
        connection, by, post_ids=list(dict.fromkeys(item.post_id for item in found if item.post_id))
    )
    markers = notification_rules.markers(connection, account_id=by.reader_id, timelines=[MARKER])
    return NotificationsView(
        tuple(found),
        {account.id: account for account in people},
        gathered,
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
        max((marker.last_read_id for marker in markers), default=0),
        {
            warning.id: f"{_DECIDED[warning.act]}: {warning.reason}"
            for warning in moderation_rules.warnings(
                connection, warning_ids=[item.id for item in found if item.kind is Kind.WARNING]
            ).values()
        },
        naming_rules.has_open_question(connection, account_id=by.reader_id),
        policy_rules.count_requests(connection, account_id=by.reader_id, now_ms=by.now_ms),
    )


async def notifications(request: Request) -> Response:
    """GET /notifications: list them, newest first; mark the new ones, and store that they are read."""
    site, page = request.site, page_of(request)
    seen = await site.database.read(read_notifications, reading(request), page=page)
    newest_id = max((item.id for item in seen.notifications), default=0)
    if newest_id > seen.read_to and request.method == "GET":
        await site.database.write(
            notification_rules.set_marker,
            account_id=request.account_id,
            timeline=MARKER,
            last_read_id=newest_id,
            now_ms=request.now_ms,
        )
    reader = seen.reader
    if reader is not None and page.max_id == MAX_ID and page.min_id is None:
        # Showing the first page reads them: the layout counts from now on.
        reader = dataclasses.replace(reader, unread=0)
    items = pages_of(request).items(seen.gathered)
    left = await filtered(request, items, FilterContext.NOTIFICATIONS)
    return pages_of(request).page(
        request,
        "notifications.html",
        reader=reader,
        has_question=seen.has_question,
        waiting=seen.waiting,
        entries=entries(seen, left, hidden={item.id for item in items} - {item.id for item in left}),
        pager=pager(request, page, [item.id for item in seen.notifications]),
    )


def entries(
    seen: NotificationsView, items: list[ListedPost], *, hidden: Collection[int] = ()
) -> list[NotificationRow]:
    """Return the entries to show; omit those by hidden accounts and those about filtered posts (`hidden`)."""
    by_id = {item.id: item for item in items}
    shown = []
    for notification in seen.notifications:
        who = seen.people.get(notification.from_account_id)
        if who is None or notification.post_id in hidden:
            continue
        icon, said = _SAID[notification.kind]
        shown.append(
            NotificationRow(
                id=notification.id,
                kind=notification.kind,
                icon=icon,
                said=said,
                who=who,
                at_ms=notification.created_at_ms,
                item=by_id.get(notification.post_id or 0),
                whole=notification.kind in _WHOLE_POST,
                new=notification.id > seen.read_to,
                report_id=notification.report_id,
                warning=seen.warnings.get(notification.id, ""),
            )
        )
    return shown
