"""Tokens of members of a seeded instance, for benchmarks that use it as they do."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from stormpetrel.model.access import secret_hash
from stormpetrel.rules import access
from stormpetrel.storage.engine.connection import Connection, transaction


def create_tokens(
    connection: Connection,
    account_ids: Sequence[int],
    *,
    now_ms: int,
    scopes: tuple[str, ...] = ("read", "write"),
) -> list[str]:
    """Create a token for each account, in one transaction; return them in the same order. `now_ms`: when."""
    tokens = [secrets.token_urlsafe(32) for _ in account_ids]
    with transaction(connection):
        for account_id, token in zip(account_ids, tokens, strict=True):
            access.create_token(
                connection,
                account_id=account_id,
                application_id=None,
                scopes=scopes,
                token_hash=secret_hash(token),
                now_ms=now_ms,
            )
    return tokens
