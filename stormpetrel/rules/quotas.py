"""Spending quotas (model/quota.py)."""

from __future__ import annotations

from collections.abc import Iterable

from stormpetrel.errors import TooMany
from stormpetrel.model.quota import Quota, is_young
from stormpetrel.storage import quotas as stored
from stormpetrel.storage.engine.connection import Connection


def spend(connection: Connection, quota: Quota, slot: int, *, now_ms: int, uses: int = 1) -> int:
    """Take `uses` of the quota and return 0; if there are not enough, take none and return the wait in ms."""
    free_at_ms = stored.spend(
        connection,
        quota=quota.name,
        slot=slot,
        now_ms=now_ms,
        cost_ms=quota.every_ms * uses,
        span_ms=quota.span_ms,
    )
    return 0 if free_at_ms is None else max(1, free_at_ms - now_ms)


def require(
    connection: Connection, quota: Quota, slot: int, *, now_ms: int, text: str, uses: int = 1
) -> None:
    """Take `uses` of the quota. Raise TooMany with `text`, which rolls the transaction back."""
    wait_ms = spend(connection, quota, slot, now_ms=now_ms, uses=uses)
    if wait_ms:
        raise TooMany(text, retry_after_s=-(-wait_ms // 1000))


def require_young(
    connection: Connection, quota: Quota, account_id: int, *, now_ms: int, text: str, uses: int = 1
) -> None:
    """Take `uses` of the quota if the account is young. Raise TooMany with `text`."""
    if uses and is_young(account_id, now_ms=now_ms):
        require(connection, quota, account_id, now_ms=now_ms, text=text, uses=uses)


def give_back(connection: Connection, spent: Iterable[tuple[Quota, int]]) -> None:
    """Undo one use of each (quota, slot)."""
    for quota, slot in spent:
        stored.give_back(connection, quota=quota.name, slot=slot, cost_ms=quota.every_ms)
