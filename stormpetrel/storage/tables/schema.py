"""The whole schema: importing this module registers every table in `metadata`."""

from __future__ import annotations

from stormpetrel.storage.tables import (
    accounts,
    applications,
    audience,
    conversations,
    edits,
    facts,
    filters,
    lists,
    mail,
    media,
    moderation,
    naming,
    notifications,
    outbox,
    phones,
    polls,
    posts,
    quotas,
    relationships,
    search,
    second_factors,
    status,
)
from stormpetrel.storage.tables.columns import metadata

TABLES = (
    accounts,
    applications,
    audience,
    conversations,
    edits,
    facts,
    filters,
    lists,
    mail,
    media,
    moderation,
    naming,
    notifications,
    outbox,
    phones,
    polls,
    posts,
    quotas,
    relationships,
    search,
    second_factors,
    status,
)
"""The modules that define the tables."""

__all__ = ["TABLES", "metadata"]
