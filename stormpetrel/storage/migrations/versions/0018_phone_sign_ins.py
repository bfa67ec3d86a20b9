"""Store requests for a code that is texted to sign in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "phone_sign_ins",
        sa.Column("id", _KEY, nullable=False, autoincrement=False),
        sa.Column("number_hash", sa.LargeBinary(), nullable=False),
        sa.Column("by_device_of", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("handled", sa.Boolean(), server_default=sa.text("FALSE"), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("tries", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_phone_sign_ins_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_phone_sign_ins"),
    )
    op.create_index("ix_phone_sign_ins_expires_at_ms", "phone_sign_ins", ["expires_at_ms"])
    op.create_index("ix_phone_sign_ins_account_id", "phone_sign_ins", ["account_id"])


def downgrade() -> None:
    op.drop_table("phone_sign_ins")
