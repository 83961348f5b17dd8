"""Keep replies by Idempotency-Key, and how many bytes a transaction has staged.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of kept replies and the column."""
    op.create_table(
        "kept_replies",
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("content_type", sa.String(length=255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("account", "key"),
    )
    op.create_index("ix_kept_replies_expires_at", "kept_replies", ["expires_at"])
    op.add_column(
        "transactions", sa.Column("staged_bytes", sa.BigInteger(), nullable=False, server_default="0")
    )
