"""What stands for an account that has no picture: its initial on one of twelve colours."""

from __future__ import annotations

import re
import unicodedata
import zlib

from stormpetrel.model.account import Account

TINTS = (
    *("#0a5f74", "#2b5a8a", "#574a92", "#7a3d84", "#95375d", "#a03d2d"),
    *("#855000", "#645d00", "#3d6821", "#1d6947", "#2a6069", "#4c5a68"),
)
"""The colours, with white letters on them; as `.tint-0` to `.tint-11` in the stylesheet."""
_LAST_WITH_CAPITALS = "\u0590"
"""Latin, Greek, Cyrillic and Armenian lie below; capitals of later scripts are in few fonts (Georgian)."""
_DRAWN = re.compile("[A-Z0-9]")
_PICTURE = re.compile(r"initial-([0-9]|1[01])(?:-([A-Z0-9]))?\.png\Z")


def initial(account: Account) -> str:
    """Gives the first letter or digit of the name that is shown, as a capital where its script has them."""
    found = next((c for c in account.shown_name if c.isalnum()), account.username[0])
    return found.upper()[:1] if found < _LAST_WITH_CAPITALS else found


def tint(account: Account) -> int:
    """Gives the account's colour: a position in TINTS, which never changes."""
    # Ids are times, so their remainders run in step; a checksum mixes them.
    return zlib.crc32(str(account.id).encode()) % len(TINTS)


def picture_name(account: Account) -> str:
    """Gives the name of the picture that apps show: `initial-3-R.png`.

    Letters lose their accents; of what the drawer's font does not have there is the colour alone (`initial-3.png`).
    A picture never changes under its name, because apps cache it: another look needs another name.
    """
    letter = unicodedata.normalize("NFKD", initial(account))[:1]
    return f"initial-{tint(account)}-{letter}.png" if _DRAWN.match(letter) else f"initial-{tint(account)}.png"


def parse_picture_name(name: str) -> tuple[int, str] | None:
    """Gives (position in TINTS, letter or "") of a picture's name; None for what names none. There are 444."""
    found = _PICTURE.match(name)
    return None if found is None else (int(found[1]), found[2] or "")
