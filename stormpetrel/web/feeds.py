"""Atom feeds of accounts and hashtags. Like other public pages, they are served from memory."""

from __future__ import annotations

from email.utils import formatdate

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.text import excerpt
from stormpetrel.rules import feeds as rules
from stormpetrel.web import atom
from stormpetrel.web.links import profile_path, tag_path
from stormpetrel.web.pages import hashtag_asked
from stormpetrel.web.people import local_name

SUBTITLE_CHARACTERS = 160


async def of_account(request: Request) -> Response:
    """GET /@NAME/feed.atom: an account's public posts."""
    username, elsewhere = local_name(request)
    if elsewhere:
        return redirect(f"{profile_path(username)}/feed.atom", 302)
    site = request.site
    feed = await site.database.read(rules.feed_of_account, username=username, now_ms=request.now_ms)
    account = feed.account
    assert account is not None
    heading = atom.Heading(
        title=f"{account.shown_name} (@{account.username}@{site.domain})",
        subtitle=excerpt(account.note, SUBTITLE_CHARACTERS),
        path=profile_path(account.username),
        began_at_ms=account.created_at_ms,
    )
    return _answer(request, feed, heading, f"account:{account.id}")


async def of_tag(request: Request) -> Response:
    """GET /tags/TAG/feed.atom: public posts with a hashtag."""
    written, name = hashtag_asked(request)
    feed = await request.site.database.read(rules.feed_of_tag, name=name, now_ms=request.now_ms)
    # Use the folded name, so that #Birds and #birds are one feed with one id.
    heading = atom.Heading(
        title=f"#{written} · {request.site.config.title}", subtitle="", path=tag_path(name), began_at_ms=0
    )
    return _answer(request, feed, heading, f"tag:{name}")


def _answer(request: Request, feed: rules.Feed, heading: atom.Heading, tag: str) -> Response:
    tags = {tag} | {f"post:{post.id}" for post in feed.posts}
    tags |= {f"account:{account_id}" for account_id in feed.authors}
    request.keep_hot(*sorted(tags))
    body = atom.render(feed, heading, base_url=request.site.base_url)
    response = Response(200, body, content_type=atom.CONTENT_TYPE)
    updated_ms = atom.updated_ms(feed, heading)
    # Round up, and omit the header until that second has passed. Otherwise two posts of one second would have
    # the same date, and a client that polled between them would never get the second post.
    updated_s = -(-updated_ms // 1000)
    if 0 < updated_s * 1000 <= request.now_ms:
        response.headers.append((b"last-modified", formatdate(updated_s, usegmt=True).encode()))
    return response
