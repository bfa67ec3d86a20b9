"""Render a feed as Atom (RFC 4287), from values to text. Ids are URLs of posts, which never change here.

A post with a content warning contains only the warning and a link: its author wants readers to choose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from stormpetrel import __version__
from stormpetrel.media.formats import SERVED_TYPES
from stormpetrel.model.account import Account
from stormpetrel.model.media import Media, MediaKind
from stormpetrel.model.post import Post
from stormpetrel.model.text import excerpt, render_html
from stormpetrel.rules.feeds import Feed
from stormpetrel.web.links import post_path, profile_path
from stormpetrel.web.times import iso

CONTENT_TYPE = b"application/atom+xml; charset=utf-8"
TITLE_CHARACTERS = 80
# Characters that XML 1.0 (2.2) forbids, even escaped. `clean` does not remove the last two.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Heading:
    """The metadata of a feed. `path`: the page with these posts; `began_at_ms`: its date while empty."""

    title: str
    subtitle: str
    path: str
    began_at_ms: int


def updated_ms(feed: Feed, heading: Heading) -> int:
    """Return the time of the feed's last change in milliseconds since 1970."""
    return max((post_updated_ms(post) for post in feed.posts), default=heading.began_at_ms)


def post_updated_ms(post: Post) -> int:
    """Return the time when the post's content last changed, in milliseconds since 1970."""
    return post.edited_at_ms or post.created_at_ms


def render(feed: Feed, heading: Heading, *, base_url: str) -> bytes:
    """Return the whole document in UTF-8."""
    page = f"{base_url}{heading.path}"
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:thr="http://purl.org/syndication/thread/1.0">',
        f"<id>{_text(page)}</id>",
        f"<title>{_text(heading.title)}</title>",
    ]
    if heading.subtitle:
        lines.append(f"<subtitle>{_text(heading.subtitle)}</subtitle>")
    lines += [
        f"<updated>{iso(updated_ms(feed, heading))}</updated>",
        f'<link rel="self" type="application/atom+xml" href="{_text(page)}/feed.atom"/>',
        f'<link rel="alternate" type="text/html" href="{_text(page)}"/>',
        f'<generator version="{_text(__version__)}">Stormpetrel</generator>',
    ]
    if feed.account is not None:
        lines.append(_author(feed.account, base_url))
    for post in feed.posts:
        lines += _entry(post, feed.authors[post.author_id], base_url, with_author=feed.account is None)
    lines.append("</feed>\n")
    return "\n".join(lines).encode("utf-8")


def _entry(post: Post, author: Account, base_url: str, *, with_author: bool) -> Iterable[str]:
    address = f"{base_url}{post_path(author.username, post.id)}"
    language = f' xml:lang="{_text(post.language)}"' if post.language else ""
    yield f"<entry{language}>"
    yield f"<id>{_text(address)}</id>"
    yield f"<title>{_text(_title(post, author))}</title>"
    yield f"<published>{iso(post.created_at_ms)}</published>"
    yield f"<updated>{iso(post_updated_ms(post))}</updated>"
    yield f'<link rel="alternate" type="text/html" href="{_text(address)}"/>'
    if with_author:
        yield _author(author, base_url)
    if post.in_reply_to_id and post.in_reply_to_account_id == author.id:
        # The URL of another author's post is not known here, and a wrong reference is worse than none.
        ref = _text(f"{base_url}{post_path(author.username, post.in_reply_to_id)}")
        yield f'<thr:in-reply-to ref="{ref}" href="{ref}" type="text/html"/>'
    for tag in post.tags:
        yield f'<category term="{_text(tag)}"/>'
    for media in _shown_media(post):
        yield _enclosure(media, base_url)
    yield f'<content type="html">{_text(_content(post, address, base_url))}</content>'
    yield "</entry>"


def _title(post: Post, author: Account) -> str:
    if post.spoiler_text:
        return f"Content warning: {excerpt(post.spoiler_text, TITLE_CHARACTERS)}"
    return excerpt(post.text, TITLE_CHARACTERS) or f"A post by {author.shown_name}"


def _content(post: Post, address: str, base_url: str) -> str:
    if post.spoiler_text:
        return (
            f"<p><strong>Content warning:</strong> {escape(post.spoiler_text)}</p>"
            f'<p><a href="{escape(address)}">Read the post</a></p>'
        )
    pictures = "".join(
        f'<p><img src="{base_url}/media/{media.decoded.preview_key or media.decoded.key}" '
        f'alt="{escape(media.description)}"></p>'
        for media in _shown_media(post)
        if media.decoded.kind is MediaKind.IMAGE
    )
    options = "".join(
        f"<li>{escape(option.title)}</li>" for option in (post.poll.options if post.poll else ())
    )
    asked = f"<ul>{options}</ul>" if options else ""
    return f"{render_html(post.text, mentions=post.mentions, base_url=base_url)}{pictures}{asked}"


def _shown_media(post: Post) -> tuple[Media, ...]:
    """Omit sensitive media: a feed cannot ask the reader first."""
    return () if post.sensitive or post.spoiler_text else post.media


def _enclosure(media: Media, base_url: str) -> str:
    key = media.decoded.key
    kind = SERVED_TYPES[key.rpartition(".")[2]].decode()
    title = f' title="{_text(media.description)}"' if media.description else ""
    return f'<link rel="enclosure" type="{kind}" href="{base_url}/media/{key}"{title}/>'


def _author(author: Account, base_url: str) -> str:
    uri = _text(f"{base_url}{profile_path(author.username)}")
    return f"<author><name>{_text(author.shown_name)}</name><uri>{uri}</uri></author>"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))
