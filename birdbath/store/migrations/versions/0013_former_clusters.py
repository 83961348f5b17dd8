"""When the last job of a cluster in a real pool was found to have left.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: who is in the table is in the queue, as far as is known."""
    op.add_column("htcondor_clusters", sa.Column("left_at", sa.Float()))
    op.create_index("ix_htcondor_clusters_left_at", "htcondor_clusters", ["left_at"])
