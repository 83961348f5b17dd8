"""Keep the jobs of large clusters that are not in the simulated queue yet.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "simulated_waiting",
        sa.Column("cluster_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("proc_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ad", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", "proc_id"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("simulated_waiting")
