"""Passwords: their one written form, and which are refused when they are set."""

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
"""What zxcvbn takes at most: its time grows with the square of the length (20 ms for 72)."""

TOO_COMMON = "is too easy to guess. Take a few words in a row, or let your browser suggest one"


def normal_form(password: str) -> str:
    """The password in NFKC: the same one from another keyboard or system is the same (NIST SP 800-63B §3.1.1.2).

    One that is too long to be set stays as it is: it is not right in any form, and normalizing takes time.
    """
    return password if len(password) > MAX_PASSWORD else unicodedata.normalize("NFKC", password)


def password_problem(password: str) -> str | None:
    """What is wrong with a new password at first sight, or None."""
    normal = normal_form(password)
    if not password:
        return BLANK
    if len(normal) < MIN_PASSWORD:
        return too_short(MIN_PASSWORD)
    if len(normal) > MAX_PASSWORD or len(password) > MAX_PASSWORD:
        return too_long(MAX_PASSWORD)
    if is_blank(normal):
        return "must not consist of spaces alone"
    return None


def password_weakness(password: str, about: list[str]) -> str | None:
    """Why a new password is too easy to guess, or None.

    `about`: names, addresses and titles that it must not be made of.

    Takes up to 20 ms. Source: Wheeler, "zxcvbn: Low-Budget Password Strength Estimation", USENIX Security 2016.
    """
    # Late: its lists of words take 14 MB, which only the process that estimates needs.
    from zxcvbn import zxcvbn

    words = {
        part for text in about for part in (text.lower(), *re.split(r"[\W_]+", text.lower())) if len(part) > 2
    }
    normal = normal_form(password)
    # What is drawn as nothing adds nothing.
    seen = "".join(character for character in normal if character == " " or not is_blank(character))
    estimate = zxcvbn(seen.strip()[:_ESTIMATED_CHARACTERS], user_inputs=sorted(words))
    return TOO_COMMON if estimate["guesses"] < FEWEST_GUESSES else None
