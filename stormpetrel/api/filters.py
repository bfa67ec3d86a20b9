"""`/api/v2/filters/…`, and `/api/v1/filters/…`, where a filter has one keyword."""

from __future__ import annotations

from typing import Any

import msgspec

from stormpetrel.api.json.entities import Nothing
from stormpetrel.api.json.filter_entities import (
    Filter,
    FilterKeyword,
    FilterStatus,
    FilterV1,
    filter_entity,
    filter_v1,
    filtered_status,
    keyword,
)
from stormpetrel.api.paging import Id, one_id
from stormpetrel.api.shapes import answers
from stormpetrel.errors import Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.filter import Filter as ModelFilter
from stormpetrel.model.filter import Keyword
from stormpetrel.rules import filters as rules
from stormpetrel.rules.filters import FilterChange, KeywordChange


class KeywordInput(msgspec.Struct):
    keyword: str | None = None
    whole_word: bool | None = None


class NestedKeyword(msgspec.Struct):
    """A keyword within a filter; `id` changes an existing one, with `_destroy` it is removed."""

    id: Id | None = None
    keyword: str | None = None
    whole_word: bool | None = None
    destroy: bool | None = msgspec.field(name="_destroy", default=None)


class FilterInput(msgspec.Struct):
    """`expires_in` in seconds; 0, null and empty: never."""

    title: str | None = None
    context: list[str] | None = None
    filter_action: str | None = None
    expires_in: Any = msgspec.UNSET
    keywords_attributes: list[NestedKeyword] | dict[str, NestedKeyword] | None = None


def _change(given: FilterInput) -> FilterChange:
    nested = given.keywords_attributes or []
    if isinstance(nested, dict):
        nested = [nested[key] for key in sorted(nested, key=lambda key: (len(key), key))]
    return FilterChange(
        title=given.title,
        contexts=None if given.context is None else tuple(given.context),
        action=given.filter_action,
        expires_in_s=_seconds(given.expires_in),
        keywords=tuple(
            KeywordChange(one_id(one.id, "id"), one.keyword, one.whole_word, bool(one.destroy))
            for one in nested
            if one.id is not None or one.keyword is not None
        ),
    )


def _seconds(value: Any) -> int | None:
    """Return None if not given; null and empty text, which forms and apps send, mean never (0). Raise
    Invalid."""
    if value is msgspec.UNSET:
        return None
    if value is None or value == "":
        return 0
    try:
        return msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid("expires_in is not a number", fields={"expires_in": "is not a number"}) from error


@answers(list[Filter])
async def index(request: Request) -> Response:
    """View all filters"""
    found = await request.site.database.read(rules.filters, account_id=request.account_id)
    return json([filter_entity(one) for one in found])


async def _named(request: Request) -> ModelFilter:
    """Return the filter that the path names."""
    return await request.site.database.read(
        rules.one_filter, account_id=request.account_id, filter_id=request.id()
    )


@answers(Filter)
async def show(request: Request) -> Response:
    """View a filter"""
    return json(filter_entity(await _named(request)))


@answers(Filter, takes=FilterInput)
async def create(request: Request) -> Response:
    """Create a filter"""
    given = await request.input(FilterInput)
    made = await request.site.database.write(
        rules.create_filter, account_id=request.account_id, change=_change(given), now_ms=request.now_ms
    )
    return json(filter_entity(made))


@answers(Filter, takes=FilterInput)
async def update(request: Request) -> Response:
    """Update a filter"""
    given = await request.input(FilterInput)
    changed = await request.site.database.write(
        rules.change_filter,
        account_id=request.account_id,
        filter_id=request.id(),
        change=_change(given),
        now_ms=request.now_ms,
    )
    return json(filter_entity(changed))


@answers(Nothing)
async def delete(request: Request) -> Response:
    """Delete a filter"""
    await request.site.database.write(
        rules.delete_filter, account_id=request.account_id, filter_id=request.id()
    )
    return json({})


@answers(list[FilterKeyword])
async def keywords(request: Request) -> Response:
    """View the keywords of a filter"""
    return json([keyword(one) for one in (await _named(request)).keywords])


@answers(FilterKeyword, takes=KeywordInput)
async def add_keyword(request: Request) -> Response:
    """Add a keyword to a filter"""
    given = await request.input(KeywordInput)
    made = await request.site.database.write(
        rules.add_keyword,
        account_id=request.account_id,
        filter_id=request.id(),
        change=_keyword_change(given),
        now_ms=request.now_ms,
    )
    return json(keyword(made))


@answers(FilterKeyword)
async def show_keyword(request: Request) -> Response:
    """View a keyword of a filter"""
    _, found = await request.site.database.read(
        rules.keyword, account_id=request.account_id, keyword_id=request.id()
    )
    return json(keyword(found))


