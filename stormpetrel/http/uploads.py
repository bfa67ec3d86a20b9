"""Handle uploaded files for both doors: spool, decode and store them, and record them in the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from stormpetrel.errors import Invalid, Refusal
from stormpetrel.http.forms import UploadedFile
from stormpetrel.http.request import Request
from stormpetrel.http.site import Site
from stormpetrel.media.job import Purpose
from stormpetrel.media.spool import THUMBNAIL
from stormpetrel.model.account import Account, ProfileChange
from stormpetrel.model.media import Decoded, Media
from stormpetrel.process.listeners import is_served
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import media as rules
from stormpetrel.storage.engine.connection import Connection

log = logging.getLogger(__name__)

_running: set[asyncio.Task[Media]] = set()


def a_file(value: object, name: str = "file") -> UploadedFile | None:
    """Return the uploaded file of a field, or None if it is empty. Raise Invalid for anything else."""
    if value is None or value == "":
        return None
    if not isinstance(value, UploadedFile):
        raise Invalid(
            f"Validation failed: {name.capitalize()} must be a file", fields={name: "must be a file"}
        )
    # A browser sends an empty file if none was chosen.
    return value if value.size else None


async def take(
    request: Request,
    file: UploadedFile,
    *,
    description: str | None = None,
    focus: str | None = None,
    thumbnail: UploadedFile | None = None,
    wait: bool = True,
) -> Media:
    """Return a new attachment of the acting account; without `wait`, it may still be in processing.

    In that case it is durable: the courier finishes it, even if this worker ends. Raise Invalid for a refused
    file, TooMany, Busy.
    """
    site = request.site
    site.uploads.check()
    begun = await site.database.write(
        rules.begin,
        account_id=request.account_id,
        size_bytes=(file.size or 0) + ((thumbnail.size or 0) if thumbnail is not None else 0),
        description=description,
        focus=focus,
        now_ms=request.now_ms,
    )
    # Without a courier on this machine, an upload answered with 202 would never be finished.
    wait = wait or not is_served(site.config.data_dir, "courier")
    within_s = None if wait else site.config.media.wait_s
    task = asyncio.create_task(_work(site, request.now_ms, begun, file, thumbnail, within_s))
    # Hold a reference, so that the task continues if the client disconnects.
    _running.add(task)
    task.add_done_callback(_ended)
    return await asyncio.shield(task)


def _ended(task: asyncio.Task[Media]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, Refusal):
        log.error("an upload failed", exc_info=error)


async def _work(
    site: Site,
    now_ms: int,
    begun: Media,
    file: UploadedFile,
    thumbnail: UploadedFile | None,
    within_s: float | None,
) -> Media:
    uploads = site.uploads
    decoded: Decoded | None = None
    try:
        with uploads.place_for(begun.account_id) as place:
            await uploads.write_down(file.file, place)
            if thumbnail is not None:
                await uploads.write_down(thumbnail.file, place, THUMBNAIL)
            decoded = await uploads.decode(place, within_s=within_s)
            if decoded is None:
                await _hand_over(site, now_ms, begun, place)
                return begun
        return await site.database.write(
            rules.finish, account_id=begun.account_id, media_id=begun.id, decoded=decoded
        )
    except BaseException:
        if decoded is not None:
            await uploads.forget(decoded)
        await site.database.write(rules.fail, media_id=begun.id)
        raise


async def _hand_over(site: Site, now_ms: int, begun: Media, place: Path) -> None:
    """Transfer the upload to the courier. Raise TooMany, Busy; then the upload is dropped."""
    spool = site.uploads.spool
    try:
        lane = await site.uploads.in_thread(spool.lane)
        await site.uploads.in_thread(spool.keep, place, begun.id)
        await site.database.write(
            rules.hand_over,
            media=begun,
            lane=lane,
            most_own=site.config.media.uploads_per_account,
            now_ms=now_ms,
        )
    except BaseException:
        await site.uploads.in_thread(spool.drop, begun.id)
        raise


async def picture(request: Request, file: UploadedFile, purpose: Purpose) -> Decoded:
    """Store an image for the account's profile or an attachment's preview, not yet in use. Raise Invalid."""
    uploads = request.site.uploads
    uploads.check()
    with uploads.place_for(request.account_id) as place:
        await uploads.write_down(file.file, place)
        decoded = await uploads.decode(place, purpose)
    # Without `within_s`, `decode` waits until decoding ends.
    assert decoded is not None
    return decoded


async def profile_with_pictures(
    request: Request, change: ProfileChange, pictures: Mapping[Purpose, UploadedFile | None]
) -> Account:
    """Change the profile and the given images; None removes one. Raise Invalid without changing anything."""
    made: dict[Purpose, Decoded | None] = {}
    try:
        for purpose, file in pictures.items():
            made[purpose] = None if file is None else await picture(request, file, purpose)
        return await request.site.database.write(
            _change_profile,
            account_id=request.account_id,
            change=change,
            made=made,
            now_ms=request.now_ms,
            domain=request.site.domain,
        )
    except BaseException:
        for decoded in made.values():
            if decoded is not None:
                await request.site.uploads.forget(decoded)
        raise


def _change_profile(
    connection: Connection,
    *,
    account_id: int,
    change: ProfileChange,
    made: Mapping[Purpose, Decoded | None],
    now_ms: int,
    domain: str,
) -> Account:
    account = account_rules.update_profile(
        connection, account_id=account_id, change=change, now_ms=now_ms, domain=domain
    )
    for purpose, decoded in made.items():
        rule = rules.set_avatar if purpose == "avatar" else rules.set_header
        rule(connection, account_id=account_id, picture=decoded, now_ms=now_ms)
    return account
