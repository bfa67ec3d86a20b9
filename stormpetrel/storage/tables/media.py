"""Pictures, films and sound, and every file that is kept of them."""

from __future__ import annotations

from sqlalchemy import Column, Index, SmallInteger, Table, text

from stormpetrel.storage.tables.columns import Bytewise, id_column, metadata, number, ref, text_column

media = Table(
    "media",
    metadata,
    id_column(),
    ref("account_id", "accounts.id"),
    # Kept for a day after its post is gone, so that it can be used again when that is written anew.
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
    number("detached_at_ms", 0),  # when it last belonged to no post: from then on it has a day
    Index(None, "post_id", "position"),
    Index(None, "account_id"),
    Index(
        "ix_media_loose",
        "detached_at_ms",
        sqlite_where=text("post_id IS NULL"),
        postgresql_where=text("post_id IS NULL"),
    ),
)

media_files = Table(  # a file without a row is not served, and is cleared away
    "media_files",
    metadata,
    Column("key", Bytewise, primary_key=True),
    ref("account_id", "accounts.id"),
    Index(None, "account_id"),
    sqlite_with_rowid=False,
)
