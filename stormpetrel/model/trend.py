"""How much a hashtag is used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a tag: its beginning in seconds since 1970, UTC."""

    start_s: int
    uses: int
    accounts: int
