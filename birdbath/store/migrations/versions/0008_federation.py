"""Keep the pools' numbers in the federation, its clusters and its commits under way.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "federation_pools",
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "federation_clusters",
        sa.Column("cluster_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("pool_cluster_id", sa.Integer(), nullable=False),
        sa.Column("mark", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id"),
    )
    op.create_table(
        "federation_commits",
        sa.Column("transaction_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("pool_transaction_id", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(length=255)),
        sa.Column("mark", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("transaction_id"),
        sa.UniqueConstraint("mark"),
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("federation_commits", "federation_clusters", "federation_pools"):
        op.drop_table(name)
