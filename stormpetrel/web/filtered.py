"""Apply a reader's filters to a list of posts."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from stormpetrel.http.request import Request
from stormpetrel.model.filter import Action, FilterContext, treatment
from stormpetrel.web.fragments import ListedPost


async def filtered(
    request: Request, items: list[ListedPost], context: FilterContext, *, asked_for: Collection[int] = ()
) -> list[ListedPost]:
    """Return the entries without the hidden ones; `treatment` of the others says how to show them.

    Filters do not apply to the reader's own posts. `asked_for`: posts that are never hidden, at most warned
    of. Visitors have no filters, so their entries are unchanged.
    """
    if request.reader_id is None:
        return items
    filters = await request.site.filters.of(request.reader_id)
    if filters is None:
        return items
    left = []
    for item in items:
        fragment = item.fragment
        if fragment.author_id != request.reader_id:
            found = treatment(
                filters.matches(post_id=fragment.id, text=fragment.searched),
                context,
                may_hide=fragment.id not in asked_for,
            )
            if found is not None and found.action is Action.HIDE:
                continue
            item = dataclasses.replace(item, treatment=found)
        left.append(item)
    return left
