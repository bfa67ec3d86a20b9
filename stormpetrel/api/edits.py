"""`PUT /api/v1/statuses/:id`, and a post's source and history."""

from __future__ import annotations

import msgspec

from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import Status, StatusSource
from stormpetrel.api.json.post_entities import StatusEdit
from stormpetrel.api.json.render import renderer
from stormpetrel.api.json.view import array
from stormpetrel.api.paging import Id, ids_of, one_id
from stormpetrel.api.polls import PollInput, poll_draft
from stormpetrel.api.shapes import answers
from stormpetrel.api.statuses import MEDIA_IDS_MOST
from stormpetrel.errors import Forbidden
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.media import MediaWords
from stormpetrel.model.post import Draft
from stormpetrel.rules import edits as rules
from stormpetrel.rules import posts as post_rules


class MediaAttributesInput(msgspec.Struct):
    """Changes to a file of the post; omitted fields stay unchanged. `focus`: "x,y"."""

    id: Id = ""
    description: str | None = None
    focus: str | None = None


class EditInput(msgspec.Struct):
    """The complete new content of a post: omitted fields are removed, media too. Only `language` stays if
    omitted.

    `media_attributes` changes the descriptions and focal points of files that are among `media_ids`.
    """

    status: str = ""
    spoiler_text: str = ""
    sensitive: bool | None = None
    language: str | None = None
    media_ids: list[Id] = []
    media_attributes: list[MediaAttributesInput] | None = None
    poll: PollInput | None = None


@answers(Status, takes=EditInput)
async def update(request: Request) -> Response:
    """Edit a post"""
    given = await request.input(EditInput)
    await request.site.database.write(
        rules.edit_post,
        author_id=request.account_id,
        post_id=request.id(),
        draft=Draft(
            text=given.status,
            spoiler_text=given.spoiler_text,
            sensitive=given.sensitive,
            language=given.language or None,
            poll=poll_draft(given.poll),
            media_ids=tuple(ids_of(given.media_ids, most=MEDIA_IDS_MOST)),
        ),
        media_words=[
            # No media has the id 0.
            MediaWords(one_id(one.id, "media_attributes") or 0, one.description, one.focus)
            for one in given.media_attributes or ()
        ],
        domain=request.site.domain,
        max_characters=request.site.config.posts.max_characters,
        now_ms=request.now_ms,
    )
    return Response(body=await renderer(request).status(request.id(), reader_id=request.account_id))


@answers(StatusSource)
async def source(request: Request) -> Response:
    """View the source text of a post"""
    post = await request.site.database.read(
        post_rules.post, reader_id=request.account_id, post_id=request.id(), now_ms=request.now_ms
    )
    if post.author_id != request.account_id:
        raise Forbidden
    return json(StatusSource(id=str(post.id), text=post.text, spoiler_text=post.spoiler_text))


@answers(list[StatusEdit])
async def history(request: Request) -> Response:
    """View the versions of an edited post, the original first"""
    post, versions = await request.site.database.read(
        rules.history, reader_id=request.reader_id, post_id=request.id(), now_ms=request.now_ms
    )
    account = await renderer(request).account(post.author_id)
    encode = msgspec.json.Encoder().encode
    edits = (
        encode(convert.status_edit(post, version, base_url=request.site.base_url)).replace(
            convert.RAW_ACCOUNT, account
        )
        for version in versions
    )
    return Response(body=array(edits))
