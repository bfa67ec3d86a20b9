"""Pictures, films and sound."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_PICTURES = ("avatar_key", "avatar_static_key", "header_key", "header_static_key")
_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _text(name: str, default: str | None = "") -> sa.Column[str]:
    return sa.Column(
        name, sa.Text(), nullable=False, server_default=None if default is None else sa.text(f"'{default}'")
    )


def _number(name: str, default: str | None = "0") -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger(), nullable=False, server_default=None if default is None else sa.text(default)
    )


def upgrade() -> None:
    op.create_table(
        "media",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("post_id", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        _text("state", None),
        _text("kind", "unknown"),
        _text("key"),
        _text("preview_key"),
        _number("width"),
        _number("height"),
        _number("preview_width"),
        _number("preview_height"),
        _number("duration_ms"),
        _number("bit_rate"),
        _text("frame_rate"),
        _text("blurhash"),
        _text("description"),
        _number("focus_x"),
        _number("focus_y"),
        _number("created_at_ms", None),
        _number("detached_at_ms"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_media_account_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="fk_media_post_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_media"),
    )
    op.create_index("ix_media_post_id_position", "media", ["post_id", "position"])
    op.create_index("ix_media_account_id", "media", ["account_id"])
    op.create_index(
        "ix_media_loose",
        "media",
        ["detached_at_ms"],
        sqlite_where=sa.text("post_id IS NULL"),
        postgresql_where=sa.text("post_id IS NULL"),
    )
    op.create_table(
        "media_files",
        sa.Column("key", _BYTEWISE, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_media_files_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name="pk_media_files"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_media_files_account_id", "media_files", ["account_id"])
    op.add_column("posts", _number("media_count"))
    op.create_index(
        "ix_posts_media",
        "posts",
        ["author_id", "id"],
        sqlite_where=sa.text("media_count > 0"),
        postgresql_where=sa.text("media_count > 0"),
    )
    op.create_index(
        "ix_posts_public_media",
        "posts",
        ["id"],
        sqlite_where=sa.text("visibility = 0 AND boost_of_id IS NULL AND media_count > 0"),
        postgresql_where=sa.text("visibility = 0 AND boost_of_id IS NULL AND media_count > 0"),
    )
    for name in _PICTURES:
        op.add_column("accounts", _text(name))


def downgrade() -> None:
    for name in reversed(_PICTURES):
        op.drop_column("accounts", name)
    op.drop_index("ix_posts_public_media", table_name="posts")
    op.drop_index("ix_posts_media", table_name="posts")
    op.drop_column("posts", "media_count")
    op.drop_table("media_files")
    op.drop_table("media")
