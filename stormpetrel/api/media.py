"""`/api/v1/media/…`, `/api/v2/media`, and the images of the caller's profile."""

from __future__ import annotations

from typing import Any

import msgspec

from stormpetrel.api.accounts import verify_credentials
from stormpetrel.api.json.entities import CredentialAccount, Nothing
from stormpetrel.api.json.media_entities import MediaAttachment, attachment
from stormpetrel.api.shapes import answers
from stormpetrel.errors import BLANK, Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.http.uploads import a_file, picture, profile_with_pictures, take
from stormpetrel.model.account import ProfileChange
from stormpetrel.model.media import Media, MediaState
from stormpetrel.rules import media as rules


class MediaInput(msgspec.Struct):
    """A file and its description. `focus` is "x,y", each from -1.0 to 1.0."""

    file: Any = None
    thumbnail: Any = None
    description: str | None = None
    focus: str | None = None


@answers(MediaAttachment, takes=MediaInput)
async def upload(request: Request) -> Response:
    """Upload a file, and wait until it is processed"""
    return _answer(request, await _take(request, wait=True))


@answers(MediaAttachment, takes=MediaInput)
async def upload_soon(request: Request) -> Response:
    """Upload a file; 202 while it is being processed"""
    media = await _take(request, wait=False)
    return _answer(request, media, status=202 if media.state is MediaState.PROCESSING else 200)


async def _take(request: Request, *, wait: bool) -> Media:
    given = await request.input(MediaInput)
    # Check the description and focus before processing the file.
    rules.checked_description(given.description)
    rules.checked_focus(given.focus)
    file = a_file(given.file)
    if file is None:
        raise Invalid("Validation failed: File can't be blank", fields={"file": BLANK})
    return await take(
        request,
        file,
        description=given.description,
        focus=given.focus,
        thumbnail=a_file(given.thumbnail, "thumbnail"),
        wait=wait,
    )


def _answer(request: Request, media: Media, *, status: int = 200) -> Response:
    return json(attachment(media, base_url=request.site.base_url), status)


@answers(MediaAttachment)
async def show(request: Request) -> Response:
    """View an uploaded file; 206 while it is being processed"""
    media = await request.site.database.read(rules.own, account_id=request.account_id, media_id=request.id())
    if media.state is MediaState.FAILED:
        raise Invalid("Error processing thumbnail for uploaded media")
    return _answer(request, media, status=206 if media.state is MediaState.PROCESSING else 200)


@answers(MediaAttachment, takes=MediaInput)
async def update(request: Request) -> Response:
    """Update the description, focus or thumbnail of a file"""
    given = await request.input(MediaInput)
    rules.checked_description(given.description)
    rules.checked_focus(given.focus)
    thumbnail = a_file(given.thumbnail, "thumbnail")
    media_id = request.id()
    await request.site.database.read(rules.own, account_id=request.account_id, media_id=media_id)
    made = None if thumbnail is None else await picture(request, thumbnail, "thumbnail")
    try:
        media = await request.site.database.write(
            rules.describe,
            account_id=request.account_id,
            media_id=media_id,
            description=given.description,
            focus=given.focus,
            preview=made,
            now_ms=request.now_ms,
        )
    except BaseException:
        if made is not None:
            await request.site.uploads.forget(made)
        raise
    return _answer(request, media)


@answers(Nothing)
async def delete(request: Request) -> Response:
    """Delete an uploaded file that is not part of a post"""
    await request.site.database.write(
        rules.delete, account_id=request.account_id, media_id=request.id(), now_ms=request.now_ms
    )
    return json(Nothing())


@answers(CredentialAccount)
async def delete_avatar(request: Request) -> Response:
    """Delete the avatar"""
    await profile_with_pictures(request, ProfileChange(), {"avatar": None})
    return await verify_credentials(request)


@answers(CredentialAccount)
async def delete_header(request: Request) -> Response:
    """Delete the header"""
    await profile_with_pictures(request, ProfileChange(), {"header": None})
    return await verify_credentials(request)
