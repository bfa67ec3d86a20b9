"""Pages from templates. Autoescaping is always on; the type Markup marks text that is already HTML."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from minijinja import Environment, Markup, load_from_path

from stormpetrel import __version__
from stormpetrel.bounded import BoundedTable, Eviction
from stormpetrel.errors import Invalid, Malformed, MethodNotAllowed, NotSignedIn, Refusal
from stormpetrel.http.paging import shareable
from stormpetrel.http.response import Response, html
from stormpetrel.model.account import Account
from stormpetrel.model.characters import BYTES_PER_CHARACTER
from stormpetrel.model.demo_phone import demo_route
from stormpetrel.model.event import AccountChanged, AllChanged, ConversationChanged, Event, Notified
from stormpetrel.model.filter import searched_text
from stormpetrel.model.initial import initial, tint
from stormpetrel.model.post import Post, Visibility
from stormpetrel.model.text import excerpt, render_field, render_html, render_note
from stormpetrel.shield.percent import query_string
from stormpetrel.web import fragments, times
from stormpetrel.web.assets import asset_path
from stormpetrel.web.fragments import Fragment, Fragments, ListedPost, PostListData
from stormpetrel.web.links import encoded, leads_to_consent, next_query, post_path, same_site, sign_in_path
from stormpetrel.web.reader import Reader

if TYPE_CHECKING:
    from stormpetrel.http.request import Request
    from stormpetrel.http.site import Site

TEMPLATES = Path(__file__).parent / "templates"
_EXCERPT_CHARACTERS = 200
_MAX_READERS = 4_096
_LONGEST_PATH_BYTES = 1500
"""Encoding an address of 8 KB twice on each page took 1.1 ms. The tag with the longest address has 1,200 bytes."""

_VISIBILITIES = {
    Visibility.PUBLIC: ("globe", "Public"),
    Visibility.UNLISTED: ("quiet", "Quiet public"),
    Visibility.FOLLOWERS: ("lock", "Followers only"),
    Visibility.DIRECT: ("mail", "Only people mentioned"),
}
_ERRORS = {
    400: ("Bad request", "The request could not be read. Go back and try again."),
    401: ("Please sign in", "You need an account on this server to do this."),
    403: ("Not allowed", "You do not have permission to do this."),
    404: ("Page not found", "This page does not exist, or you do not have permission to see it."),
    405: ("Method not allowed", "This URL does not support this kind of request."),
    413: ("Too large", "The request is larger than this server accepts."),
    422: ("Invalid input", "Something in the request is not valid."),
    429: ("Too many requests", "You have sent too many requests. Wait a moment, then try again."),
    500: ("Something went wrong", "This is an error on the server. It has been logged."),
    503: ("Server busy", "The server is overloaded. Nothing was stored; try again in a moment."),
}


class Lazy:
    """Text created on use: a form's token sets a cookie, which a page without forms must not do."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make

    def __str__(self) -> str:
        return self._make()


