"""The members' tokens in 24 bytes each, loaded when a worker starts: account and age of a token not looked up yet.

An entry gives no access: its request queues as its account's, and the application looks the token up. Without it,
every member of a worker that just started counts as a stranger until then, within a small budget for all together.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable

CAPACITY = 100_000
"""The newest tokens that are loaded; 2.4 MB."""
_PREFIX_BYTES = 8
_GONE = 0
"""The account of an entry that was taken out; ids of accounts are larger."""


class TokenIndex:
    """Accounts and times by the first 8 bytes of a token's SHA-256. Filled once; entries can only be taken out."""

    __slots__ = ("_accounts", "_created_ms", "_prefixes")

    def __init__(self) -> None:
        self._prefixes = array("Q")
        self._accounts = array("q")
        self._created_ms = array("q")

    def __len__(self) -> int:
        return len(self._prefixes)

    def fill(self, tokens: Iterable[tuple[bytes, int, int]]) -> None:
        """Replace all entries by these: a token's SHA-256, its account's id, when it was created (ms since 1970)."""
        rows = sorted((int.from_bytes(digest[:_PREFIX_BYTES]), account, ms) for digest, account, ms in tokens)
        self._prefixes = array("Q", [row[0] for row in rows])
        self._accounts = array("q", [row[1] for row in rows])
        self._created_ms = array("q", [row[2] for row in rows])

    def find(self, token_hash: bytes) -> tuple[int, int] | None:
        """Return (account id, creation in ms since 1970) of a token; None if it is not here."""
        at = self._at(token_hash)
        if at < 0 or self._accounts[at] == _GONE:
            return None
        return self._accounts[at], self._created_ms[at]

    def discard(self, token_hash: bytes) -> None:
        """Take a token out, if it is here."""
        at = self._at(token_hash)
        if at >= 0:
            self._accounts[at] = _GONE

    def _at(self, token_hash: bytes) -> int:
        prefixes = self._prefixes
        prefix = int.from_bytes(token_hash[:_PREFIX_BYTES])
        at = bisect_left(prefixes, prefix)
        return at if at < len(prefixes) and prefixes[at] == prefix else -1
