"""Request a link by mail, and the pages that the links open, all with plain forms.

A link's GET changes nothing: mail scanners and previews follow every link, and would otherwise confirm an
address without anyone reading the mail. The button on the page makes the change.
"""

from __future__ import annotations

from typing import Any

from stormpetrel.edge.header_policy import REFERRER_WITHOUT_PATH
from stormpetrel.errors import Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.access import secret_hash
from stormpetrel.model.account import MAX_EMAIL
from stormpetrel.model.mail import Link, Purpose
from stormpetrel.model.password import MAX_PASSWORD, MIN_PASSWORD
from stormpetrel.model.quota import network_of, slot
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import mail as rules
from stormpetrel.shield.marks import device_in
from stormpetrel.web.links import asked_next, next_query, same_site
from stormpetrel.web.render import pages_of
from stormpetrel.web.second_step import enter
from stormpetrel.web.sessions import know_device


def wait_page(request: Request, *, login: str, after: str, email: str = "", status: int = 200) -> Response:
    """Return the page for users who have not yet opened the link. `email`: as just submitted, else empty."""
    return pages_of(request).page(
        request,
        "confirm_wait.html",
        status=status,
        login=login,
        email=email,
        after=after,
        contact_email=request.site.config.contact_email,
    )


def _secret_page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """Return a page whose URL or form contains a link's token."""
    page = pages_of(request).page(request, template, status=status, **values)
    page.headers.append(REFERRER_WITHOUT_PATH)
    return page


def _token(request: Request) -> str:
    return dict(request.query_pairs).get("token", "")


# Request a mail


async def show_new_password(request: Request) -> Response:
    return pages_of(request).page(request, "password_new.html", after=asked_next(request))


async def ask_new_password(request: Request) -> Response:
    """Return the same response, after the same work, for every login."""
    return await _ask(request, Purpose.RESET)


async def ask_sign_in(request: Request) -> Response:
    return await _ask(request, Purpose.SIGN_IN)


async def ask_confirmation(request: Request) -> Response:
    return await _ask(request, Purpose.CONFIRM)


async def _ask(request: Request, purpose: Purpose) -> Response:
    form = await request.form()
    login = form.get("user[email]", "").strip()[:MAX_EMAIL]
    if not login or "\0" in login:
        raise Invalid("Enter your e-mail address or username")
    site = request.site
    network = network_of(request.address)
    device = device_in(site.secret, request.headers.get("cookie", ""), epoch_s=request.now_ms / 1000)
    await site.database.write(
        rules.want_link,
        purpose=purpose,
        login=login,
        link=site.fresh_link(),
        asker=rules.Asker(
            network=slot(site.secret, f"network {network}"),
            pair=slot(site.secret, f"mail {login} {network}"),
            # Do not include the login: otherwise each login typed would have its own budget of mails.
            device=None if device is None else slot(site.secret, f"device of {device.account_id}"),
            device_account_id=0 if device is None else device.account_id,
        ),
        now_ms=request.now_ms,
    )
    return redirect(f"/auth/mail_sent{next_query(same_site(form.get('next', '/')))}")


async def show_sent(request: Request) -> Response:
    return pages_of(request).page(request, "mail_sent.html", after=asked_next(request))


# Confirm an address


async def show_confirm(request: Request) -> Response:
    """Show the button; only its POST uses up the link."""
    token = _token(request)
    link = await request.site.database.read(
        rules.usable_link,
        token_hash=secret_hash(token),
        purposes=(Purpose.CONFIRM, Purpose.ADDRESS),
        now_ms=request.now_ms,
    )
    user = await request.site.database.read(account_rules.user, account_id=link.account_id)
    return _secret_page(request, "confirm.html", token=token, email=link.email, username=user.username)


async def confirm(request: Request) -> Response:
    registration = request.site.config.registration
    link = await request.site.database.write(
        rules.confirm,
        token_hash=secret_hash((await request.form()).get("token", "")),
        registration=registration,
        now_ms=request.now_ms,
    )
    if link.purpose is Purpose.ADDRESS:
        return redirect("/settings/account?done=address")
    return redirect(f"/auth/sign_in?done={'waits' if registration == 'approval' else 'confirmed'}")


# Sign in by mail


async def show_sign_in_mail(request: Request) -> Response:
    return pages_of(request).page(request, "sign_in_mail.html", after=asked_next(request))


async def show_sign_in_link(request: Request) -> Response:
    """Show the button; only its POST uses up the link."""
    token = _token(request)
    link = await request.site.database.read(
        rules.usable_link,
        token_hash=secret_hash(token),
        purposes=(Purpose.SIGN_IN,),
        now_ms=request.now_ms,
    )
    return _secret_page(request, "sign_in_link.html", token=token, email=link.email)


async def sign_in_by_link(request: Request) -> Response:
    """Sign in the account that got the mail: a person who reads its mail could also set a new password."""
    user = await request.site.database.write(
        rules.use_sign_in_link,
        token_hash=secret_hash((await request.form()).get("token", "")),
        now_ms=request.now_ms,
    )
    return await enter(request, user=user, after="/")


# Set a new password


async def show_edit_password(request: Request) -> Response:
    token = _token(request)
    await _usable_reset(request, token)
    return _edit_page(request, token=token)


async def _usable_reset(request: Request, token: str) -> Link:
    return await request.site.database.read(
        rules.usable_link,
        token_hash=secret_hash(token),
        purposes=(Purpose.RESET,),
        now_ms=request.now_ms,
    )


def _edit_page(request: Request, *, token: str, problem: str = "", status: int = 200) -> Response:
    return _secret_page(
        request,
        "password_edit.html",
        status=status,
        token=token,
        problem=problem,
        limits={"min_password": MIN_PASSWORD, "max_password": MAX_PASSWORD},
    )


async def edit_password(request: Request) -> Response:
    form = await request.form()
    token, password = form.get("token", ""), form.get("user[password]", "")
    # Check the link before hashing, which costs 20 ms: an invalid link must cost nothing.
    link = await _usable_reset(request, token)
    user = await request.site.database.read(account_rules.user, account_id=link.account_id)
    problem = await request.site.passwords.problem(
        password, username=user.username, email=user.email, urgency=request.urgency
    )
    if problem is not None:
        return _edit_page(request, token=token, problem=problem, status=422)
    password_hash = await request.site.heavy.hash_password(password, urgency=request.urgency)
    account_id = await request.site.database.write(
        rules.reset_password,
        token_hash=secret_hash(token),
        password_hash=password_hash,
        registration=request.site.config.registration,
        now_ms=request.now_ms,
    )
    response = redirect("/auth/sign_in?done=password")
    # A person who reads the mail is the owner: their next sign-in must not count as a stranger's guess.
    know_device(request, response, account_id=account_id)
    return response
