"""A post with its thread, and a reader's actions on a post."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.filter import FilterContext
from stormpetrel.model.post import Post, Visibility
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import conversations as conversation_rules
from stormpetrel.rules import pins as pin_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.rules import reactions
from stormpetrel.rules import threads as thread_rules
from stormpetrel.web.filtered import filtered
from stormpetrel.web.fragments import NOTHING, ListedPost, PostListData, Reading, gather, reading
from stormpetrel.web.links import post_path, profile_path, same_site
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

MAX_ANCESTORS = 40
MAX_DESCENDANTS = 200
"""The number on one page; a longer thread continues on each reply's own page."""
MAX_DEPTH = 4
"""The maximum indentation of replies: a phone has no room for more."""


@dataclass(frozen=True, slots=True)
class ThreadView:
    """A post and the posts around it. `moved_to`: the correct path, if the request had another.

    `unread_id`: the id of the post's conversation if the reader has not read it, else 0.
    """

    gathered: PostListData
    reader: Reader | None
    post_id: int
    moved_to: str = ""
    unread_id: int = 0


def read_thread(connection: Connection, by: Reading, *, username: str, post_id: int) -> ThreadView:
    """Read the thread. Raise NotFound if the reader may not see the post."""
    post = post_rules.visible_original(connection, reader_id=by.reader_id, post_id=post_id, now_ms=by.now_ms)
    author = account_rules.account(connection, account_id=post.author_id)
    if post.id != post_id or author.username != username:
        return ThreadView(NOTHING, None, post.id, post_path(author.username, post.id))
    thread = thread_rules.thread(connection, reader_id=by.reader_id, post_id=post_id, now_ms=by.now_ms)
    ids = (
        *thread.ancestor_ids[-MAX_ANCESTORS:],
        post_id,
        *thread.descendant_ids[:MAX_DESCENDANTS],
    )
    gathered = gather(connection, by, post_ids=ids)
    reader = read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms)
    unread_id = _unread_conversation(connection, reader, post, by.now_ms)
    return ThreadView(gathered, reader, post_id, unread_id=unread_id)


def _unread_conversation(connection: Connection, reader: Reader | None, post: Post, now_ms: int) -> int:
    if reader is None or not reader.letters or post.visibility is not Visibility.DIRECT:
        return 0
    conversation_id = post.thread_id or post.id
    try:
        found = conversation_rules.conversation(
            connection, account_id=reader.account.id, conversation_id=conversation_id, now_ms=now_ms
        )
    except NotFound:
        # The post is shown, but the reader has removed the conversation from their list.
        return 0
    return conversation_id if found.unread else 0


def with_depths(items: list[ListedPost], post_id: int) -> list[ListedPost]:
    """Return the entries of a thread: the post in focus, replies with their distance from it."""
    depths = {post_id: 0}
    shown: list[ListedPost] = []
    below = False
    for item in items:
        if item.id == post_id:
            below = True
            shown.append(dataclasses.replace(item, focus=True))
        elif below:
            depth = depths.get(item.fragment.in_reply_to_id or 0, 0) + 1
            depths[item.id] = depth
            shown.append(dataclasses.replace(item, depth=min(depth, MAX_DEPTH)))
        else:
            shown.append(item)
    return shown


