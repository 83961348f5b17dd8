"""Create every table.

Revision ID: 0001
Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build the schema that `store.tables` describes."""
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "transactions",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("account", sa.String(length=255), nullable=True),
        sa.Column("duration", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("active_cluster", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_transactions_expires_at", "transactions", ["expires_at"])
    op.create_table(
        "staged_clusters",
        sa.Column("cluster_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("transaction_id", sa.Integer(), nullable=False),
        sa.Column("next_proc", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id"),
    )
    op.create_index("ix_staged_clusters_transaction_id", "staged_clusters", ["transaction_id"])
    op.create_table(
        "staged_jobs",
        sa.Column("cluster_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("proc_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("transaction_id", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("ad", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", "proc_id"),
    )
    op.create_index("ix_staged_jobs_transaction_id", "staged_jobs", ["transaction_id"])
    op.create_table(
        "staged_files",
        sa.Column("cluster_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("proc_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("hash_type", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=True),
        sa.Column("ranges", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", "proc_id", "name"),
    )
    op.create_table(
        "staged_actions",
        sa.Column("transaction_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("proc_id", sa.Integer(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", "position"),
    )
    op.create_table(
        "jobs",
        sa.Column("cluster_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("proc_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("in_queue", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("ad", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", "proc_id"),
        sa.UniqueConstraint("version"),
    )
    op.create_index(
        "jobs_queued",
        "jobs",
        ["version"],
        sqlite_where=sa.text("in_queue = 1"),
        postgresql_where=sa.text("in_queue"),
    )
    op.create_table(
        "simulated_jobs",
        sa.Column("cluster_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("proc_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("signature", sa.String(length=32), nullable=True),
        sa.Column("precedence", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.String(length=255), nullable=True),
        sa.Column("phase", sa.String(length=16), nullable=True),
        sa.Column("due_at", sa.Float(), nullable=True),
        sa.Column("ends_at", sa.Float(), nullable=True),
        sa.Column("progress", sa.BigInteger(), nullable=False),
        sa.Column("next_policy_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("cluster_id", "proc_id"),
        sa.UniqueConstraint("slot"),
    )
    op.create_index("simulated_jobs_due", "simulated_jobs", ["due_at"])
    op.create_index(
        "simulated_jobs_idle", "simulated_jobs", ["signature", "precedence", "cluster_id", "proc_id"]
    )
    op.create_index("simulated_jobs_policy", "simulated_jobs", ["next_policy_at"])
    op.create_table(
        "daemon_ads",
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("ad", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key"),
        sa.UniqueConstraint("version"),
    )
    op.create_table(
        "events",
        sa.Column("sequence", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("proc_id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("ad", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("events_by_job", "events", ["cluster_id", "proc_id"])


def downgrade() -> None:
    """Drop every table."""
    for table in (
        "events",
        "daemon_ads",
        "simulated_jobs",
        "jobs",
        "staged_actions",
        "staged_files",
        "staged_jobs",
        "staged_clusters",
        "transactions",
        "counters",
    ):
        op.drop_table(table)
