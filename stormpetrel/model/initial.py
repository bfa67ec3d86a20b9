"""The default avatar of an account without an image: its initial on one of twelve colours."""

from __future__ import annotations

import re
import unicodedata
import zlib

from stormpetrel.model.account import Account

TINTS = (
    *("#0a5f74", "#2b5a8a", "#574a92", "#7a3d84", "#95375d", "#a03d2d"),
    *("#855000", "#645d00", "#3d6821", "#1d6947", "#2a6069", "#4c5a68"),
)
"""The background colours of white letters; `.tint-0` to `.tint-11` in the stylesheet."""
_LAST_WITH_CAPITALS = "\u0590"
"""Latin, Greek, Cyrillic and Armenian are below it. Few fonts have the capitals of later scripts (Georgian)."""
_DRAWN = re.compile("[A-Z0-9]")
_PICTURE = re.compile(r"initial-([0-9]|1[01])(?:-([A-Z0-9]))?\.png\Z")


def initial(account: Account) -> str:
    """Return the first letter or digit of the shown name, as a capital where its script has them."""
    found = next((c for c in account.shown_name if c.isalnum()), account.username[0])
    return found.upper()[:1] if found < _LAST_WITH_CAPITALS else found


def tint(account: Account) -> int:
    """Return the account's colour: a position in TINTS, which never changes."""
    # Ids are times, so their remainders are not evenly spread; a checksum mixes them.
    return zlib.crc32(str(account.id).encode()) % len(TINTS)


def picture_name(account: Account) -> str:
    """Return the name of the image that apps show: `initial-3-R.png`.

    Accents are removed; a letter that the font does not have is left out (`initial-3.png`). Apps cache an
    image by its name, so an image with another look needs another name.
    """
    letter = unicodedata.normalize("NFKD", initial(account))[:1]
    return f"initial-{tint(account)}-{letter}.png" if _DRAWN.match(letter) else f"initial-{tint(account)}.png"


def parse_picture_name(name: str) -> tuple[int, str] | None:
    """Return (position in TINTS, letter or "") of an image's name; None for other names. There are 444."""
    found = _PICTURE.match(name)
    return None if found is None else (int(found[1]), found[2] or "")
