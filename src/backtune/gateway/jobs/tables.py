"""The table of jobs, as the migrations leave it."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from backtune.gateway.sql.database import METADATA

JOBS = Table(
    "jobs",
    METADATA,
    # Position in the order of arrival, which pages are cut by.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("request_id", String(64), nullable=False),
    Column("idempotency_key", String(255)),
    Column("body_hash", String(64), nullable=False),
    Column("name", String(80), nullable=False),
    Column("sweep_id", String(80), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    # Set before Ray is asked: a job without it cannot be at Ray.
    Column("submission_id", String(64)),
    Column("is_cancel_requested", Boolean, nullable=False),
    Column("n_lost", Integer, nullable=False),
    # Times are seconds since the epoch.
    Column("created_at", Double, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("message", Text),
    Column("error", Text),
    Column("end", JSON),
    # Targets that were notified of the end, as |name|name|; then the time at which the last one was.
    Column("notified_targets", Text, nullable=False),
    Column("notified_at", Double),
    UniqueConstraint("owner", "idempotency_key", name="one_job_a_key"),
    Index("jobs_by_state", "state"),
    Index("jobs_by_notification", "notified_at"),
)
