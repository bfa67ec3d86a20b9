"""`/api/v1/accounts/…`: profiles, and the caller's own profile. Relationships are in relationships.py."""

from __future__ import annotations

from typing import Any

import msgspec

from stormpetrel.api.json import convert, entities
from stormpetrel.api.json.render import keep_finished, renderer
from stormpetrel.api.paging import (
    ACCOUNTS_DEFAULT,
    ACCOUNTS_MOST,
    Id,
    PageQuery,
    ids_of,
    page_of,
)
from stormpetrel.api.shapes import answers
from stormpetrel.errors import NotFound
from stormpetrel.http.forms import UploadedFile
from stormpetrel.http.paging import paged
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.http.uploads import a_file, profile_with_pictures
from stormpetrel.media.job import Purpose
from stormpetrel.model.account import Account, Field, ProfileChange
from stormpetrel.model.page import Page
from stormpetrel.readers.counts import COUNTS_S
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import relationships as rules
from stormpetrel.rules import search as search_rules
from stormpetrel.rules import timelines as timeline_rules
from stormpetrel.storage.engine.connection import Connection

ACCOUNTS_BY_ID_MOST = 40
MAX_OFFSET = 10_000

# The caller's own profile --------------------------------------------------------------------------------


def _own(connection: Connection, *, account_id: int) -> tuple[Account, int]:
    """Return the account and its number of pending follow requests (counted up to 80)."""
    waiting = rules.follow_requests(connection, account_id=account_id, page=Page(limit=ACCOUNTS_MOST))
    return account_rules.account(connection, account_id=account_id), len(waiting)


async def _credential_account(request: Request) -> Response:
    account, waiting = await request.site.database.read(_own, account_id=request.account_id)
    assert request.access is not None
    return json(
        convert.credential_account(
            account,
            base_url=request.site.base_url,
            role=request.access.role,
            follow_requests_count=waiting,
        )
    )


@answers(entities.CredentialAccount)
async def verify_credentials(request: Request) -> Response:
    """View the account of the token"""
    request.keep_finished((request.account_id,))
    return await _credential_account(request)


class FieldInput(msgspec.Struct):
    name: str = ""
    value: str = ""


class SourceInput(msgspec.Struct):
    privacy: str | None = None
    sensitive: bool | None = None
    language: str | None = None


class CredentialsInput(msgspec.Struct):
    """The changes to make; omitted fields stay unchanged. `avatar` and `header` are files."""

    display_name: str | None = None
    note: str | None = None
    locked: bool | None = None
    bot: bool | None = None
    discoverable: bool | None = None
    indexable: bool | None = None
    fields_attributes: list[FieldInput] | dict[str, FieldInput] | None = None
    source: SourceInput | None = None
    avatar: Any = None
    header: Any = None


@answers(entities.CredentialAccount, takes=CredentialsInput)
async def update_credentials(request: Request) -> Response:
    """Update the caller's own profile"""
    await change_profile(request)
    return await _credential_account(request)


async def change_profile(request: Request) -> None:
    """Change the profile as requested. Raise Invalid without changing anything."""
    given = await request.input(CredentialsInput)
    files: dict[Purpose, UploadedFile | None] = {
        "avatar": a_file(given.avatar, "avatar"),
        "header": a_file(given.header, "header"),
    }
    source = given.source or SourceInput()
    visibility = convert.visibility(source.privacy)
    change = ProfileChange(
        display_name=given.display_name,
        note=given.note,
        fields=_fields(given.fields_attributes),
        locked=given.locked,
        bot=given.bot,
        discoverable=given.discoverable,
        indexable=given.indexable,
        default_visibility=None if visibility is None else int(visibility),
        default_sensitive=source.sensitive,
        default_language=source.language,
    )
    sent: dict[Purpose, UploadedFile | None] = {purpose: file for purpose, file in files.items() if file}
    await profile_with_pictures(request, change, sent)


def _fields(given: list[FieldInput] | dict[str, FieldInput] | None) -> tuple[Field, ...] | None:
    """Return the profile's fields from a list, or from a table of numbered lines in any order. Skip empty
    lines."""
    if given is None:
        return None
    if isinstance(given, dict):
        # Sort shorter numbers first: 2 before 10. Keys that are not numbers also get a stable order.
        given = [given[key] for key in sorted(given, key=lambda key: (len(key), key))]
    return tuple(Field(field.name, field.value) for field in given if field.name or field.value)


# Other accounts' profiles --------------------------------------------------------------------------------


@answers(entities.Account)
async def show(request: Request) -> Response:
    """View an account"""
    account_id = request.id()
    body = await renderer(request).account(account_id)
    request.keep_hot(f"account:{account_id}")
    request.keep_finished((account_id,))
    return Response(body=body)


class AccountsQuery(msgspec.Struct):
    id: list[Id] = []


@answers(list[entities.Account], takes=AccountsQuery)
async def several(request: Request) -> Response:
    """View several accounts by id"""
    wanted = ids_of(request.query(AccountsQuery).id, most=ACCOUNTS_BY_ID_MOST)
    return Response(body=await renderer(request).accounts(wanted))


