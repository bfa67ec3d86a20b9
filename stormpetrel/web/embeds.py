"""A post embedded in a page of another site: small, without forms and scripts, as a visitor sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stormpetrel.errors import NotFound
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.storage.engine.hot import hot
from stormpetrel.web.fragments import NOTHING, PostListData, Reading, gather
from stormpetrel.web.links import post_path
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection


@hot
def read_embedded(
    connection: Connection, by: Reading, *, username: str, post_id: int
) -> tuple[PostListData, str]:
    """Read a post that visitors may see, and its correct path if the request had another. Raise NotFound."""
    post = post_rules.post(connection, reader_id=None, post_id=post_id, now_ms=by.now_ms)
    if post.boost_of_id:
        raise NotFound
    author = account_rules.account(connection, account_id=post.author_id)
    if author.username != username:
        return NOTHING, f"{post_path(author.username, post.id)}/embed"
    return gather(connection, by, post_ids=[post_id]), ""


async def embed(request: Request) -> Response:
    """GET /@NAME/ID/embed: show the same to all readers, even if signed in."""
    pages, post_id = pages_of(request), request.id()
    # Read as a visitor: a frame's content must not depend on the reader of the page around it.
    by = Reading(None, request.now_ms, pages.fragments, pages.fragments.freshness.begin())
    gathered, moved_to = await request.site.database.read(
        read_embedded, by, username=request.parameters["name"], post_id=post_id
    )
    if moved_to:
        return redirect(moved_to, 302)
    items = pages.items(gathered)
    if not items:
        raise NotFound
    fragment = items[0].fragment
    request.keep_hot(f"post:{post_id}", *(f"account:{one}" for one in fragment.account_ids), "instance")
    response = pages.page(request, "embed.html", post=fragment, item=items[0])
    response.may_be_framed = True
    return response
