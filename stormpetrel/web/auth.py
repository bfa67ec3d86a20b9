"""Sign in, sign up, sign out and change the password, all with plain forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stormpetrel.errors import BLANK, Forbidden, Invalid, TooMany, too_long
from stormpetrel.http.passwords import WRONG
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.account import (
    MAX_EMAIL,
    MAX_USERNAME,
    AccountState,
    clean_address,
    email_problem,
    username_problem,
)
from stormpetrel.model.browser import browser_name
from stormpetrel.model.password import MAX_PASSWORD, MIN_PASSWORD, password_problem
from stormpetrel.rules import access as access_rules
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import instance as instance_rules
from stormpetrel.rules import passwords as password_rules
from stormpetrel.rules.accounts import MAX_REASON
from stormpetrel.shield.cookies import COOKIE_NAME
from stormpetrel.web.links import asked_next, same_site
from stormpetrel.web.mails import wait_page
from stormpetrel.web.own_password import WRONG_PASSWORD, is_owner, proof_of
from stormpetrel.web.phone_sign_in import has_phones
from stormpetrel.web.reader import read_reader
from stormpetrel.web.render import pages_of
from stormpetrel.web.second_step import enter
from stormpetrel.web.sessions import set_session, signed_in

if TYPE_CHECKING:
    from stormpetrel.model.account import User

PENDING = "Your account is waiting for approval by the admins. Please check back later."
MAIL_FOLLOWS = "You will get an e-mail when they approve it."
"""Appended to the two texts about waiting if the instance sends mails."""
SUSPENDED = "This account has been suspended. You cannot sign in to it."


# Sign in


async def show_sign_in(request: Request) -> Response:
    """Show the form; redirect a signed-in user, unless they want to change accounts (`again`)."""
    after = asked_next(request)
    if request.reader_id is not None and not dict(request.query_pairs).get("again"):
        return redirect(after)
    return _sign_in_page(request, after=after)


def _sign_in_page(
    request: Request, *, after: str, login: str = "", problem: str = "", status: int = 200
) -> Response:
    return pages_of(request).page(
        request,
        "sign_in.html",
        status=status,
        after=after,
        login=login,
        problem=problem,
        has_phones=has_phones(request),
        done=_done(request),
    )


_DONE = {
    "confirmed": "Your address is confirmed. You can sign in now.",
    "waits": "Your address is confirmed. The admins will review your request next.",
    "password": "Your new password is set. Sign in with it.",
    "deleted": "Your account has been deleted. Thank you for having been here.",
}
"""Message above the form, by the step that led to it."""


def _done(request: Request) -> str:
    done = dict(request.query_pairs).get("done", "")
    said = _DONE.get(done, "")
    return _with_mail(request, said) if done == "waits" else said


def _with_mail(request: Request, said: str) -> str:
    return f"{said} {MAIL_FOLLOWS}" if request.site.config.sends_mails else said


def _is_address(login: str) -> bool:
    return "@" in login.removeprefix("@")


async def sign_in(request: Request) -> Response:
    """Check the password, then start a session with a new id, replacing the browser's previous one."""
    form = await request.form()
    after = same_site(form.get("next", "/"))
    # No name or address is longer, and checking a longer text costs time per character.
    login = form.get("user[email]", "").strip()[:MAX_EMAIL]
    user = await _user_by_login(request, login)
    # Run the check for unknown names too: neither text nor timing may reveal whether an account exists.
    try:
        right = await request.site.passwords.is_right(
            request, user=user, login=login, password=form.get("user[password]", "")
        )
    except TooMany as refusal:
        page = _sign_in_page(request, after=after, login=login, problem=WRONG, status=refusal.status)
        page.headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
        return page
    if user is None or not right:
        return _sign_in_page(request, after=after, login=login, problem=WRONG, status=422)
    # Reveal the account's state only after the right password: only its owner may know it.
    if user.state is AccountState.UNCONFIRMED:
        return wait_page(request, login=user.username, after=after, status=403)
    if user.state is AccountState.PENDING:
        return _sign_in_page(
            request, after=after, login=login, problem=_with_mail(request, PENDING), status=403
        )
    if user.state is not AccountState.ACTIVE:
        return _sign_in_page(request, after=after, login=login, problem=SUSPENDED, status=403)
    return await enter(request, user=user, after=after)


async def _user_by_login(request: Request, login: str) -> User | None:
    # No database stores this character, and PostgreSQL rejects queries with it.
    if not login or "\0" in login:
        return None
    user: User | None = await request.site.database.read(account_rules.user_by_login, login=login)
    if user is not None and user.state is AccountState.UNCONFIRMED and _is_address(login):
        # A used address finds its owner's account. If a free address found the account just created with it,
        # the right password would cost no attempt, and the attempt counter would reveal which addresses are
        # in use.
        return None
    return user


async def sign_out(request: Request) -> Response:
    """End this browser's session; other browsers and apps stay signed in."""
    if request.access is not None and request.access.session_id is not None:
        await request.site.database.write(access_rules.end_session, session_id=request.access.session_id)
    response = redirect("/")
    response.delete_cookie(COOKIE_NAME, secure=request.site.https)
    return response


# Sign up


async def show_sign_up(request: Request) -> Response:
    """Show the form, or the message that registration is closed."""
    after = asked_next(request)
    if request.reader_id is not None:
        return redirect(after)
    return await _sign_up_page(request, after=after)


