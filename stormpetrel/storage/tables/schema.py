"""The whole schema: importing this module makes every table known to `metadata`."""

from __future__ import annotations

from stormpetrel.storage.tables import (
    accounts,
    applications,
    conversations,
    edits,
    facts,
    filters,
    lists,
    mail,
    media,
    moderation,
    notifications,
    outbox,
    polls,
    posts,
    quotas,
    relationships,
    search,
    second_factors,
)
from stormpetrel.storage.tables.columns import metadata

TABLES = (
    accounts,
    applications,
    conversations,
    edits,
    facts,
    filters,
    lists,
    mail,
    media,
    moderation,
    notifications,
    outbox,
    polls,
    posts,
    quotas,
    relationships,
    search,
    second_factors,
)
"""The modules that hold them."""

__all__ = ["TABLES", "metadata"]
