"""Where in a real schedd's cluster the procs of a client's begin.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: so far each had a cluster of its own."""
    op.add_column(
        "htcondor_clusters", sa.Column("first_proc", sa.Integer(), nullable=False, server_default="0")
    )
