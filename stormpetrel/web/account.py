"""The account settings: mail address, signed-in browsers and apps, deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stormpetrel.errors import Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.rules import access as access_rules
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import deletion as deletion_rules
from stormpetrel.rules import guesses as guess_rules
from stormpetrel.rules import mail as mail_rules
from stormpetrel.rules import naming as naming_rules
from stormpetrel.shield.cookies import COOKIE_NAME
from stormpetrel.web.own_password import WRONG_PASSWORD, is_owner, proof_of
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.model.access import Authorised, SignedIn
    from stormpetrel.model.account import User
    from stormpetrel.storage.engine.connection import Connection

_DONE = {
    "address": "Your new address is confirmed.",
    "changed": "Your address has been changed.",
    "sent": "We sent an e-mail to the new address. Open the link in it to confirm the change.",
    "ended": "Access removed. It has to sign in again.",
}


def read_account(
    connection: Connection, *, reader_id: int, now_ms: int
) -> tuple[Reader | None, User, list[SignedIn], list[Authorised]]:
    """Read the reader and the data of the page."""
    browsers, apps = access_rules.ways_in(connection, account_id=reader_id, now_ms=now_ms)
    return (
        read_reader(connection, reader_id=reader_id, now_ms=now_ms),
        account_rules.user(connection, account_id=reader_id),
        browsers,
        apps,
    )


async def _page(
    request: Request, template: str, *, problems: dict[str, str] | None = None, email: str = ""
) -> Response:
    reader, user, browsers, apps = await request.site.database.read(
        read_account, reader_id=request.account_id, now_ms=request.now_ms
    )
    found = problems or {}
    wrong = await request.site.database.read(
        guess_rules.lately, account_id=request.account_id, now_ms=request.now_ms
    )
    return pages_of(request).page(
        request,
        template,
        status=422 if problems else 200,
        reader=reader,
        user=user,
        browsers=browsers,
        apps=apps,
        this_session=request.access.session_id if request.access is not None else None,
        email=email,
        proof=await proof_of(request),
        wrong=wrong,
        has_question=await request.site.database.read(
            naming_rules.has_open_question, account_id=request.account_id
        ),
        problems={name: found.get(name, "") for name in ("email", "current_password")},
        done=_DONE.get(dict(request.query_pairs).get("done", ""), ""),
    )


async def show(request: Request) -> Response:
    return await _page(request, "account.html")


async def change_address(request: Request) -> Response:
    """Request a new address; it must be confirmed if the instance confirms addresses. Notify the old one."""
    form = await request.form()
    email = form.get("user[email]", "").strip()
    if not await is_owner(request, form):
        return await _page(
            request, "account.html", problems={"current_password": WRONG_PASSWORD}, email=email
        )
    link = request.site.fresh_link() if request.site.config.confirms_addresses else None
    try:
        await request.site.database.write(
            mail_rules.want_address,
            account_id=request.account_id,
            email=email,
            link=link,
            now_ms=request.now_ms,
        )
    except Invalid as refusal:
        return await _page(request, "account.html", problems=refusal.fields, email=email)
    return redirect(f"/settings/account?done={'sent' if link else 'changed'}")


async def end_session(request: Request) -> Response:
    await request.site.database.write(
        access_rules.end_own_session, account_id=request.account_id, session_id=request.id()
    )
    return redirect("/settings/account?done=ended")


async def revoke_app(request: Request) -> Response:
    await request.site.database.write(
        access_rules.revoke_app, account_id=request.account_id, application_id=request.id()
    )
    return redirect("/settings/account?done=ended")


async def ask_delete(request: Request) -> Response:
    return await _page(request, "account_delete.html")


async def delete(request: Request) -> Response:
    form = await request.form()
    if not await is_owner(request, form):
        return await _page(request, "account_delete.html", problems={"current_password": WRONG_PASSWORD})
    await request.site.database.write(
        deletion_rules.delete_account, account_id=request.account_id, now_ms=request.now_ms
    )
    response = redirect("/auth/sign_in?done=deleted")
    response.delete_cookie(COOKIE_NAME, secure=request.site.https)
    return response
