"""The tables of keys, nonces and the audit log, as the migrations leave them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, String, Table, Text

from backtune.gateway.records.tables import METADATA

KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("role", String(16), nullable=False),
    Column("signing", String(10), nullable=False),
    Column("rate", String(120)),
    # Counts rotations.
    Column("generation", Integer, nullable=False),
    Column("secret_hash", LargeBinary(32), nullable=False),
    # Of the secret before the latest rotation, which holds a while longer.
    Column("previous_hash", LargeBinary(32)),
    Column("previous_until", Double),
    # Times are seconds since the epoch.
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("last_used_at", Double),
)

NONCES = Table(
    "nonces",
    METADATA,
    Column("key_id", String(16), primary_key=True),
    Column("nonce", String(64), primary_key=True),
    Column("expires_at", Double, nullable=False, index=True),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("entry", Text, nullable=False),
    Column("digest", String(64), nullable=False),
)
