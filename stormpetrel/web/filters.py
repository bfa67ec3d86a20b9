"""Forms to create and change the reader's filters. web/filtered.py applies them to pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stormpetrel.errors import Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.filter import MAX_FILTER_TITLE, Action, Filter, FilterContext
from stormpetrel.rules import filters as rules
from stormpetrel.rules.filters import FilterChange, KeywordChange
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

CONTEXTS = (
    (FilterContext.HOME, "Home and lists"),
    (FilterContext.NOTIFICATIONS, "Notifications"),
    (FilterContext.PUBLIC, "Public timelines"),
    (FilterContext.THREAD, "Conversations"),
    (FilterContext.ACCOUNT, "Profiles"),
)
ACTIONS = (
    (Action.WARN, "Collapse it under the filter's title"),
    (Action.HIDE, "Hide it"),
    (Action.BLUR, "Blur its images"),
)
ENDS = (
    (0, "Never"),
    (1_800, "In 30 minutes"),
    (3_600, "In an hour"),
    (21_600, "In 6 hours"),
    (86_400, "In a day"),
    (604_800, "In a week"),
    (2_592_000, "In 30 days"),
)
_SAID_OF_ACTIONS = {Action.WARN: "Collapsed", Action.HIDE: "Hidden", Action.BLUR: "Images blurred"}
"""The words for a filter's action in the list of filters."""
_PATH = "/settings/filters"
_FIELDS = ("title", "keyword", "context", "filter_action", "expires_in")


@dataclass(frozen=True, slots=True)
class FilterForm:
    """The form's content: a stored filter, or the submitted values. `words` and `parts` have one keyword per
    line.

    `ends` is a value of ENDS in seconds, or "" for unchanged; `problems` are keyed by the rule's field names.
    """

    title: str = ""
    words: str = ""
    parts: str = ""
    contexts: tuple[str, ...] = tuple(FilterContext)
    action: str = Action.WARN
    ends: str = "0"
    ends_at_ms: int = 0
    problem: str = ""
    problems: tuple[tuple[str, str], ...] = ()


def _form_of(one: Filter) -> FilterForm:
    return FilterForm(
        title=one.title,
        words="\n".join(word.keyword for word in one.keywords if word.whole_word),
        parts="\n".join(word.keyword for word in one.keywords if not word.whole_word),
        contexts=one.contexts,
        action=one.action,
        ends="",
        ends_at_ms=one.expires_at_ms,
    )


async def _typed(request: Request) -> FilterForm:
    fields = await request.form()
    return FilterForm(
        title=fields.get("title", ""),
        words=fields.get("words", ""),
        parts=fields.get("parts", ""),
        contexts=tuple(context for context in FilterContext if f"context_{context}" in fields),
        action=fields.get("action", Action.WARN),
        ends=fields.get("ends", ""),
    )


def _wanted(form: FilterForm) -> list[tuple[str, bool]]:
    """Return (keyword, is it a whole word) pairs."""
    return [
        (line.strip(), is_whole)
        for lines, is_whole in ((form.parts, False), (form.words, True))
        for line in lines.splitlines()
        if line.strip()
    ]


def _change(form: FilterForm) -> FilterChange:
    ends = {str(seconds): seconds for seconds, _ in ENDS}
    return FilterChange(
        title=form.title, contexts=form.contexts, action=form.action, expires_in_s=ends.get(form.ends)
    )


def _refused(form: FilterForm, refusal: Invalid) -> FilterForm:
    problem = "" if refusal.fields else refusal.safe_text.removeprefix("Validation failed: ")
    return replace(form, problem=problem, problems=tuple(refusal.fields.items()))


@dataclass(frozen=True, slots=True)
class OwnFilters:
    """The reader's filters, and the reader."""

    filters: Sequence[Filter]
    reader: Reader | None


def read_own(connection: Connection, *, reader_id: int, now_ms: int) -> OwnFilters:
    """Read all filters, oldest first."""
    return OwnFilters(
        rules.filters(connection, account_id=reader_id),
        read_reader(connection, reader_id=reader_id, now_ms=now_ms),
    )


