"""The administrators' pages of insight reports: the list, each report in each form, and publishing.

The watch of this machine makes the reports; they are files, read in a thread.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

from stormpetrel.errors import Busy, NotFound, SetupError
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.insight import make
from stormpetrel.insight.html import POLICY
from stormpetrel.insight.naming import lines_of, with_accounts
from stormpetrel.model.insight import EDITIONS
from stormpetrel.model.moderation import Act
from stormpetrel.rules import naming as naming_rules
from stormpetrel.storage.insight import InsightUnreadable
from stormpetrel.storage.insight_folder import FORMS, InsightFolder
from stormpetrel.web.admin_sms import note
from stormpetrel.web.reader import read_admin
from stormpetrel.web.render import pages_of

PAGE = "/admin/insight"
_NAME = re.compile(r"(\d{1,9})-(internal|public)\.(html|md|json|csv)\Z")
_DONE = {
    "publish": "The status page shows the public edition within a few seconds.",
    "withdraw": "The status page no longer shows the report.",
}
_HEADERS = [
    # The page needs no cookie and no script, and an operator may have edited the file: it gets an origin of its own.
    (b"content-security-policy", f"{POLICY}; frame-ancestors 'none'; sandbox".encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"private, no-store"),
]


async def show(request: Request) -> Response:
    """GET /admin/insight: the reports."""
    return await _page(request)


async def _page(request: Request, *, problem: str = "") -> Response:
    reader = await request.site.database.read(read_admin, reader_id=request.account_id, now_ms=request.now_ms)
    folder = InsightFolder(request.site.config.data_dir)
    reports = await asyncio.to_thread(folder.reports)
    asked: dict[int, list[str]] = {}
    if reports:
        questions = await request.site.database.read(
            naming_rules.questions_about, from_ms=reports[-1].from_ms, until_ms=reports[0].from_ms
        )
        for one, line in zip(questions, lines_of(questions), strict=True):
            asked.setdefault(one.began_ms, []).append(line)
    return pages_of(request).page(
        request,
        "admin_insight.html",
        status=422 if problem else 200,
        reader=reader,
        reports=[
            (one, _moment(one.from_ms), _moment(one.until_ms), asked.get(one.from_ms, [])) for one in reports
        ],
        editions=EDITIONS,
        forms=tuple(FORMS),
        status_url=request.site.config.status_url,
        problem=problem,
        done=_DONE.get(dict(request.query_pairs).get("done", ""), ""),
    )


async def document(request: Request) -> Response:
    """GET /admin/insight/NAME: a form of an edition, such as 3-internal.html. Raise NotFound."""
    await request.site.database.read(read_admin, reader_id=request.account_id, now_ms=request.now_ms)
    found = _NAME.match(request.parameters["name"])
    if found is None:
        raise NotFound
    folder = InsightFolder(request.site.config.data_dir)
    number, edition, form = int(found[1]), found[2], found[3]
    body = await asyncio.to_thread(folder.read, number, edition, form)
    about = await asyncio.to_thread(folder.report, number)
    if body is None:
        raise NotFound
    if about is not None:
        questions = await request.site.database.read(
            naming_rules.questions_about, from_ms=about.from_ms, until_ms=about.from_ms
        )
        body = with_accounts(body, form, questions, edition=edition)
    response = Response(200, body, list(_HEADERS), content_type=FORMS[form].encode())
    # It brings its own security headers.
    response.is_file = True
    return response


async def change(request: Request) -> Response:
    """POST /admin/insight/NUMBER/VERB: publish the public edition, or end that. Raise NotFound."""
    await request.site.database.read(read_admin, reader_id=request.account_id, now_ms=request.now_ms)
    number, verb = request.parameters["name"], request.parameters["verb"]
    if verb not in _DONE or not number.isdecimal() or len(number) > 9:
        raise NotFound
    config = request.site.config
    try:
        if verb == "publish":
            await asyncio.to_thread(make.publish, config.data_dir, int(number), domain=config.domain)
        else:
            await asyncio.to_thread(make.withdraw, config.data_dir, int(number))
    except SetupError as error:
        return await _page(request, problem=error.safe_text)
    except (InsightUnreadable, OSError) as error:
        raise Busy("The report could not be changed. Try again in a moment.") from error
    await request.site.database.write(
        note,
        reader_id=request.account_id,
        act=Act.PUBLISH_REPORT if verb == "publish" else Act.WITHDRAW_REPORT,
        about=f"insight report {number}",
        now_ms=request.now_ms,
    )
    return redirect(f"{PAGE}?done={verb}")


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
