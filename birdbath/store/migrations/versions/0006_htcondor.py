"""Keep what a gateway has to remember of the jobs and commits that it gave to a real pool.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and the column."""
    op.create_table(
        "htcondor_pools",
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("pool"),
    )
    op.create_table(
        "htcondor_clusters",
        sa.Column("cluster_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("procs", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("schedd_cluster", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", "pool"),
    )
    op.create_index("ix_htcondor_clusters_schedd_cluster", "htcondor_clusters", ["schedd_cluster"])
    op.create_table(
        "htcondor_commits",
        sa.Column("marker", sa.String(length=64), nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("transaction_id", sa.Integer()),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("marker"),
    )
    op.create_table(
        "htcondor_actions",
        sa.Column("marker", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("proc_id", sa.Integer(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("marker", "position"),
    )
    op.add_column("transactions", sa.Column("committing", sa.String(length=64)))