def read_one(connection: Connection, *, reader_id: int, filter_id: int, now_ms: int) -> OwnFilters:
    """Read one filter. Raise NotFound for a filter of another account."""
    return OwnFilters(
        [rules.one_filter(connection, account_id=reader_id, filter_id=filter_id)],
        read_reader(connection, reader_id=reader_id, now_ms=now_ms),
    )


async def index(request: Request) -> Response:
    """GET /settings/filters: list the filters, with the form for a new one."""
    return await _index(request, FilterForm())


async def _index(request: Request, form: FilterForm, *, status: int = 200) -> Response:
    seen = await request.site.database.read(read_own, reader_id=request.account_id, now_ms=request.now_ms)
    return pages_of(request).page(
        request,
        "settings_filters.html",
        status=status,
        reader=seen.reader,
        filters=[(one, _said(one, request.now_ms)) for one in seen.filters],
        **_values(form, request.now_ms),
    )


def _said(one: Filter, now_ms: int) -> str:
    """Return a short description of a filter's action and contexts."""
    where = [label for context, label in CONTEXTS if context in one.contexts]
    places = "everywhere" if len(where) == len(CONTEXTS) else ", ".join(where)
    named = f" · {len(one.posts)} individual posts" if one.posts else ""
    return f"{_SAID_OF_ACTIONS[one.action]} · {places}{named}"


def _values(form: FilterForm, now_ms: int) -> dict[str, object]:
    return {
        "form": form,
        "problems": dict.fromkeys(_FIELDS, "") | dict(form.problems),
        "contexts": CONTEXTS,
        "actions": ACTIONS,
        "ends": ENDS,
        "now_ms": now_ms,
        "max_title": MAX_FILTER_TITLE,
    }


async def create(request: Request) -> Response:
    """POST /settings/filters: create a filter, or show the form again with the submitted values."""
    form = await _typed(request)
    words = tuple(KeywordChange(keyword=word, whole_word=whole) for word, whole in _wanted(form))
    try:
        await request.site.database.write(
            rules.create_filter,
            account_id=request.account_id,
            change=replace(_change(form), keywords=words),
            now_ms=request.now_ms,
        )
    except Invalid as refusal:
        return await _index(request, _refused(form, refusal), status=refusal.status)
    return redirect(_PATH)


async def show(request: Request) -> Response:
    """GET /settings/filters/ID: show the form with the filter."""
    return await _one(request, None)


async def _one(request: Request, form: FilterForm | None, *, status: int = 200) -> Response:
    seen = await request.site.database.read(
        read_one, reader_id=request.account_id, filter_id=request.id(), now_ms=request.now_ms
    )
    (one,) = seen.filters
    if form is None:
        form = _form_of(one)
    form = replace(form, ends_at_ms=one.expires_at_ms)
    return pages_of(request).page(
        request,
        "settings_filter.html",
        status=status,
        reader=seen.reader,
        filter=one,
        **_values(form, request.now_ms),
    )


def save(
    connection: Connection,
    *,
    account_id: int,
    filter_id: int,
    change: FilterChange,
    words: list[tuple[str, bool]],
    now_ms: int,
) -> None:
    """Store the form's values in the filter, including its keywords."""
    found = rules.one_filter(connection, account_id=account_id, filter_id=filter_id)
    rules.change_filter(
        connection,
        account_id=account_id,
        filter_id=filter_id,
        change=replace(change, keywords=rules.keyword_changes(found, words)),
        now_ms=now_ms,
    )


async def change(request: Request) -> Response:
    """POST /settings/filters/ID: change it, or show the form again with the submitted values."""
    form = await _typed(request)
    try:
        await request.site.database.write(
            save,
            account_id=request.account_id,
            filter_id=request.id(),
            change=_change(form),
            words=_wanted(form),
            now_ms=request.now_ms,
        )
    except Invalid as refusal:
        return await _one(request, _refused(form, refusal), status=refusal.status)
    return redirect(_PATH)


async def delete(request: Request) -> Response:
    """POST /settings/filters/ID/delete: delete it."""
    await request.site.database.write(
        rules.delete_filter, account_id=request.account_id, filter_id=request.id()
    )
    return redirect(_PATH)
