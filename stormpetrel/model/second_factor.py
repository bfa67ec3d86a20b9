"""Second factors: codes of an authenticator app (RFC 6238), passkeys (WebAuthn), and recovery codes.

Functions that need a library import it when they are called, in the heavy process (process/cpu_worker.py): so no web
worker loads the libraries or parses the data of an unknown authenticator.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

STEP_S = 30
"""How long an app shows a code; the codes before and after it are accepted too (RFC 6238 §5.2)."""
OFFER_AGE_S = 900
"""How long the page that shows a new secret stays valid."""
RECOVERY_CODES = 10
MAX_PASSKEYS = 20
MAX_PASSKEY_NAME = 40
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 4


@dataclass(frozen=True, slots=True)
class Totp:
    """An authenticator app. `sealed` is its secret, encrypted; codes up to `last_step` are used up."""

    sealed: str
    last_step: int
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey. `last_used_at_ms` is 0 until it is used."""

    id: int
    credential_id: bytes
    public_key: bytes
    sign_count: int
    name: str
    created_at_ms: int
    last_used_at_ms: int


@dataclass(frozen=True, slots=True)
class Factors:
    """The second factors of an account."""

    totp: Totp | None
    passkeys: tuple[Passkey, ...]
    recovery_codes: int

    @property
    def any(self) -> bool:
        """Return True if signing in requires a second factor. Recovery codes alone do not count."""
        return self.totp is not None or bool(self.passkeys)


def new_recovery_code(choose: Callable[[str], str]) -> str:
    """Return a recovery code of 79 bits: "abcd-efgh-jkmn-pqrs". `choose` returns a random letter of a text."""
    groups = ("".join(choose(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def recovery_hash(code: str) -> bytes | None:
    """Return the hash to store of a recovery code, however it is typed; None if it cannot be a recovery code."""
    letters = "".join(character for character in code.lower() if character.isalnum())
    return hashlib.sha256(letters.encode()).digest() if len(letters) == _GROUPS * _GROUP else None


def totp_offer(secret: bytes, account_id: int, name: str, issuer: str, token: str = "") -> list[str] | None:
    """Return [token, secret in base32, QR code as SVG] of a new app, or of the one that `token` offered.

    Return None when `token` is too old or of another account. `secret`: the instance's.
    """
    import pyotp
    import segno

    shared = _offered(secret, account_id, token) if token else pyotp.random_base32()
    if shared is None:
        return None
    uri = pyotp.TOTP(shared).provisioning_uri(name=name, issuer_name=issuer)
    drawn = segno.make(uri, error="m", micro=False).svg_inline(scale=5, border=3, light="#fff")
    token = token or _fernet(secret).encrypt(json.dumps([account_id, shared]).encode()).decode()
    return [token, shared, drawn]


def totp_accept(secret: bytes, account_id: int, token: str, code: str, at_s: int) -> list[Any] | None:
    """Return [sealed secret, step] if `code` is the offered app's; [] for a wrong code,
    None for an expired offer.
    """
    shared = _offered(secret, account_id, token)
    if shared is None:
        return None
    step = _step(shared, code, at_s)
    return [] if step is None else [_fernet(secret).encrypt(shared.encode()).decode(), step]


def totp_step(secret: bytes, sealed: str, code: str, at_s: int) -> int | None:
    """Return the step that the code belongs to, or None. The caller refuses used steps (RFC 6238 §5.2)."""
    shared = _opened(secret, sealed)
    return None if shared is None else _step(shared, code, at_s)


def passkey_accept(credential: str, challenge: bytes, host: str, origin: str) -> list[Any] | None:
    """Return [credential id, public key, count] of a new passkey; None if the response is invalid."""
    from webauthn import verify_registration_response
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=host,
            expected_origin=origin,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        return None
    return [verified.credential_id, verified.credential_public_key, verified.sign_count]


def passkey_count(
    credential: str, challenge: bytes, host: str, origin: str, public_key: bytes, sign_count: int
) -> int | None:
    """Return the passkey's new count if it signed `challenge`, otherwise None."""
    from webauthn import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=host,
            expected_origin=origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        return None
    return verified.new_sign_count


def _fernet(secret: bytes) -> Any:
    from cryptography.fernet import Fernet

    key = hashlib.blake2b(key=secret[:64], digest_size=32, person=b"petrel.totp....1").digest()
    return Fernet(base64.urlsafe_b64encode(key))


def _opened(secret: bytes, sealed: str, max_age_s: int | None = None) -> str | None:
    from cryptography.fernet import InvalidToken

    try:
        opened: bytes = _fernet(secret).decrypt(sealed.encode(), ttl=max_age_s)
    except (InvalidToken, UnicodeEncodeError):
        return None
    return opened.decode()


def _offered(secret: bytes, account_id: int, token: str) -> str | None:
    opened = _opened(secret, token, OFFER_AGE_S)
    if opened is None:
        return None
    owner, shared = json.loads(opened)
    return str(shared) if owner == account_id else None


def _step(shared: str, code: str, at_s: int) -> int | None:
    import pyotp

    digits = "".join(code.split())
    if not (digits.isascii() and digits.isdigit() and len(digits) == 6):
        return None
    now = at_s // STEP_S
    app = pyotp.TOTP(shared)
    found = None
    for step in (now - 1, now, now + 1):
        if hmac.compare_digest(app.at(step * STEP_S), digits):
            found = step
    return found
