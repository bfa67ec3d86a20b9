"""Whether an insight report may name the account behind a hot page: its owner is asked, and until then it may not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

HOT_SHARE = 0.1
"""An account is asked if its pages got at least this part of the requests of an attack or a crowd."""
MAX_ASKED = 3
"""Accounts that are asked about one attack: those whose pages got most."""
_OF_ACCOUNT = re.compile(r"/@([A-Za-z0-9_]{1,30})(?:/|\Z)")


class NamingAnswer(StrEnum):
    """The answer of an owner. Only `agreed` lets a report name the account."""

    NONE = ""
    AGREED = "agreed"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class NamingQuestion:
    """A question to the owner of an account. `began_ms`, `ended_ms`: of the attack or crowd.

    `percent`: the part of its requests that went to pages of the account. `username`: its present name.
    """

    id: int
    account_id: int
    username: str
    began_ms: int
    ended_ms: int
    percent: int
    answer: NamingAnswer
    asked_at_ms: int
    answered_at_ms: int


def hot_accounts(pages: Mapping[str, float], *, requests: float) -> dict[str, float]:
    """Return the names of the accounts to ask, with their part of the requests, those with the most first.

    `pages`: requests by path, as in a report's table of pages. A profile, its feed and its posts are of one account.
    """
    found: dict[str, float] = {}
    for path, count in pages.items():
        match = _OF_ACCOUNT.match(path)
        if match is not None and requests > 0:
            name = match[1].lower()
            found[name] = found.get(name, 0.0) + count / requests
    hot = sorted((name for name, share in found.items() if share >= HOT_SHARE), key=lambda name: -found[name])
    return {name: min(1.0, found[name]) for name in hot[:MAX_ASKED]}
