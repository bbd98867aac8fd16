"""The tables of jobs and leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "jobs_0001"
down_revision = None
branch_labels = ("jobs",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("id", sa.String(40), nullable=False, unique=True),
        sa.Column("owner", sa.String(64), nullable=False, index=True),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("body_hash", sa.String(64), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("sweep_id", sa.String(80), nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("submission_id", sa.String(64)),
        sa.Column("is_cancel_requested", sa.Boolean, nullable=False),
        sa.Column("n_lost", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("message", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("end", sa.JSON),
        sa.Column("notified_targets", sa.Text, nullable=False),
        sa.Column("notified_at", sa.Double),
        sa.UniqueConstraint("owner", "idempotency_key", name="one_job_a_key"),
        sa.Index("jobs_by_state", "state"),
        sa.Index("jobs_by_notification", "notified_at"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
    )