@answers(FilterKeyword, takes=KeywordInput)
async def update_keyword(request: Request) -> Response:
    """Update a keyword of a filter"""
    return json(keyword(await _change_keyword(request, _keyword_change(await request.input(KeywordInput)))))


@answers(Nothing)
async def delete_keyword(request: Request) -> Response:
    """Remove a keyword from a filter"""
    await _change_keyword(request, KeywordChange(remove=True))
    return json({})


def _keyword_change(given: KeywordInput) -> KeywordChange:
    return KeywordChange(keyword=given.keyword, whole_word=given.whole_word)


async def _change_keyword(request: Request, change: KeywordChange) -> Keyword:
    return await request.site.database.write(
        rules.change_keyword,
        account_id=request.account_id,
        keyword_id=request.id(),
        change=change,
        now_ms=request.now_ms,
    )


@answers(list[FilterStatus])
async def statuses(request: Request) -> Response:
    """View the statuses of a filter"""
    return json([filtered_status(one) for one in (await _named(request)).posts])


class FilterStatusInput(msgspec.Struct):
    status_id: Id | None = None


@answers(FilterStatus, takes=FilterStatusInput)
async def add_status(request: Request) -> Response:
    """Add a status to a filter"""
    filter_id = request.id()
    post_id = one_id((await request.input(FilterStatusInput)).status_id, "status_id")
    if post_id is None:
        raise Invalid("status_id is missing", fields={"status_id": "is missing"})
    made = await request.site.database.write(
        rules.add_post,
        account_id=request.account_id,
        filter_id=filter_id,
        post_id=post_id,
        now_ms=request.now_ms,
    )
    return json(filtered_status(made))


@answers(FilterStatus)
async def show_status(request: Request) -> Response:
    """View a status of a filter"""
    found = await request.site.database.read(
        rules.filtered_post, account_id=request.account_id, id=request.id()
    )
    return json(filtered_status(found))


@answers(FilterStatus)
async def delete_status(request: Request) -> Response:
    """Remove a status from a filter"""
    found = await request.site.database.write(
        rules.remove_post, account_id=request.account_id, id=request.id()
    )
    return json(filtered_status(found))


@answers(list[FilterV1])
async def v1_index(request: Request) -> Response:
    """View all filters, one per keyword (version 1)"""
    found = await request.site.database.read(rules.filters, account_id=request.account_id)
    return json([filter_v1(one, word) for one in found for word in one.keywords])


@answers(FilterV1)
async def v1_show(request: Request) -> Response:
    """View a filter of one keyword (version 1)"""
    one, word = await request.site.database.read(
        rules.keyword, account_id=request.account_id, keyword_id=request.id()
    )
    return json(filter_v1(one, word))


class FilterV1Input(msgspec.Struct):
    """`irreversible`: hide matching posts, otherwise warn. `expires_in` in seconds; 0, null and empty:
    never."""

    phrase: str | None = None
    context: list[str] | None = None
    irreversible: bool | None = None
    whole_word: bool | None = None
    expires_in: Any = msgspec.UNSET


def _v1_change(given: FilterV1Input) -> FilterChange:
    return FilterChange(
        contexts=None if given.context is None else tuple(given.context),
        action=None if given.irreversible is None else "hide" if given.irreversible else "warn",
        expires_in_s=_seconds(given.expires_in),
    )


@answers(FilterV1, takes=FilterV1Input)
async def v1_create(request: Request) -> Response:
    """Create a filter of one phrase (version 1)"""
    given = await request.input(FilterV1Input)
    made = await request.site.database.write(
        rules.create_single,
        account_id=request.account_id,
        phrase=given.phrase or "",
        change=_v1_change(given),
        whole_word=given.whole_word,
        now_ms=request.now_ms,
    )
    return json(filter_v1(*made))


@answers(FilterV1, takes=FilterV1Input)
async def v1_update(request: Request) -> Response:
    """Update a keyword, and its filter if that has no other (version 1)"""
    given = await request.input(FilterV1Input)
    changed = await request.site.database.write(
        rules.change_single,
        account_id=request.account_id,
        keyword_id=request.id(),
        phrase=given.phrase,
        change=_v1_change(given),
        whole_word=given.whole_word,
        now_ms=request.now_ms,
    )
    return json(filter_v1(*changed))


@answers(Nothing)
async def v1_delete(request: Request) -> Response:
    """Delete a keyword, and its filter if that has no other (version 1)"""
    await request.site.database.write(
        rules.delete_single,
        account_id=request.account_id,
        keyword_id=request.id(),
        now_ms=request.now_ms,
    )
    return json({})
