"""Keep the simulated pool's own time, and the programs that it runs on the submit machine.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables of the pool's state and of its hosted programs."""
    op.create_table(
        "simulated_pool",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("cycle_at", sa.Float(), nullable=True),
        sa.Column("clock", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "simulated_programs",
        sa.Column("cluster_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("proc_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("wake_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("cluster_id", "proc_id"),
    )
    op.create_table(
        "simulated_notices",
        sa.Column("sequence", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
    )
    op.create_index("simulated_notices_of", "simulated_notices", ["cluster_id", "sequence"])
