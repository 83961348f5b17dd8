"""How long the user logs are that several jobs may write to.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "simulated_user_logs",
        sa.Column("cluster_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("proc_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", "proc_id", "name"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("simulated_user_logs")
