"""What a reader's filters leave of a list of posts."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from stormpetrel.http.request import Request
from stormpetrel.model.filter import Action, Context, treatment
from stormpetrel.web.fragments import Item


async def filtered(
    request: Request, items: list[Item], context: Context, *, asked_for: Collection[int] = ()
) -> list[Item]:
    """The entries without those that are to be hidden; the others say what is to be done with them.

    One's own posts fall under no filter. `asked_for`: posts that are not hidden, only warned of. Visitors
    have no filters: for them nothing changes.
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