class LookupQuery(msgspec.Struct):
    acct: str = ""


@answers(entities.Account, takes=LookupQuery)
async def lookup(request: Request) -> Response:
    """Look up an account by its name"""
    username = local_username(request, request.query(LookupQuery).acct)
    account = await request.site.database.read(account_rules.account_named, username=username)
    request.keep_hot(f"account:{account.id}")
    request.keep_finished((account.id,))
    return Response(body=await renderer(request).account(account.id))


def local_username(request: Request, handle: str) -> str:
    """Return the username in `name`, `@name` or `@name@our.domain`. Raise NotFound for another domain."""
    username, _, domain = handle.strip().removeprefix("@").partition("@")
    if not username or (domain and domain.lower() != request.site.domain):
        raise NotFound
    return username


class AccountSearchQuery(msgspec.Struct):
    q: str = ""
    limit: int | None = None
    offset: int = 0
    following: bool = False
    resolve: bool = False


@answers(list[entities.Account], takes=AccountSearchQuery)
async def search(request: Request) -> Response:
    """Search for accounts whose name begins with the text"""
    query = request.query(AccountSearchQuery)
    text = query.q.strip().removeprefix("@")
    name, _, domain = text.partition("@")
    if domain:
        if domain.lower() != request.site.domain:
            return Response(body=b"[]")
        text = name
    wanted: dict[str, Any] = {
        "reader_id": request.account_id,
        "text": text,
        "limit": page_of(PageQuery(limit=query.limit), default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST).limit,
        "offset": min(max(query.offset, 0), MAX_OFFSET),
        "only_followed": query.following,
        "now_ms": request.now_ms,
    }
    _, found = request.site.database.read_inline(search_rules.find_few_people_ids, **wanted)
    if found is None:
        found = await request.site.database.read(search_rules.find_people_ids, **wanted)
    return Response(body=await renderer(request).accounts(found))


class AccountStatusesQuery(PageQuery, kw_only=True):
    only_media: bool = False
    exclude_replies: bool = False
    exclude_reblogs: bool = False
    pinned: bool = False
    tagged: str = ""


@answers(list[entities.Status], takes=AccountStatusesQuery, paged=True)
async def statuses(request: Request) -> Response:
    """View an account's posts"""
    query = request.query(AccountStatusesQuery)
    account_id = request.id()
    ids = await request.site.database.read(
        timeline_rules.of_account,
        reader_id=request.reader_id,
        account_id=account_id,
        page=page_of(query),
        now_ms=request.now_ms,
        exclude_replies=query.exclude_replies,
        exclude_boosts=query.exclude_reblogs,
        only_media=query.only_media,
        pinned=query.pinned,
        tagged=query.tagged,
    )
    request.keep_hot(f"account:{account_id}")
    body = await renderer(request).statuses(ids, reader_id=request.reader_id)
    # An edit can add a boosted post to these lists, and no event of the booster tells of that.
    if not (query.only_media or query.pinned or query.tagged):
        await keep_finished(request, ids, others=(account_id,), obeys_mutes=True)
    return paged(request, body, ids)


@answers(list[entities.Account], takes=PageQuery, paged=True)
async def followers(request: Request) -> Response:
    """View an account's followers"""
    rows = await request.site.database.read(
        rules.followers,
        reader_id=request.reader_id,
        account_id=request.id(),
        page=accounts_page(request),
    )
    return await account_rows(request, rows)


@answers(list[entities.Account], takes=PageQuery, paged=True)
async def following(request: Request) -> Response:
    """View the accounts that an account follows"""
    rows = await request.site.database.read(
        rules.following,
        reader_id=request.reader_id,
        account_id=request.id(),
        page=accounts_page(request),
    )
    return await account_rows(request, rows)


def accounts_page(request: Request) -> Page:
    """Return the page of accounts that the request asks for."""
    return page_of(request.query(PageQuery), default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST)


async def account_rows(request: Request, rows: list[tuple[int, int]]) -> Response:
    """Return the accounts of (row id, account id) pairs; the Link header uses the row ids."""
    body = await renderer(request).accounts([account_id for _, account_id in rows])
    return paged(request, body, [row_id for row_id, _ in rows])


class DirectoryQuery(msgspec.Struct):
    limit: int | None = None
    offset: int = 0


@answers(list[entities.Account], takes=DirectoryQuery)
async def directory(request: Request) -> Response:
    """View accounts that want to be discovered, by their latest post"""
    query = request.query(DirectoryQuery)
    found = await request.site.database.read(
        account_rules.directory,
        limit=page_of(PageQuery(limit=query.limit), default=ACCOUNTS_DEFAULT, most=ACCOUNTS_MOST).limit,
        offset=min(max(query.offset, 0), MAX_OFFSET),
    )
    request.keep_hot("public", ttl_s=COUNTS_S)
    return Response(body=await renderer(request).accounts([account.id for account in found]))
