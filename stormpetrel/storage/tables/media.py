"""Images, videos and audio, and all stored files of them."""

from __future__ import annotations

from sqlalchemy import Column, Index, SmallInteger, Table, text

from stormpetrel.storage.tables.columns import Bytewise, id_column, metadata, number, ref, text_column

media = Table(
    "media",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    # Retained for a day after its post is deleted, so that a redrafted post can use it again.
    ref("post_id", "posts.id", nullable=True, ondelete="SET NULL"),
    Column("position", SmallInteger, nullable=False, server_default=text("0")),
    text_column("state"),  # model/media.py: MediaState
    text_column("kind", "unknown"),  # model/media.py: MediaKind
    text_column("key", ""),
    text_column("preview_key", ""),
    number("width", 0),
    number("height", 0),
    number("preview_width", 0),
    number("preview_height", 0),
    number("duration_ms", 0),
    number("bit_rate", 0),
    text_column("frame_rate", ""),
    text_column("blurhash", ""),
    text_column("description", ""),
    number("focus_x", 0),  # thousandths
    number("focus_y", 0),
    number("created_at_ms"),
    number("detached_at_ms", 0),  # when it last lost its post: it is deleted a day later
    Index(None, "post_id", "position"),
    Index(None, "account_id"),
    Index(
        "ix_media_loose",
        "detached_at_ms",
        sqlite_where=text("post_id IS NULL"),
        postgresql_where=text("post_id IS NULL"),
    ),
)

media_files = Table(  # a file without a row is not served, and is removed
    "media_files",
    metadata,
    Column("key", Bytewise, primary_key=True),
    ref("account_id", "accounts.id"),
    Index(None, "account_id"),
    sqlite_with_rowid=False,
)
