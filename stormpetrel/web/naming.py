"""The owner's page of reports that may name the account: each question, and the answer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stormpetrel.errors import Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.naming import NamingAnswer, NamingQuestion
from stormpetrel.rules import naming as rules
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

PAGE = "/settings/naming"
_ANSWERS = {"agree": NamingAnswer.AGREED, "decline": NamingAnswer.DECLINED}
_DONE = {
    "agree": "Saved. The report may name you.",
    "decline": "Saved. The report does not name you.",
}


def _read(
    connection: Connection, *, reader_id: int, now_ms: int
) -> tuple[Reader | None, list[NamingQuestion]]:
    return (
        read_reader(connection, reader_id=reader_id, now_ms=now_ms),
        rules.questions_of(connection, account_id=reader_id),
    )


async def show(request: Request) -> Response:
    reader, questions = await request.site.database.read(
        _read, reader_id=request.account_id, now_ms=request.now_ms
    )
    return pages_of(request).page(
        request,
        "naming.html",
        reader=reader,
        questions=questions,
        done=_DONE.get(dict(request.query_pairs).get("done", ""), ""),
    )


async def answer(request: Request) -> Response:
    """Store an answer. Raise NotFound for a question to another account, Invalid for an unknown answer."""
    chosen = (await request.form()).get("answer", "")
    if chosen not in _ANSWERS:
        raise Invalid("Choose one of the answers")
    await request.site.database.write(
        rules.answer,
        account_id=request.account_id,
        question_id=request.id(),
        answer=_ANSWERS[chosen],
        now_ms=request.now_ms,
    )
    return redirect(f"{PAGE}?done={chosen}")
