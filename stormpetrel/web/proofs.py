"""Verify second factors: check a form's code or passkey, and make the challenge that the page needs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stormpetrel.http.passwords import TOO_OFTEN
from stormpetrel.model.second_factor import Factors, Passkey, recovery_hash
from stormpetrel.rules import second_factors as rules
from stormpetrel.shield.classify import K2
from stormpetrel.shield.cookies import seal, unseal

if TYPE_CHECKING:
    from stormpetrel.http.request import Request

ADD = b"petrel.passkey.a"
USE = b"petrel.passkey.u"
"""The purpose of a challenge; its MAC is valid for one purpose only."""
WRONG_CODE = "Wrong code, or it was already used."
_ALGORITHMS = (-8, -7, -257)  # EdDSA, ES256, RS256: the algorithms that the library verifies
_MAX_CREDENTIAL_CHARACTERS = 8192


def host(request: Request) -> str:
    """Return the host that passkeys are bound to, or "" for an IP address: browsers require a host name."""
    name = urlsplit(request.site.base_url).hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name
    return ""


def challenge(request: Request, *, account_id: int, purpose: bytes) -> str:
    """Return a new challenge for this account. It contains its time of creation; nothing is stored."""
    return seal(request.site.secret, purpose, secrets.randbits(64), account_id, request.now_ms // 1000)


def options_to_use(request: Request, *, account_id: int, factors: Factors) -> str:
    """Return the options for navigator.credentials.get as JSON, or "" without a passkey."""
    if not factors.passkeys or not host(request):
        return ""
    return json.dumps(
        {
            "challenge": _encoded(challenge(request, account_id=account_id, purpose=USE).encode()),
            "rpId": host(request),
            "allowCredentials": [_descriptor(one) for one in factors.passkeys],
            "userVerification": "discouraged",
            "timeout": rules.CHALLENGE_AGE_S * 1000,
        }
    )


def options_to_add(request: Request, *, account_id: int, username: str, factors: Factors) -> str:
    """Return the options for navigator.credentials.create as JSON."""
    return json.dumps(
        {
            "challenge": _encoded(challenge(request, account_id=account_id, purpose=ADD).encode()),
            "rp": {"id": host(request), "name": request.site.config.title},
            "user": {
                "id": _encoded(account_id.to_bytes(8)),
                "name": username,
                "displayName": username,
            },
            "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in _ALGORITHMS],
            "excludeCredentials": [_descriptor(one) for one in factors.passkeys],
            "authenticatorSelection": {"userVerification": "discouraged"},
            "attestation": "none",
            "timeout": rules.CHALLENGE_AGE_S * 1000,
        }
    )


def signed_challenge(request: Request, credential: str, *, account_id: int, purpose: bytes) -> str | None:
    """Return the signed challenge if it is ours, recent, and for this account and purpose, else None."""
    # Browsers send ASCII alone. Other characters take more bytes than a job of the heavy process may have.
    if len(credential) > _MAX_CREDENTIAL_CHARACTERS or not credential.isascii():
        return None
    try:
        client_data = json.loads(_decoded(json.loads(credential)["response"]["clientDataJSON"]))
        text = _decoded(client_data["challenge"]).decode("ascii")
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    fields = unseal(request.site.secret, purpose, text.encode("ascii"))
    if fields is None or fields[1] != account_id:
        return None
    return text if request.now_ms // 1000 - fields[2] < rules.CHALLENGE_AGE_S else None


def challenge_slot(text: str) -> int:
    """Return the row that counts the uses of a challenge."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])


async def proves(request: Request, form: dict[str, str], *, account_id: int) -> bool:
    """Return True if the form has a valid code, recovery code or passkey of the account, and use it up.

    An attempt counts like a guess at the password. Its job goes before those of strangers, because the password was
    right, or the session is known. Raise TooMany, Busy.
    """
    passwords = request.site.passwords
    guess = replace(passwords.guess(request, account_id=account_id, login=""), is_code=True)
    admission = await passwords.admit(request, guess, text=TOO_OFTEN)
    factors = await request.site.database.read(rules.factors, account_id=account_id)
    credential = form.get("credential", "")
    if credential:
        right = await _passkey_proves(request, credential, account_id=account_id, factors=factors)
    else:
        right = await _code_proves(request, form.get("code", ""), account_id=account_id, factors=factors)
    await passwords.settle(request, guess, admission, is_right=right)
    return right


async def _code_proves(request: Request, code: str, *, account_id: int, factors: Factors) -> bool:
    site = request.site
    step: int | None = None
    code_hash = recovery_hash(code)
    if code_hash is None and factors.totp is not None:
        step = await site.heavy.call(
            "totp_step", site.secret, factors.totp.sealed, code[:32], request.now_ms // 1000, urgency=K2
        )
    if step is None and code_hash is None:
        return False
    return await site.database.write(rules.use_code, account_id=account_id, step=step, code_hash=code_hash)


async def _passkey_proves(request: Request, credential: str, *, account_id: int, factors: Factors) -> bool:
    site = request.site
    signed = signed_challenge(request, credential, account_id=account_id, purpose=USE)
    passkey = _named(credential, factors)
    if signed is None or passkey is None:
        return False
    count: int | None = await site.heavy.call(
        "passkey_count",
        credential,
        signed.encode(),
        host(request),
        site.base_url,
        passkey.public_key,
        passkey.sign_count,
        urgency=K2,
    )
    if count is None:
        return False
    return await site.database.write(
        rules.use_passkey,
        passkey_id=passkey.id,
        sign_count=count,
        challenge=challenge_slot(signed),
        now_ms=request.now_ms,
    )


def _named(credential: str, factors: Factors) -> Passkey | None:
    """Return the account's passkey that the browser's response names, or None."""
    try:
        named = _decoded(json.loads(credential)["rawId"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return next((one for one in factors.passkeys if one.credential_id == named), None)


def _descriptor(passkey: Passkey) -> dict[str, Any]:
    return {"type": "public-key", "id": _encoded(passkey.credential_id)}


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(text) from error
