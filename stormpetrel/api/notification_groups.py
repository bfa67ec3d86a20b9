"""`/api/v2/notifications/…`: notifications in which the same action of many accounts is one group."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from stormpetrel.api.accounts import account_rows
from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import (
    Account,
    AccountWarning,
    Entity,
    Nothing,
    NotificationCount,
    Report,
    Status,
)
from stormpetrel.api.json.notification_details import WITH_DETAILS, details
from stormpetrel.api.json.render import keep_finished, renderer
from stormpetrel.api.notifications import COUNT_DEFAULT, COUNT_MOST, NotificationsQuery, kinds_of
from stormpetrel.api.paging import ACCOUNTS_DEFAULT, ACCOUNTS_MOST, Id, PageQuery, one_id, page_of
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Invalid
from stormpetrel.http.paging import page_links
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.ids import time_ms
from stormpetrel.model.notification import GROUPED, NotificationGroup
from stormpetrel.rules import notification_groups as rules

_encode = msgspec.json.Encoder().encode
EXPANSIONS = ("full", "partial_avatars")


class NotificationGroupEntity(Entity, frozen=True):
    """A group of notifications.

    `most_recent_notification_id` is a number as in Mastodon, because apps require it. An id does not fit into
    a JavaScript number, so the value is the time of that notification, which sorts the same way.
    """

    group_key: str
    notifications_count: int
    type: str
    most_recent_notification_id: int
    page_min_id: str
    page_max_id: str
    latest_page_notification_at: str
    sample_account_ids: list[str]
    status_id: str | UnsetType = UNSET
    report: Report | UnsetType = UNSET
    moderation_warning: AccountWarning | UnsetType = UNSET


class GroupedNotifications(Entity, frozen=True):
    """Groups, and each account and status in them once. Accounts are always complete."""

    accounts: list[Account]
    statuses: list[Status]
    notification_groups: list[NotificationGroupEntity]
    partial_accounts: list[Account] | UnsetType = UNSET


class GroupsQuery(NotificationsQuery, kw_only=True):
    grouped_types: list[str] | None = None
    expand_accounts: str = "full"


@answers(GroupedNotifications, takes=GroupsQuery, paged=True)
async def index(request: Request) -> Response:
    """View grouped notifications"""
    query = request.query(GroupsQuery)
    if query.expand_accounts not in EXPANSIONS:
        raise Invalid("expand_accounts must be full or partial_avatars")
    kinds = kinds_of(query.types) if query.types else None
    found = await request.site.database.read(
        rules.groups,
        account_id=request.account_id,
        page=page_of(query, default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST),
        now_ms=request.now_ms,
        kinds=kinds,
        exclude=kinds_of(query.exclude_types),
        grouped=GROUPED if query.grouped_types is None else kinds_of(query.grouped_types),
        from_account_id=one_id(query.account_id, "account_id"),
    )
    response = await _grouped(request, found.groups, partial=query.expand_accounts != "full")
    newest = [group.newest for group in found.groups]
    # The details of reports and warnings change without an event.
    if not any(one.kind in WITH_DETAILS for one in newest):
        post_ids = [one.post_id for one in newest if one.post_id is not None]
        account_ids = {account_id for group in found.groups for account_id in group.account_ids}
        await keep_finished(request, post_ids, others=account_ids, obeys_mutes=True)
    if found.newest_id:
        response.headers.append(page_links(request, newest_id=found.newest_id, oldest_id=found.oldest_id))
    return response


@answers(GroupedNotifications)
async def show(request: Request) -> Response:
    """View a group of notifications"""
    found = await request.site.database.read(
        rules.group, account_id=request.account_id, key=request.parameters["group_key"], now_ms=request.now_ms
    )
    return await _grouped(request, [found], partial=False)


async def _grouped(request: Request, groups: Sequence[NotificationGroup], *, partial: bool) -> Response:
    extra: dict[int, bytes] = {}
    told = [group.newest for group in groups if group.newest.kind in WITH_DETAILS]
    if told:
        extra = await request.site.database.read(details, notifications=told, base_url=request.site.base_url)
    bodies = []
    for group in groups:
        body = _encode(_entity(group))
        if group.newest.kind in WITH_DETAILS:
            more = extra.get(group.newest.id)
            if more is None:
                continue  # the report or warning no longer exists
            body = body[:-1] + more + b"}"
        bodies.append(body)
    post_ids = dict.fromkeys(group.newest.post_id for group in groups if group.newest.post_id is not None)
    account_ids = dict.fromkeys(account_id for group in groups for account_id in group.account_ids)
    render = renderer(request)
    return Response(
        body=b'{"accounts":%b,"statuses":%b,"notification_groups":[%b]%b}'
        % (
            await render.accounts(list(account_ids)),
            await render.statuses(list(post_ids), reader_id=request.account_id),
            b",".join(bodies),
            b',"partial_accounts":[]' if partial else b"",
        )
    )


def _entity(group: NotificationGroup) -> NotificationGroupEntity:
    newest = group.newest
    return NotificationGroupEntity(
        group_key=group.key,
        notifications_count=group.count,
        type=convert.KIND_NAMES[newest.kind],
        most_recent_notification_id=time_ms(newest.id),
        page_min_id=str(group.oldest_id),
        page_max_id=str(newest.id),
        latest_page_notification_at=convert.timestamp(newest.created_at_ms),
        sample_account_ids=[str(account_id) for account_id in group.account_ids],
        status_id=UNSET if newest.post_id is None else str(newest.post_id),
    )


@answers(list[Account], takes=PageQuery, paged=True)
async def accounts(request: Request) -> Response:
    """View the accounts in a group of notifications"""
    found = await request.site.database.read(
        rules.members,
        account_id=request.account_id,
        key=request.parameters["group_key"],
        page=page_of(request.query(PageQuery), default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST),
        now_ms=request.now_ms,
    )
    return await account_rows(request, [(one.id, one.from_account_id) for one in found])


@answers(Nothing)
async def dismiss(request: Request) -> Response:
    """Dismiss a group of notifications"""
    await request.site.database.write(
        rules.dismiss_group, account_id=request.account_id, key=request.parameters["group_key"]
    )
    return Response(body=b"{}")


class GroupsCountQuery(msgspec.Struct, kw_only=True):
    limit: int = COUNT_DEFAULT
    types: list[str] = []
    exclude_types: list[str] = []
    account_id: Id | None = None
    grouped_types: list[str] | None = None


@answers(NotificationCount, takes=GroupsCountQuery)
async def unread_count(request: Request) -> Response:
    """Count the groups with a notification newer than the marker"""
    query = request.query(GroupsCountQuery)
    count = await request.site.database.read(
        rules.unread_count,
        account_id=request.account_id,
        limit=min(max(query.limit, 1), COUNT_MOST),
        now_ms=request.now_ms,
        kinds=kinds_of(query.types) if query.types else None,
        exclude=kinds_of(query.exclude_types),
        grouped=GROUPED if query.grouped_types is None else kinds_of(query.grouped_types),
        from_account_id=one_id(query.account_id, "account_id"),
    )
    await keep_finished(request, obeys_mutes=True)
    return json(NotificationCount(count=count))
