"""Passwords: their normal form, and which are refused when they are set."""

from __future__ import annotations

import re
import unicodedata

from stormpetrel.errors import BLANK, too_long, too_short
from stormpetrel.model.characters import is_blank

MIN_PASSWORD = 8
MAX_PASSWORD = 128
FEWEST_GUESSES = 1_000_000
"""zxcvbn's boundary between "very guessable" and "somewhat guessable", its score 2."""
_ESTIMATED_CHARACTERS = 72
"""Characters that are passed to zxcvbn: its time grows with the square of the length (20 ms for 72)."""

TOO_COMMON = "is too easy to guess. Use several random words, or let your browser suggest one"


def normal_form(password: str) -> str:
    """Return the password in NFKC, equal for every keyboard and system (NIST SP 800-63B §3.1.1.2).

    A password above MAX_PASSWORD is returned unchanged: it cannot be right, and normalizing it takes time.
    """
    return password if len(password) > MAX_PASSWORD else unicodedata.normalize("NFKC", password)


def password_problem(password: str) -> str | None:
    """Return the formal problem with a new password (its length, blanks), or None."""
    normal = normal_form(password)
    if not password:
        return BLANK
    if len(normal) < MIN_PASSWORD:
        return too_short(MIN_PASSWORD)
    if len(normal) > MAX_PASSWORD or len(password) > MAX_PASSWORD:
        return too_long(MAX_PASSWORD)
    if is_blank(normal):
        return "must not consist of spaces only"
    return None


def password_weakness(password: str, about: list[str]) -> str | None:
    """Return why a new password is too easy to guess, or None.

    `about`: names, addresses and titles that it must not consist of. Takes up to 20 ms. Source: Wheeler,
    "zxcvbn: Low-Budget Password Strength Estimation", USENIX Security 2016.
    """
    # Imported here: its word lists take 14 MB, which only the process that estimates needs.
    from zxcvbn import zxcvbn

    words = {
        part for text in about for part in (text.lower(), *re.split(r"[\W_]+", text.lower())) if len(part) > 2
    }
    normal = normal_form(password)
    # Invisible characters add no strength.
    seen = "".join(character for character in normal if character == " " or not is_blank(character))
    estimate = zxcvbn(seen.strip()[:_ESTIMATED_CHARACTERS], user_inputs=sorted(words))
    return TOO_COMMON if estimate["guesses"] < FEWEST_GUESSES else None