async def post(request: Request) -> Response:
    """GET /@NAME/ID: show a post between its ancestors and replies, and mark its conversation as read."""
    site, post_id = request.site, request.id()
    seen = await site.database.read(
        read_thread, reading(request), username=request.parameters["name"], post_id=post_id
    )
    if seen.moved_to:
        return redirect(seen.moved_to, 302)
    items = with_depths(pages_of(request).items(seen.gathered), post_id)
    focus = next((item for item in items if item.focus), None)
    if focus is None:
        raise NotFound
    # A new reply changes the counters of its parent, which invalidates post:ID.
    tags = {f"post:{item.fragment.id}" for item in items}
    tags |= {f"account:{account_id}" for item in items for account_id in item.fragment.account_ids}
    request.keep_hot(*sorted(tags), "instance")
    reader = seen.reader
    if reader is not None and seen.unread_id and request.method == "GET":
        # Showing this page marks the conversation as read.
        await site.database.write(
            conversation_rules.mark_read,
            account_id=reader.account.id,
            conversation_id=seen.unread_id,
            now_ms=request.now_ms,
        )
        reader = dataclasses.replace(reader, letters=reader.letters - 1)
    items = await filtered(request, items, FilterContext.THREAD, asked_for=(post_id,))
    return pages_of(request).page(
        request,
        "post_page.html",
        reader=reader,
        items=items,
        focus=focus.fragment,
        replies=sum(item.depth > 0 for item in items),
    )


# Actions on a post. Each has its own URL, so that forms work without a script.


async def _act(request: Request, rule: Callable[..., Any], **more: object) -> Response:
    await request.site.database.write(
        rule, account_id=request.account_id, post_id=request.id(), now_ms=request.now_ms, **more
    )
    return redirect(same_site((await request.form()).get("next", "")))


async def boost(request: Request) -> Response:
    """POST /posts/ID/boost: share it with the reader's followers."""
    return await _act(request, reactions.boost, visibility=None)


async def unboost(request: Request) -> Response:
    """POST /posts/ID/unboost: undo the boost."""
    return await _act(request, post_rules.unboost)


async def favourite(request: Request) -> Response:
    """POST /posts/ID/favourite: favourite it, which notifies its author."""
    return await _act(request, reactions.favourite)


async def unfavourite(request: Request) -> Response:
    """POST /posts/ID/unfavourite: undo the favourite."""
    return await _act(request, reactions.unfavourite)


async def bookmark(request: Request) -> Response:
    """POST /posts/ID/bookmark: save it privately."""
    return await _act(request, reactions.bookmark)


async def unbookmark(request: Request) -> Response:
    """POST /posts/ID/unbookmark: remove the bookmark."""
    return await _act(request, reactions.unbookmark)


async def pin(request: Request) -> Response:
    """POST /posts/ID/pin: pin the reader's own post to the top of their profile."""
    return await _act(request, pin_rules.pin)


async def unpin(request: Request) -> Response:
    """POST /posts/ID/unpin: unpin it."""
    return await _act(request, pin_rules.unpin)


def read_own_post(connection: Connection, by: Reading, *, post_id: int) -> ThreadView:
    """Read the reader's own post. Raise NotFound for another author's post."""
    found = post_rules.post(connection, reader_id=by.reader_id, post_id=post_id, now_ms=by.now_ms)
    if found.author_id != by.reader_id or found.boost_of_id:
        raise NotFound
    gathered = gather(connection, by, post_ids=[post_id])
    return ThreadView(gathered, read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms), post_id)


async def ask_delete(request: Request) -> Response:
    """GET /posts/ID/delete: ask for confirmation, with the post shown."""
    seen = await request.site.database.read(read_own_post, reading(request), post_id=request.id())
    return pages_of(request).page(
        request,
        "delete.html",
        reader=seen.reader,
        items=pages_of(request).items(seen.gathered),
        post_id=seen.post_id,
    )


def delete_own(connection: Connection, *, account_id: int, post_id: int, now_ms: int) -> str:
    """Delete the post with its media; return the path to redirect to."""
    post_rules.delete_post(
        connection, author_id=account_id, post_id=post_id, delete_media=True, now_ms=now_ms
    )
    return profile_path(account_rules.account(connection, account_id=account_id).username)


async def delete(request: Request) -> Response:
    """POST /posts/ID/delete: delete it for all readers."""
    path = await request.site.database.write(
        delete_own, account_id=request.account_id, post_id=request.id(), now_ms=request.now_ms
    )
    return redirect(path)
