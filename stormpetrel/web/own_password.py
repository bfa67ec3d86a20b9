"""The proof that forms about an account ask for: the password, or a code that was texted a few minutes ago.

An account that was made by text message has no password. Its owner signs in with a code that is texted, and has
PHONE_PROOF_S to set a password, a PIN or an address.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum

from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.model.account import User
from stormpetrel.model.phone import Phone
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import phone_sign_in
from stormpetrel.shield.cookies import seal, unseal

PHONE_PROOF_COOKIE = "stormpetrel_phone_proof"
PHONE_PROOF_S = 900
WRONG_PASSWORD = "is incorrect"
_PERSON = b"petrel.phoneproo"


class OwnerProof(StrEnum):
    """The proof to ask for. PHONE: a texted code was right lately. NONE: it has to be, as there is no password."""

    PASSWORD = "password"
    PHONE = "phone"
    NONE = "none"


def password_mark(user: User) -> int:
    """Return a hash of the password hash, for cookies that a changed password invalidates."""
    return int.from_bytes(hashlib.sha256(user.password_hash.encode()).digest()[:8])


def _phone_mark(user: User, phone: Phone) -> int:
    """Return a hash for the proof by this phone, which ends if the password changes or another phone is linked."""
    text = f"{user.password_hash} {phone.id}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


async def _phone(request: Request, user: User) -> Phone | None:
    return await request.site.database.read(
        phone_sign_in.phone_of, account_id=user.account_id, now_ms=request.now_ms
    )


async def prove_phone(request: Request, response: Response, *, user: User) -> None:
    """Let the owner change the account without its password for PHONE_PROOF_S, while the phone may sign in."""
    phone = await _phone(request, user)
    if phone is not None:
        mark = _phone_mark(user, phone)
        value = seal(request.site.secret, _PERSON, user.account_id, request.now_ms // 1000, mark)
        response.set_cookie(PHONE_PROOF_COOKIE, value, max_age_s=PHONE_PROOF_S, secure=request.site.https)


async def proof_of(request: Request) -> OwnerProof:
    """Return the proof that a form of the signed-in owner asks for."""
    user = await request.site.database.read(account_rules.user, account_id=request.account_id)
    value = request.cookies.get(PHONE_PROOF_COOKIE, "").encode("ascii", "replace")
    fields = unseal(request.site.secret, _PERSON, value)
    if fields is not None and fields[0] == user.account_id:
        age_s = request.now_ms // 1000 - fields[1]
        # STOP, LOCK and unlinking end the power of a phone at once, also the one that it gave before.
        phone = await _phone(request, user) if 0 <= age_s < PHONE_PROOF_S else None
        if phone is not None and fields[2] == _phone_mark(user, phone):
            return OwnerProof.PHONE
    return OwnerProof.PASSWORD if user.has_password else OwnerProof.NONE


async def is_owner(request: Request, form: Mapping[str, str]) -> bool:
    """Return True if the form has the owner's password, or its owner proved lately that the phone is theirs.

    Raise TooMany.
    """
    proof = await proof_of(request)
    if proof is OwnerProof.PASSWORD:
        return await request.site.passwords.is_own(request, form.get("user[current_password]", ""))
    return proof is OwnerProof.PHONE
