"""Lists, filters and followed hashtags; notes on accounts, endorsements, languages of a follow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key() -> sa.Column[int]:
    return sa.Column("id", KEY, autoincrement=False, nullable=False)


def _ref(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _to(table: str, name: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([name], [f"{target}.id"], name=f"fk_{table}_{name}", ondelete="CASCADE")


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(
        name,
        sa.Text(),
        nullable=False,
        server_default=None if default is None else sa.text(f"'{default}'"),
    )


def _flag(name: str, default: str = "FALSE") -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text(default))


def upgrade() -> None:
    op.create_table(
        "lists",
        _key(),
        _ref("account_id"),
        _text("title"),
        _text("replies_policy", "list"),
        _flag("exclusive"),
        sa.PrimaryKeyConstraint("id", name="pk_lists"),
        _to("lists", "account_id", "accounts"),
    )
    op.create_index("ix_lists_account_id_id", "lists", ["account_id", "id"])
    op.create_table(
        "list_members",
        _ref("list_id"),
        _ref("account_id"),
        sa.PrimaryKeyConstraint("list_id", "account_id", name="pk_list_members"),
        _to("list_members", "list_id", "lists"),
        _to("list_members", "account_id", "accounts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_list_members_account_id", "list_members", ["account_id"])
    op.create_table(
        "filters",
        _key(),
        _ref("account_id"),
        _text("title"),
        _text("contexts"),
        _text("action", "warn"),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("id", name="pk_filters"),
        _to("filters", "account_id", "accounts"),
    )
    op.create_index("ix_filters_account_id_id", "filters", ["account_id", "id"])
    op.create_table(
        "filter_keywords",
        _key(),
        _ref("filter_id"),
        _text("keyword"),
        _flag("whole_word", "TRUE"),
        sa.PrimaryKeyConstraint("id", name="pk_filter_keywords"),
        _to("filter_keywords", "filter_id", "filters"),
    )
    op.create_index("ix_filter_keywords_filter_id", "filter_keywords", ["filter_id"])
    op.create_table(
        "filter_posts",
        _key(),
        _ref("filter_id"),
        _ref("post_id"),
        sa.PrimaryKeyConstraint("id", name="pk_filter_posts"),
        sa.UniqueConstraint("filter_id", "post_id", name="uq_filter_posts_filter_id_post_id"),
        _to("filter_posts", "filter_id", "filters"),
        _to("filter_posts", "post_id", "posts"),
    )
    op.create_index("ix_filter_posts_post_id", "filter_posts", ["post_id"])
    op.create_table(
        "tag_follows",
        _key(),
        _ref("account_id"),
        _ref("tag_id"),
        sa.PrimaryKeyConstraint("id", name="pk_tag_follows"),
        sa.UniqueConstraint("account_id", "tag_id", name="uq_tag_follows_account_id_tag_id"),
        _to("tag_follows", "account_id", "accounts"),
        _to("tag_follows", "tag_id", "tags"),
    )
    op.create_index("ix_tag_follows_tag_id", "tag_follows", ["tag_id"])
    op.create_table(
        "account_notes",
        _ref("account_id"),
        _ref("target_id"),
        _text("note"),
        sa.PrimaryKeyConstraint("account_id", "target_id", name="pk_account_notes"),
        _to("account_notes", "account_id", "accounts"),
        _to("account_notes", "target_id", "accounts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_account_notes_target_id", "account_notes", ["target_id"])
    op.create_table(
        "endorsements",
        _key(),
        _ref("account_id"),
        _ref("target_id"),
        sa.PrimaryKeyConstraint("id", name="pk_endorsements"),
        sa.UniqueConstraint("account_id", "target_id", name="uq_endorsements_account_id_target_id"),
        _to("endorsements", "account_id", "accounts"),
        _to("endorsements", "target_id", "accounts"),
    )
    op.create_index("ix_endorsements_target_id", "endorsements", ["target_id"])
    op.add_column("follows", _text("languages", ""))
    op.add_column("follow_requests", _text("languages", ""))


def downgrade() -> None:
    op.drop_column("follow_requests", "languages")
    op.drop_column("follows", "languages")
    for table in (
        "endorsements",
        "account_notes",
        "tag_follows",
        "filter_posts",
        "filter_keywords",
        "filters",
        "list_members",
        "lists",
    ):
        op.drop_table(table)
