"""Keep which jobs are still to be removed because another one ended.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "simulated_removals",
        sa.Column("cluster_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("proc_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("requirements", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Float()),
        sa.Column("last_cluster", sa.Integer(), nullable=False),
        sa.Column("seen_cluster", sa.Integer(), nullable=False),
        sa.Column("seen_proc", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", "proc_id"),
    )
    op.create_index("simulated_removals_due", "simulated_removals", ["due_at"])
    op.create_index("simulated_removals_of", "simulated_removals", ["owner", "cluster_id", "proc_id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("simulated_removals")