async def _sign_up_page(
    request: Request,
    *,
    after: str,
    typed: dict[str, str] | None = None,
    problems: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    return pages_of(request).page(
        request,
        "sign_up.html",
        status=status,
        rules=await request.site.database.read(instance_rules.rules),
        after=after,
        # Keep the submitted values except the password, which is not sent back.
        typed={name: (typed or {}).get(name, "") for name in ("username", "email", "reason", "agreement")},
        problems={name: (problems or {}).get(name, "") for name in _FIELDS},
        limits={
            "username": MAX_USERNAME,
            "min_password": MIN_PASSWORD,
            "max_password": MAX_PASSWORD,
            "reason": MAX_REASON,
        },
    )


_FIELDS = ("username", "email", "password", "reason", "agreement")


async def sign_up(request: Request) -> Response:
    """Create an account and sign its owner in, or show that it must be confirmed or approved first."""
    registration = request.site.config.registration
    form = await request.form()
    after = same_site(form.get("next", "/"))
    if request.reader_id is not None:
        return redirect(after)
    if registration == "closed":
        raise Forbidden("Sign-ups are closed")
    typed = {name: form.get(f"user[{name}]", "") for name in _FIELDS}
    typed["username"], typed["email"] = typed["username"].strip(), typed["email"].strip()
    problems = _problems(typed, registration=registration)
    if not problems:
        weakness = await request.site.passwords.problem(
            typed["password"], username=typed["username"], email=typed["email"], urgency=request.urgency
        )
        problems = {"password": weakness} if weakness else {}
    if not problems:
        # Hashing costs 20 ms of a core, so do not hash for a form that will be refused anyway.
        password_hash = await request.site.heavy.hash_password(typed["password"], urgency=request.urgency)
        try:
            account = await request.site.database.write(
                account_rules.sign_up,
                username=typed["username"],
                email=typed["email"],
                password_hash=password_hash,
                reason=typed["reason"] if registration == "approval" else "",
                locale=request.site.config.languages.partition(",")[0].strip() or "en",
                registration=registration,
                now_ms=request.now_ms,
                confirmation=(request.site.fresh_link() if request.site.config.confirms_addresses else None),
                network=request.network_slot,
            )
        except Invalid as refusal:
            problems = refusal.fields or {"username": refusal.safe_text}
    if problems:
        return await _sign_up_page(request, after=after, typed=typed, problems=problems, status=422)
    if account.state is AccountState.UNCONFIRMED:
        return wait_page(request, login=account.username, email=typed["email"], after=after)
    if account.state is AccountState.PENDING:
        return pages_of(request).page(
            request, "sign_up_pending.html", username=account.username, email=clean_address(typed["email"])
        )
    return await signed_in(request, account_id=account.id, after=after)


def _problems(typed: dict[str, str], *, registration: str) -> dict[str, str]:
    """Return all problems that can be found without the database."""
    found = {
        "username": username_problem(typed["username"]),
        "email": email_problem(clean_address(typed["email"])),
        "password": password_problem(typed["password"]),
        "agreement": None if typed["agreement"] else "must be accepted",
    }
    if registration == "approval":
        if not typed["reason"].strip():
            found["reason"] = BLANK
        elif len(typed["reason"]) > MAX_REASON:
            found["reason"] = too_long(MAX_REASON)
    return {name: problem for name, problem in found.items() if problem}


# Change the password


async def show_password(request: Request) -> Response:
    """Show the form, or the confirmation after a change."""
    return await _password_page(request)


async def _password_page(
    request: Request, *, problems: dict[str, str] | None = None, status: int = 200
) -> Response:
    return pages_of(request).page(
        request,
        "password.html",
        status=status,
        reader=await request.site.database.read(
            read_reader, reader_id=request.account_id, now_ms=request.now_ms
        ),
        problems={name: (problems or {}).get(name, "") for name in ("current_password", "password")},
        proof=await proof_of(request),
        changed=("changed", "1") in request.query_pairs,
        limits={"min_password": MIN_PASSWORD, "max_password": MAX_PASSWORD},
    )


async def change_password(request: Request) -> Response:
    """Set a new password if the old one is right. Sign out all other browsers, and apps if requested."""
    form = await request.form()
    new = form.get("user[password]", "")
    user = await request.site.database.read(account_rules.user, account_id=request.account_id)
    # First check the new password: this costs no attempt.
    problem = await request.site.passwords.problem(
        new, username=user.username, email=user.email, urgency=request.urgency
    )
    if problem:
        return await _password_page(request, problems={"password": problem}, status=422)
    if not await is_owner(request, form):
        return await _password_page(request, problems={"current_password": WRONG_PASSWORD}, status=422)
    session_id = await request.site.database.write(
        password_rules.change_password,
        account_id=request.account_id,
        password_hash=await request.site.heavy.hash_password(new, urgency=request.urgency),
        revoke_apps=bool(form.get("user[revoke_apps]")),
        now_ms=request.now_ms,
        browser=browser_name(request.headers.get("user-agent", "")),
        network=request.network_slot,
    )
    response = redirect("/auth/password?changed=1")
    visit = request.scope["visit"]
    set_session(
        request,
        response,
        session_id=session_id,
        account_id=request.account_id,
        # A session established before stays so after a change of password.
        since_s=visit.session.issued_at_s if visit.session is not None else request.now_ms // 1000,
    )
    return response
