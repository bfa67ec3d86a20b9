"""Changing one's own post with a form, and reading what a post was before."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minijinja import Markup

from stormpetrel.errors import NotFound, Refusal
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import Account
from stormpetrel.model.ids import parse_id
from stormpetrel.model.media import MAX_DESCRIPTION, MediaWords
from stormpetrel.model.post import Draft, Post, Version
from stormpetrel.model.text import render_html
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import edits as rules
from stormpetrel.rules import posts as post_rules
from stormpetrel.web.compose import known_language, offered_languages
from stormpetrel.web.fragments import Reading, reading
from stormpetrel.web.links import history_path, post_path
from stormpetrel.web.reader import Reader, read_reader

if TYPE_CHECKING:
    from stormpetrel.storage.connection import Connection


_DESCRIPTION = "description_"
"""What the name of a field for a description begins with; the id of the media follows."""


@dataclass(frozen=True, slots=True)
class EditForm:
    """The form as it is shown: the post as it stands, or what was typed. `descriptions`: of its media, by id."""

    text: str
    spoiler_text: str
    sensitive: bool
    language: str
    descriptions: Mapping[int, str]
    problem: str = ""

    @property
    def languages(self) -> tuple[tuple[str, str], ...]:
        """Code and name of each choice; the chosen one is always among them."""
        return offered_languages(self.language)


@dataclass(frozen=True, slots=True)
class OwnPost:
    """One's own post as it was written, and who one is."""

    post: Post
    reader: Reader


def read_own(connection: Connection, by: Reading, *, post_id: int) -> OwnPost:
    """Raises NotFound for anybody else's post, and for boosts."""
    post = post_rules.post(connection, reader_id=by.reader_id, post_id=post_id, now_ms=by.now_ms)
    reader = read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms)
    if reader is None or post.author_id != by.reader_id or post.boost_of_id is not None:
        raise NotFound
    return OwnPost(post, reader)


async def edit(request: Request) -> Response:
    """GET /posts/ID/edit: the form with the post in it."""
    seen = await request.site.database.read(read_own, reading(request), post_id=request.id())
    post = seen.post
    descriptions = {one.id: one.description for one in post.media}
    form = EditForm(post.text, post.spoiler_text, post.sensitive, post.language, descriptions)
    return _page(request, seen, form)


def save_own(
    connection: Connection,
    *,
    account_id: int,
    post_id: int,
    draft: Draft,
    descriptions: Mapping[int, str],
    max_characters: int,
    domain: str,
    now_ms: int,
) -> str:
    """Edits; media and poll stay, the media with new `descriptions` by id. Gives where the post is.

    Descriptions of media that the post no longer has are left out: an app may have taken them away meanwhile.
    """
    old = post_rules.post(connection, reader_id=account_id, post_id=post_id, now_ms=now_ms)
    rules.edit_post(
        connection,
        author_id=account_id,
        post_id=post_id,
        # A picture may stand without words: the rule has to know that there is one.
        draft=dataclasses.replace(draft, media_ids=tuple(one.id for one in old.media)),
        media_words=[MediaWords(one.id, descriptions[one.id]) for one in old.media if one.id in descriptions],
        max_characters=max_characters,
        domain=domain,
        now_ms=now_ms,
        poll_stays=True,
    )
    return post_path(account_rules.account(connection, account_id=account_id).username, post_id)


async def save(request: Request) -> Response:
    """POST /posts/ID/edit: changes the post, or gives the form back with everything that was typed."""
    fields = await request.form()
    form = EditForm(
        text=fields.get("text", ""),
        spoiler_text=fields.get("spoiler_text", ""),
        sensitive="sensitive" in fields,
        language=known_language(fields.get("language", "")) or "",
        descriptions=_descriptions(fields),
    )
    try:
        path = await request.site.database.write(
            save_own,
            account_id=request.account_id,
            post_id=request.id(),
            draft=Draft(
                text=form.text,
                spoiler_text=form.spoiler_text,
                sensitive=form.sensitive,
                language=form.language or None,
            ),
            descriptions=form.descriptions,
            max_characters=request.site.config.posts.max_characters,
            domain=request.site.domain,
            now_ms=request.now_ms,
        )
    except Refusal as refusal:
        # Whatever the reason, what somebody wrote is not thrown away; where the post is not theirs, NotFound.
        seen = await request.site.database.read(read_own, reading(request), post_id=request.id())
        problem = refusal.safe_text.removeprefix("Validation failed: ")
        return _page(request, seen, dataclasses.replace(form, problem=problem), status=refusal.status)
    return redirect(path)


def _descriptions(fields: Mapping[str, str]) -> dict[int, str]:
    """Return what was typed about media, by id."""
    typed = (
        (parse_id(name.removeprefix(_DESCRIPTION)), text)
        for name, text in fields.items()
        if name.startswith(_DESCRIPTION)
    )
    return {media_id: text for media_id, text in typed if media_id is not None}


def _page(request: Request, seen: OwnPost, form: EditForm, *, status: int = 200) -> Response:
    if not form.language:
        form = dataclasses.replace(form, language=seen.post.language)
    response: Response = request.site.pages.page(
        request,
        "edit.html",
        status=status,
        reader=seen.reader,
        form=form,
        post=seen.post,
        media=[(one, form.descriptions.get(one.id, one.description)) for one in seen.post.media],
        max_description=MAX_DESCRIPTION,
    )
    return response


@dataclass(frozen=True, slots=True)
class HistoryView:
    """A post's versions, the original first. `moved_to`: the right address, where another was asked for."""

    post: Post
    author: Account
    versions: tuple[Version, ...]
    reader: Reader | None
    moved_to: str = ""


def read_history(connection: Connection, by: Reading, *, username: str, post_id: int) -> HistoryView:
    """Raises NotFound when the post is not for this reader."""
    post, versions = rules.history(connection, reader_id=by.reader_id, post_id=post_id, now_ms=by.now_ms)
    author = account_rules.account(connection, account_id=post.author_id)
    moved = post.id != post_id or author.username != username
    return HistoryView(
        post,
        author,
        tuple(versions),
        read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms),
        history_path(author.username, post.id) if moved else "",
    )


async def history(request: Request) -> Response:
    """GET /@NAME/ID/history: all that a post was, the newest on top."""
    site = request.site
    seen = await site.database.read(
        read_history, reading(request), username=request.parameters["name"], post_id=request.id()
    )
    if seen.moved_to:
        return redirect(seen.moved_to, 302)
    request.keep_hot(f"post:{seen.post.id}", f"account:{seen.author.id}", "instance")
    # People whom only an older text names are text there, not links.
    versions = [
        (
            version,
            Markup(render_html(version.text, mentions=seen.post.mentions, base_url=site.base_url)),
            version.shown_media(seen.post),
        )
        for version in reversed(seen.versions)
    ]
    response: Response = site.pages.page(
        request, "history.html", reader=seen.reader, post=seen.post, author=seen.author, versions=versions
    )
    return response
