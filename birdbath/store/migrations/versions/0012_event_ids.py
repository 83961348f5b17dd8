"""Store no ids of events: they are derived from the sequence numbers.

Their index, in no order, was what an event cost most in a long log.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the column; in SQLite let the sequence number be the row's own."""
    with op.batch_alter_table("events") as table:
        table.drop_column("id")
        if op.get_bind().dialect.name == "sqlite":
            table.alter_column("sequence", existing_type=sa.BigInteger(), type_=sa.Integer())
