"""Keep what each claim holds, the submitters' accounts, and the lanes of idle jobs.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the table of simulated jobs; add the accounts. Lanes are computed anew by the pool when it
    starts.
    """
    with op.batch_alter_table("simulated_jobs") as table:
        table.alter_column("signature", existing_type=sa.String(length=32), type_=sa.String(length=600))
        table.add_column(sa.Column("submitter", sa.String(length=255), nullable=False, server_default=""))
        for name in ("cpus", "memory", "gpus"):
            table.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("disk", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("claimed_at", sa.Float(), nullable=True))
        table.add_column(sa.Column("claim_rank", sa.Float(), nullable=False, server_default="0"))
        table.add_column(sa.Column("limits", sa.String(length=255), nullable=False, server_default=""))
    with op.batch_alter_table("simulated_pool") as table:
        table.add_column(sa.Column("born", sa.Float(), nullable=False, server_default="0"))
        table.add_column(sa.Column("last_cycle", sa.Float(), nullable=False, server_default="0"))
        table.add_column(sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("rule", sa.String(length=32), nullable=False, server_default=""))
    op.create_table(
        "simulated_submitters",
        sa.Column("name", sa.String(length=255), nullable=False),
        *(
            sa.Column(name, sa.Float(), nullable=False)
            for name in ("priority", "factor", "accumulated", "began_at", "used_at", "updated_at", "in_use")
        ),
        sa.PrimaryKeyConstraint("name"),
    )
