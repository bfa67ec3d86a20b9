"""`/api/v1/polls/…`: view a poll and vote in it."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from stormpetrel.api.json import convert
from stormpetrel.api.json.entities import Poll
from stormpetrel.api.shapes import answers
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, json
from stormpetrel.model.poll import PollDraft
from stormpetrel.rules import polls as rules


class PollInput(msgspec.Struct):
    """A poll for a new post; `expires_in` in seconds."""

    options: list[str] | UnsetType = UNSET
    expires_in: int = 0
    multiple: bool = False
    hide_totals: bool = False


def poll_draft(given: PollInput | None) -> PollDraft | None:
    """Return the draft of the requested poll, or None if there is none. A poll without options is refused
    later."""
    if given is None or given == PollInput():
        return None
    return PollDraft(
        options=() if given.options is UNSET else tuple(given.options),
        duration_s=given.expires_in,
        multiple=given.multiple,
        hide_totals=given.hide_totals,
    )


@answers(Poll)
async def show(request: Request) -> Response:
    """View a poll"""
    poll, votes = await request.site.database.read(
        rules.poll, reader_id=request.reader_id, poll_id=request.id(), now_ms=request.now_ms
    )
    return json(convert.poll(poll, reader_id=request.reader_id, votes=votes, now_ms=request.now_ms))


class VoteInput(msgspec.Struct):
    choices: list[int] = []


@answers(Poll, takes=VoteInput)
async def vote(request: Request) -> Response:
    """Vote in a poll, once and without change"""
    given = await request.input(VoteInput)
    poll, votes = await request.site.database.write(
        rules.vote,
        account_id=request.account_id,
        poll_id=request.id(),
        choices=given.choices,
        now_ms=request.now_ms,
    )
    return json(convert.poll(poll, reader_id=request.account_id, votes=votes, now_ms=request.now_ms))
