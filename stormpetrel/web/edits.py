"""Edit a post with a form, and show its earlier versions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
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
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection


_DESCRIPTION = "description_"
"""Prefix of the name of a description field; the id of the media follows."""


@dataclass(frozen=True, slots=True)
class EditForm:
    """The form's content: the stored post, or the submitted values. `descriptions`: of its media, by id."""

    text: str
    spoiler_text: str
    sensitive: bool
    language: str
    descriptions: Mapping[int, str]
    problem: str = ""

    @property
    def languages(self) -> tuple[tuple[str, str], ...]:
        """Return the code and name of each choice, always including the chosen one."""
        return offered_languages(self.language)


@dataclass(frozen=True, slots=True)
class OwnPost:
    """The reader's own post as written, and the reader."""

    post: Post
    reader: Reader


def read_own(connection: Connection, by: Reading, *, post_id: int) -> OwnPost:
    """Read the reader's own post. Raise NotFound for another author's post, and for a boost."""
    post = post_rules.post(connection, reader_id=by.reader_id, post_id=post_id, now_ms=by.now_ms)
    reader = read_reader(connection, reader_id=by.reader_id, now_ms=by.now_ms)
    if reader is None or post.author_id != by.reader_id or post.boost_of_id is not None:
        raise NotFound
    return OwnPost(post, reader)


async def edit(request: Request) -> Response:
    """GET /posts/ID/edit: show the form with the post."""
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
    """Edit the post; keep its poll and media, the media with new `descriptions` by id. Return the post's
    path.

    Ignore descriptions of media that the post no longer has: an app may have removed them meanwhile.
    """
    old = post_rules.post(connection, reader_id=account_id, post_id=post_id, now_ms=now_ms)
    rules.edit_post(
        connection,
        author_id=account_id,
        post_id=post_id,
        # The rule needs the media: a post without text is allowed only if it has an image.
        draft=msgspec.structs.replace(draft, media_ids=tuple(one.id for one in old.media)),
        media_words=[MediaWords(one.id, descriptions[one.id]) for one in old.media if one.id in descriptions],
        max_characters=max_characters,
        domain=domain,
        now_ms=now_ms,
        poll_stays=True,
    )
    return post_path(account_rules.account(connection, account_id=account_id).username, post_id)


async def save(request: Request) -> Response:
    """POST /posts/ID/edit: change the post, or show the form again with the submitted values."""
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
        # For any refusal, preserve the submitted text. If the reader is not the author, this raises NotFound.
        seen = await request.site.database.read(read_own, reading(request), post_id=request.id())
        problem = refusal.safe_text.removeprefix("Validation failed: ")
        return _page(request, seen, dataclasses.replace(form, problem=problem), status=refusal.status)
    return redirect(path)


def _descriptions(fields: Mapping[str, str]) -> dict[int, str]:
    """Return the submitted descriptions of media, by id."""
    typed = (
        (parse_id(name.removeprefix(_DESCRIPTION)), text)
        for name, text in fields.items()
        if name.startswith(_DESCRIPTION)
    )
    return {media_id: text for media_id, text in typed if media_id is not None}


def _page(request: Request, seen: OwnPost, form: EditForm, *, status: int = 200) -> Response:
    if not form.language:
        form = dataclasses.replace(form, language=seen.post.language)
    return pages_of(request).page(
        request,
        "edit.html",
        status=status,
        reader=seen.reader,
        form=form,
        post=seen.post,
        media=[(one, form.descriptions.get(one.id, one.description)) for one in seen.post.media],
        max_description=MAX_DESCRIPTION,
    )


@dataclass(frozen=True, slots=True)
class HistoryView:
    """A post's versions, the original first. `moved_to`: the correct path, if the request had another."""

    post: Post
    author: Account
    versions: tuple[Version, ...]
    reader: Reader | None
    moved_to: str = ""


def read_history(connection: Connection, by: Reading, *, username: str, post_id: int) -> HistoryView:
    """Read the versions. Raise NotFound if the reader may not see the post."""
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
    """GET /@NAME/ID/history: show all versions of a post, the newest on top."""
    site = request.site
    seen = await site.database.read(
        read_history, reading(request), username=request.parameters["name"], post_id=request.id()
    )
    if seen.moved_to:
        return redirect(seen.moved_to, 302)
    request.keep_hot(f"post:{seen.post.id}", f"account:{seen.author.id}", "instance")
    # A name that only an older text mentions stays plain text, without a link.
    versions = [
        (
            version,
            Markup(render_html(version.text, mentions=seen.post.mentions, base_url=site.base_url)),
            version.shown_media(seen.post),
        )
        for version in reversed(seen.versions)
    ]
    return pages_of(request).page(
        request, "history.html", reader=seen.reader, post=seen.post, author=seen.author, versions=versions
    )