class Pages:
    """The pages of one web worker."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.fragments = Fragments()
        self._readers: BoundedTable[int, Reader] = BoundedTable(_MAX_READERS, evicts=Eviction.OLDEST)
        self._templates = environment(site)

    def page(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        reader: Reader | None = None,
        **values: Any,
    ) -> Response:
        """Render `template` with `values`, inside the layout of every page.

        `reader`: the reader, if the handler has read it; else the one that this process saw last for the
        account. Templates also get `csrf` (a form's token), `here` (this page's URL), `path`, `is_admin` and
        `is_moderator` (true for admins too).
        """
        access = request.access
        if reader is not None:
            self._readers.put(reader.account.id, reader)
        elif access is not None and access.account_id is not None:
            reader = self._readers.get(access.account_id)
        here = _here(request)
        text = self._templates.render_template(
            template,
            csrf=Lazy(lambda: request.csrf_token),
            reader=reader,
            signed_in=access is not None and access.account_id is not None,
            is_admin=access is not None and access.role == "admin",
            is_moderator=access is not None and access.role in ("admin", "moderator"),
            path=request.path,
            here=here,
            sign_in=sign_in_path(here) if access is None else "",
            **values,
        )
        return html(text, status)

    def error(self, request: Request, refusal: Refusal) -> Response:
        """Render the page of a refusal, without database access, with advice on what to do next."""
        title, advice = _ERRORS.get(refusal.status, _ERRORS[400])
        said = refusal.safe_text if refusal.safe_text != type(refusal).default_text else advice
        fields = refusal.fields if isinstance(refusal, Invalid) else {}
        again = ""
        if isinstance(refusal, NotSignedIn):
            again = sign_in_path(_here(request) if request.method in ("GET", "HEAD") else "/")
        return self.page(
            request,
            "error.html",
            status=refusal.status,
            title=title,
            said=said.rstrip(".") + ".",
            code=refusal.status,
            fields=fields,
            again=again,
            may_reload=refusal.status in (429, 503) or isinstance(refusal, MethodNotAllowed),
        )

    def apply(self, event: Event) -> None:
        """Drop cached data that the event changed."""
        self.fragments.apply(event)
        match event:
            case (
                AccountChanged(account_id=account_id)
                | Notified(account_id=account_id)
                | ConversationChanged(account_id=account_id)
            ):
                self._readers.pop(account_id)
            case AllChanged():
                self._readers.clear()
            case _:
                pass

    def items(self, gathered: PostListData, *, once: bool = False) -> list[ListedPost]:
        """Return the entries of a list of posts, rendered or from the cache; with `once`, no post twice."""
        return fragments.items(gathered, self._fragment, once=once)

    def _fragment(self, post: Post, gathered: PostListData) -> Fragment | None:
        author = gathered.accounts.get(post.author_id)
        if author is None:
            return None
        reply_to = gathered.accounts.get(post.in_reply_to_account_id or 0)
        if post.boost_of_id:
            body, foot = self._templates.render_template("boost.html", booster=author), ""
        else:
            content = Markup(render_html(post.text, mentions=post.mentions, base_url=self.site.base_url))
            body = self._templates.render_template(
                "post.html",
                post=post,
                author=author,
                reply_to=reply_to,
                content=content,
                visibility=_VISIBILITIES[post.visibility],
                quiet=post.visibility is not Visibility.PUBLIC,
            )
            foot = self._templates.render_template("post_foot.html", post=post, author=author)
        fragment = Fragment(
            id=post.id,
            author_id=author.id,
            username=author.username,
            shown_name=author.shown_name,
            html=Markup(body),
            foot=Markup(foot),
            visibility=post.visibility,
            in_reply_to_id=post.in_reply_to_id,
            boost_of_id=post.boost_of_id,
            replies_count=post.replies_count,
            boosts_count=post.boosts_count,
            favourites_count=post.favourites_count,
            excerpt=excerpt(post.spoiler_text or post.text, _EXCERPT_CHARACTERS),
            account_ids=tuple({author.id, *((reply_to.id,) if reply_to else ())}),
            created_at_ms=post.created_at_ms,
            edited_at_ms=post.edited_at_ms,
            picture=fragments.picture_of(post),
            poll=post.poll,
            warned=bool(post.spoiler_text),
            searched=searched_text(post),
            has_media=bool(post.media),
        )
        self.fragments.put(fragment, began=gathered.began)
        return fragment


def environment(site: Site) -> Environment:
    """Create the template environment with the filters and globals of all templates."""
    base_url = site.base_url
    made = Environment(
        loader=load_from_path([TEMPLATES]),
        undefined_behavior="strict",
        trim_blocks=True,
        lstrip_blocks=True,
        filters={
            "when": times.when,
            "exactly": times.exactly,
            "moment": times.moment,
            "month": times.month,
            "iso": times.iso,
            "span": times.span,
            "amount": _amount,
            "avatar": _avatar,
            "note": lambda text, named=(): Markup(render_note(text, base_url=base_url, named=named)),
            "field": lambda text, named=(): Markup(render_field(text, base_url=base_url, named=named)),
            "excerpt": excerpt,
            "leads_to_consent": leads_to_consent,
            "next_query": next_query,
            # On the way to an app's consent page, the layout has no navigation.
            "frame": lambda after: "alone.html" if leads_to_consent(after) else "layout.html",
            # `maxlength` counts UTF-16 units: allow as many as this number of characters can take.
            "most_units": lambda characters: characters * BYTES_PER_CHARACTER,
        },
        globals={
            "icon": _icon,
            "asset": lambda name: Markup(asset_path(name)),
            "post_path": post_path,
            "instance_title": site.config.title,
            "instance_about": site.config.description,
            "registration": site.config.registration,
            "sends_mails": site.config.sends_mails,
            "base_url": base_url,
            "domain": site.domain,
            "has_demo_phone": demo_route(site.config.sms.routes) is not None,
            "max_characters": site.config.posts.max_characters,
            "version": __version__,
        },
    )
    return made


def _here(request: Request) -> str:
    """Return this page's own URL, for returning to it; "/" for a path that is longer than any page's.

    Cached pages must not contain their first visitor's query. So if the page may be cached, keep only the
    parameters that the route's cache distinguishes.
    """
    if len(request.scope["raw_path"]) > _LONGEST_PATH_BYTES:
        return "/"
    try:
        # The link in a mail holds a secret, which other links must not repeat.
        pairs = [pair for pair in request.query_pairs if pair[0] != "token"]
    except Malformed:
        # The query is malformed, but the error page about that must still render.
        pairs = []
    pairs = shareable(request, pairs)
    path = encoded(request.path)
    return same_site(f"{path}?{query_string(pairs)}" if pairs else path)


def _amount(count: int) -> str:
    """Return a count in at most four characters: 999, 1.2K, 35K, 4.1M."""
    for size, letter in ((1_000_000, "M"), (1_000, "K")):
        if count >= size:
            scaled = count / size
            return f"{int(scaled * 10) / 10:g}{letter}" if scaled < 10 else f"{int(scaled)}{letter}"
    return str(count)


def _avatar(account: Account, size: str = "") -> Markup:
    """Return the account's avatar, or its initial on its colour."""
    more = f" {size}" if size else ""
    if account.avatar_key:
        # Use the still version: animation should start only on request.
        return Markup(
            f'<img class="avatar{more}" src="/media/{escape(account.avatar_static_key)}" alt="" '
            'width="46" height="46" loading="lazy">'
        )
    return Markup(
        f'<span class="avatar tint-{tint(account)}{more}" aria-hidden="true">{escape(initial(account))}</span>'
    )


@cache
def _icon(name: str) -> Markup:
    return Markup(
        f'<svg class="icon" aria-hidden="true" focusable="false"><use href="{asset_path("icons.svg")}#{name}"/></svg>'
    )


def pages_of(request: Request) -> Pages:
    """Return this worker's pages; `Site` knows only a part of their type."""
    return cast(Pages, request.site.pages)
