"""The outbox of alerts, and jobs found by their end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "alerts_0001"
down_revision = None
branch_labels = ("alerts",)
depends_on = ("jobs_0001",)


def upgrade() -> None:
    op.create_index("jobs_by_end", "jobs", ["ended_at"])
    op.create_table(
        "alerts",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("target", sa.String(40), nullable=False, index=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("n_tries", sa.Integer, nullable=False),
        sa.Column("message", sa.String(32)),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("sent_at", sa.Double),
        sa.UniqueConstraint("job_id", "attempt", "kind", "target", name="one_alert_a_target"),
    )
    op.create_table(
        "alert_marks",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
    )
