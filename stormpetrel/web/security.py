"""Second factors in the settings: add and remove an authenticator app, passkeys and recovery codes."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from minijinja import Markup

from stormpetrel.errors import Forbidden, Invalid
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.second_factor import RECOVERY_CODES, Factors, new_recovery_code, recovery_hash
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import second_factors as rules
from stormpetrel.web.own_password import is_owner, proof_of
from stormpetrel.web.proofs import (
    ADD,
    WRONG_CODE,
    challenge_slot,
    host,
    options_to_add,
    options_to_use,
    proves,
    signed_challenge,
)
from stormpetrel.web.reader import Reader, read_reader
from stormpetrel.web.render import pages_of

if TYPE_CHECKING:
    from stormpetrel.storage.engine.connection import Connection

NO_PASSKEYS = "Passkeys need a server with a domain name, not an IP address"
_DONE = {
    "app": "Your authenticator app is set up.",
    "passkey": "Your passkey has been added.",
    "removed": "Removed.",
}


def read_security(connection: Connection, *, reader_id: int, now_ms: int) -> tuple[Reader | None, Factors]:
    """Read the reader and their factors."""
    return (
        read_reader(connection, reader_id=reader_id, now_ms=now_ms),
        rules.factors(connection, account_id=reader_id),
    )


async def show(request: Request) -> Response:
    return await _page(request)


async def _page(request: Request, *, problem: str = "") -> Response:
    reader, factors = await request.site.database.read(
        read_security, reader_id=request.account_id, now_ms=request.now_ms
    )
    return pages_of(request).page(
        request,
        "security.html",
        status=422 if problem else 200,
        reader=reader,
        factors=factors,
        proof=await proof_of(request),
        any_factor=factors.any,
        can_add_passkey=bool(host(request)),
        passkey=options_to_use(request, account_id=request.account_id, factors=factors),
        problem=problem,
        done=_DONE.get(dict(request.query_pairs).get("done", ""), ""),
    )


async def _is_allowed(request: Request, form: dict[str, str]) -> str:
    """Return "" if the password and, if there is one, the second factor are right; else the problem."""
    if not await is_owner(request, form):
        return "Wrong password."
    factors = await request.site.database.read(rules.factors, account_id=request.account_id)
    if factors.any and not await proves(request, form, account_id=request.account_id):
        return WRONG_CODE
    return ""


def _codes() -> tuple[list[str], list[bytes]]:
    codes = [new_recovery_code(secrets.choice) for _ in range(RECOVERY_CODES)]
    return codes, [hashed for code in codes if (hashed := recovery_hash(code)) is not None]


async def _codes_page(request: Request, codes: list[str]) -> Response:
    return pages_of(request).page(request, "recovery_codes.html", codes=codes)


# Authenticator app


async def begin_app(request: Request) -> Response:
    """Show a new secret after checking the password."""
    problem = await _is_allowed(request, await request.form())
    if problem:
        return await _page(request, problem=problem)
    return await _app_page(request)


async def _app_page(request: Request, *, token: str = "", problem: str = "") -> Response:
    site = request.site
    user = await site.database.read(account_rules.user, account_id=request.account_id)
    offer: list[str] | None = await site.heavy.call(
        "totp_offer",
        site.secret,
        request.account_id,
        f"{user.username}@{site.domain}",
        site.config.title,
        token,
        urgency=request.urgency,
    )
    if offer is None:
        raise Invalid("This page has expired. Please start again")
    token, shared, drawn = offer
    page: Response = pages_of(request).page(
        request,
        "security_app.html",
        status=422 if problem else 200,
        token=token,
        secret=" ".join(shared[start : start + 4] for start in range(0, len(shared), 4)),
        qr=Markup(drawn),
        problem=problem,
    )
    return page


async def confirm_app(request: Request) -> Response:
    """Store the offered app after a code has shown that it works."""
    form, site = await request.form(), request.site
    token = form.get("token", "")
    accepted: list[str | int] | None = await site.heavy.call(
        "totp_accept",
        site.secret,
        request.account_id,
        token[:1024],
        form.get("code", "")[:32],
        request.now_ms // 1000,
        urgency=request.urgency,
    )
    if accepted is None:
        raise Invalid("This page has expired. Please start again")
    if not accepted:
        return await _app_page(request, token=token, problem="Wrong code. Check the clock of your device.")
    codes, hashes = _codes()
    are_new = await site.database.write(
        rules.enable_totp,
        account_id=request.account_id,
        sealed=str(accepted[0]),
        step=int(accepted[1]),
        recovery_hashes=hashes,
        now_ms=request.now_ms,
    )
    return await _codes_page(request, codes) if are_new else redirect("/settings/security?done=app")


async def remove_app(request: Request) -> Response:
    problem = await _is_allowed(request, await request.form())
    if problem:
        return await _page(request, problem=problem)
    await request.site.database.write(rules.remove_totp, account_id=request.account_id, now_ms=request.now_ms)
    return redirect("/settings/security?done=removed")


# Passkeys


async def begin_passkey(request: Request) -> Response:
    """Show the page whose script creates a passkey, after checking the password."""
    if not host(request):
        raise Forbidden(NO_PASSKEYS)
    problem = await _is_allowed(request, await request.form())
    if problem:
        return await _page(request, problem=problem)
    reader, factors = await request.site.database.read(
        read_security, reader_id=request.account_id, now_ms=request.now_ms
    )
    assert reader is not None
    return pages_of(request).page(
        request,
        "security_passkey.html",
        reader=reader,
        options=options_to_add(
            request, account_id=request.account_id, username=reader.account.username, factors=factors
        ),
    )


async def confirm_passkey(request: Request) -> Response:
    """Store the passkey. Its challenge was issued only after the password was checked."""
    form, site = await request.form(), request.site
    credential = form.get("credential", "")
    signed = signed_challenge(request, credential, account_id=request.account_id, purpose=ADD)
    accepted: list[bytes | int] | None = None
    if signed is not None:
        accepted = await site.heavy.call(
            "passkey_accept",
            credential,
            signed.encode(),
            host(request),
            site.base_url,
            urgency=request.urgency,
        )
    if signed is None or accepted is None:
        raise Invalid("This passkey could not be added. Please start again")
    credential_id, public_key, sign_count = accepted
    assert isinstance(credential_id, bytes)
    assert isinstance(public_key, bytes)
    assert isinstance(sign_count, int)
    codes, hashes = _codes()
    are_new = await site.database.write(
        rules.add_passkey,
        account_id=request.account_id,
        credential_id=credential_id,
        public_key=public_key,
        sign_count=sign_count,
        name=form.get("name", ""),
        challenge=challenge_slot(signed),
        recovery_hashes=hashes,
        now_ms=request.now_ms,
    )
    return await _codes_page(request, codes) if are_new else redirect("/settings/security?done=passkey")


async def remove_passkey(request: Request) -> Response:
    problem = await _is_allowed(request, await request.form())
    if problem:
        return await _page(request, problem=problem)
    await request.site.database.write(
        rules.remove_passkey,
        account_id=request.account_id,
        passkey_id=request.id(),
        now_ms=request.now_ms,
    )
    return redirect("/settings/security?done=removed")


async def renew_codes(request: Request) -> Response:
    """Create new recovery codes; the previous ones become invalid."""
    problem = await _is_allowed(request, await request.form())
    if problem:
        return await _page(request, problem=problem)
    codes, hashes = _codes()
    await request.site.database.write(
        rules.renew_recovery_codes,
        account_id=request.account_id,
        recovery_hashes=hashes,
        now_ms=request.now_ms,
    )
    return await _codes_page(request, codes)
