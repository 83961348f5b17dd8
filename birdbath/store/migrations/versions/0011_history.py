"""Find the jobs that have left the queue in the order in which they left.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index(
        "jobs_left",
        "jobs",
        ["version"],
        sqlite_where=sa.text("in_queue = 0"),
        postgresql_where=sa.text("NOT in_queue"),
    )
