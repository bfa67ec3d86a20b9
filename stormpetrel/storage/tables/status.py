"""Subscriptions to the status page, the updates to send, and the progress of sending them."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table, Text, text

from stormpetrel.storage.tables.columns import id_column, metadata, number, ref, text_column

status_subscriptions = Table(
    "status_subscriptions",
    metadata,
    id_column(),
    text_column("kind"),  # email, webhook
    text_column("target"),  # the address or the URL, as typed
    text_column("target_key"),  # the same for all spellings
    text_column("host"),  # of a webhook's URL
    text_column("channels"),  # separated by commas; empty: all
    text_column("state"),  # pending, active, off
    text_column("nonce"),  # makes the token of its link and its signing key
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    number("asked_at_ms"),  # when it got the last mail about a request, or was requested
    number("failures", 0),  # in a row
    number("failing_since_ms", 0),
    text_column("off_reason", ""),
    Index("ix_status_subscriptions_state", "state", "kind", "id"),
    Index(None, "target_key", "asked_at_ms"),
    # A stranger may ask for an address that is subscribed: that row is never confirmed.
    Index(
        "uq_status_subscriptions_target_key",
        "target_key",
        unique=True,
        sqlite_where=text("state <> 'pending'"),
        postgresql_where=text("state <> 'pending'"),
    ),
)

status_updates = Table(  # an update of an incident, from a watch
    "status_updates",
    metadata,
    id_column(),
    Column("update_id", Text, nullable=False, unique=True),
    text_column("body"),  # StatusNotice as JSON
    number("created_at_ms"),
    Index(None, "created_at_ms"),
)

status_sendings = Table(  # mails of an update to the subscriptions after `after_id`, up to `until_id`
    "status_sendings",
    metadata,
    id_column(),  # its job in the outbox has the same
    ref("status_update_id", "status_updates.id"),
    number("after_id"),
    number("until_id"),
    Index(None, "status_update_id"),
)
