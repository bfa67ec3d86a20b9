"""`/api/v1/lists/…`, the lists that contain an account, and `/api/v1/timelines/list/ID`."""

from __future__ import annotations

import msgspec

from stormpetrel.api.json import entities
from stormpetrel.api.json.render import renderer
from stormpetrel.api.paging import ACCOUNTS_DEFAULT, ACCOUNTS_MOST, Id, PageQuery, ids_of, page_of
from stormpetrel.api.shapes import answers
from stormpetrel.http.paging import paged
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.lists import MAX_MEMBERS, AccountList
from stormpetrel.model.page import Page
from stormpetrel.rules import lists as rules
from stormpetrel.rules import timelines as timeline_rules


def _entity(one: AccountList) -> entities.UserList:
    return entities.UserList(str(one.id), one.title, str(one.replies_policy), one.exclusive)


@answers(list[entities.UserList])
async def index(request: Request) -> Response:
    """View all lists"""
    found = await request.site.database.read(rules.lists, account_id=request.account_id)
    return json([_entity(one) for one in found])


@answers(list[entities.UserList])
async def with_account(request: Request) -> Response:
    """View the lists that contain an account"""
    found = await request.site.database.read(
        rules.lists_with, account_id=request.account_id, member_id=request.id()
    )
    return json([_entity(one) for one in found])


@answers(entities.UserList)
async def show(request: Request) -> Response:
    """View a list"""
    found = await request.site.database.read(
        rules.one_list, account_id=request.account_id, list_id=request.id()
    )
    return json(_entity(found))


class ListInput(msgspec.Struct):
    """`replies_policy`: followed, list or none. `exclusive`: omit the members' posts from Home."""

    title: str | None = None
    replies_policy: str | None = None
    exclusive: bool | None = None


@answers(entities.UserList, takes=ListInput)
async def create(request: Request) -> Response:
    """Create a list"""
    given = await request.input(ListInput)
    made = await request.site.database.write(
        rules.create_list,
        account_id=request.account_id,
        title=given.title or "",
        replies_policy=given.replies_policy or "list",
        exclusive=bool(given.exclusive),
        now_ms=request.now_ms,
    )
    return json(_entity(made))


@answers(entities.UserList, takes=ListInput)
async def update(request: Request) -> Response:
    """Update a list's title or settings"""
    given = await request.input(ListInput)
    changed = await request.site.database.write(
        rules.change_list,
        account_id=request.account_id,
        list_id=request.id(),
        title=given.title,
        replies_policy=given.replies_policy or None,
        exclusive=given.exclusive,
    )
    return json(_entity(changed))


@answers(entities.Nothing)
async def delete(request: Request) -> Response:
    """Delete a list"""
    await request.site.database.write(rules.delete_list, account_id=request.account_id, list_id=request.id())
    return json({})


@answers(list[entities.Account], takes=PageQuery, paged=True)
async def members(request: Request) -> Response:
    """View the accounts in a list; limit 0 returns all of them"""
    query = request.query(PageQuery)
    page = (
        Page(limit=MAX_MEMBERS)
        if query.limit == 0
        else page_of(query, default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST)
    )
    ids = await request.site.database.read(
        rules.members, account_id=request.account_id, list_id=request.id(), page=page
    )
    return paged(request, await renderer(request).accounts(ids), ids)


class MembersInput(msgspec.Struct):
    account_ids: list[Id] = []


@answers(entities.Nothing, takes=MembersInput)
async def add_members(request: Request) -> Response:
    """Add followed accounts to a list"""
    given = await request.input(MembersInput)
    await request.site.database.write(
        rules.add_members,
        account_id=request.account_id,
        list_id=request.id(),
        member_ids=ids_of(given.account_ids, most=MAX_MEMBERS),
    )
    return json({})


@answers(entities.Nothing, takes=MembersInput)
async def remove_members(request: Request) -> Response:
    """Remove accounts from a list"""
    given = await request.input(MembersInput)
    await request.site.database.write(
        rules.remove_members,
        account_id=request.account_id,
        list_id=request.id(),
        member_ids=ids_of(given.account_ids, most=MAX_MEMBERS),
    )
    return json({})


@answers(list[entities.Status], takes=PageQuery, paged=True)
async def timeline(request: Request) -> Response:
    """View the timeline of a list"""
    ids = await request.site.database.read(
        timeline_rules.list_timeline,
        account_id=request.account_id,
        list_id=request.id(),
        page=page_of(request.query(PageQuery)),
        now_ms=request.now_ms,
    )
    return paged(request, await renderer(request).statuses(ids, reader_id=request.reader_id), ids)
