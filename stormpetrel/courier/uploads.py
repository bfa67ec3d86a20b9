"""Uploads that were acknowledged before they were decoded: the courier finishes them."""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec

from stormpetrel.config import Config
from stormpetrel.courier.dispatch import Attempt, Dispatch
from stormpetrel.errors import Invalid, NotFound
from stormpetrel.media.decoding import DECODER_TIMEOUT_S, Decoding
from stormpetrel.media.guarded_store import GuardedStore
from stormpetrel.media.job import DecodeResult
from stormpetrel.media.spool import UPLOAD, Spool
from stormpetrel.media.store import MediaStore
from stormpetrel.model.media import Decoded, Media
from stormpetrel.own_thread import in_own_thread
from stormpetrel.rules import media as rules
from stormpetrel.storage.engine.database import Database

AT_ONCE = 2
LONGEST_S = DECODER_TIMEOUT_S * 2 + 300
"""Time for decoding the file and its thumbnail, and then storing them."""


class _Upload(msgspec.Struct, frozen=True):
    media_id: int


_decode = msgspec.json.Decoder(_Upload).decode


def upload_lane(db: Database, config: Config, store: MediaStore, spool: Spool, lane: int) -> Dispatch:
    """Return the lane that finishes the acknowledged uploads of this machine's spool."""
    keeper = GuardedStore(store)

    async def upload(attempt: Attempt) -> None:
        media_id = _decode(attempt.job.payload).media_id
        place = spool.kept(media_id)
        begun = await db.read(rules.unfinished, media_id=media_id)
        if begun is None:
            done = await attempt.finish()
        elif not (place / UPLOAD).exists():
            # The spool was emptied, or a database was restored without it.
            done = await attempt.finish(partial(rules.fail, media_id=media_id))
        else:
            keeper.check()
            try:
                decoded = await keeper.keep(place, await _answer(Decoding(place, config.media)))
            except Invalid:
                done = await attempt.finish(partial(rules.fail, media_id=media_id))
            else:
                done = await _finish(attempt, keeper, begun, decoded)
        if done:
            await asyncio.to_thread(spool.drop, media_id)

    return Dispatch(db, lane, {"media_upload": upload}, at_once=AT_ONCE, longest_s=LONGEST_S)


async def _finish(attempt: Attempt, keeper: GuardedStore, begun: Media, decoded: Decoded) -> bool:
    """Finish an upload if this courier's removal of the job succeeds; otherwise delete the files."""
    is_its = False
    try:
        is_its = await attempt.finish(
            partial(rules.finish, account_id=begun.account_id, media_id=begun.id, decoded=decoded)
        )
    except NotFound:
        # Deleted in the meantime.
        return await attempt.finish()
    finally:
        if not is_its:
            await keeper.forget(decoded)
    return is_its


async def _answer(decoding: Decoding) -> DecodeResult:
    try:
        answer = await in_own_thread(decoding.run)
    finally:
        decoding.end()
    # Only `end` makes `run` return nothing, and `end` is called after it.
    assert answer is not None
    return answer
