"""Keys in real databases: made, rotated, revoked; and what is kept of them."""

import pytest
from sqlalchemy import text

from backtune.errors import SpecError
from backtune.gateway.keys.records import KeyRecords
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.keys.service import KeyService

SECRET = GatewaySecret(b"s" * 32)


@pytest.fixture
def keys(database, clock) -> KeyService:
    return KeyService(KeyRecords(database), SECRET, clock)


def test_a_key_is_known_again_by_its_secret_alone(keys, database):
    record, shown = keys.create("trader", name="desk 1", expires_seconds=60)
    assert keys.list_all() == [record]
    assert keys.find_generation(record, shown.secret) == 1
    assert (record.role, record.name, record.expires_at - record.created_at) == ("trader", "desk 1", 60)
    for wrong in (bytes(32), shown.secret[:-1] + bytes([shown.secret[-1] ^ 1]), b"", shown.secret + b"0"):
        assert keys.find_generation(record, wrong) is None
    other = KeyService(KeyRecords(database), GatewaySecret(b"t" * 32))
    assert other.find_generation(record, shown.secret) is None


def test_nothing_that_is_kept_is_a_secret(keys, database):
    shown = [keys.create(role, signing="required")[1] for role in ("viewer", "admin")]
    with database.begin_read() as connection:
        kept = str(connection.execute(text("SELECT * FROM api_keys")).all()).encode()
        blobs = b"".join(connection.execute(text("SELECT secret_hash FROM api_keys")).scalars())
    for key in shown:
        for secret in (key.secret, key.signing_secret):
            assert secret not in blobs
            assert secret.hex().encode() not in kept


def test_secrets_are_never_the_same(keys):
    made = [keys.create("viewer", signing="optional")[1] for _ in range(20)]
    for part in ("key_id", "secret", "signing_secret"):
        assert len({getattr(key, part) for key in made}) == 20


def test_a_rotated_key_has_two_secrets_for_a_while(keys, clock):
    record, before = keys.create("trader", signing="required")
    rotated, after = keys.rotate(record.id, grace_seconds=100)
    assert [rotated] == keys.list_all()
    assert (rotated.id, rotated.role, rotated.created_at) == (record.id, "trader", record.created_at)
    assert keys.find_generation(rotated, after.secret) == 2
    assert keys.find_generation(rotated, before.secret) == 1
    assert keys.derive_signing_secret(record.id, 1) == before.signing_secret != after.signing_secret
    assert keys.derive_signing_secret(record.id, 2) == after.signing_secret
    clock.now += 100
    assert keys.find_generation(rotated, before.secret) is None
    assert keys.find_generation(rotated, after.secret) == 2
    again, _ = keys.rotate(record.id, grace_seconds=0)
    assert keys.find_generation(again, after.secret) is None


@pytest.mark.parametrize(
    ("seconds", "revoked", "state"),
    [(None, False, "active"), (60, False, "active"), (10, False, "expired"), (None, True, "revoked"), (10, True, "revoked")],
)  # fmt: skip
def test_states(keys, clock, seconds, revoked, state):
    record, _ = keys.create("viewer", expires_seconds=seconds)
    if revoked:
        keys.revoke(record.id)
    clock.now += 10
    assert keys.list_all()[0].state(clock.now) == state


@pytest.mark.parametrize("change", ["revoke", "rotate"])
def test_what_holds_no_more_cannot_be_changed(keys, clock, change):
    gone, _ = keys.create("viewer")
    keys.revoke(gone.id)
    old, _ = keys.create("viewer", expires_seconds=1)
    left, _ = keys.create("viewer")
    clock.now += 1
    for key_id, told in ((gone.id, "is revoked"), (old.id, "is expired"), ("0" * 16, left.id)):
        with pytest.raises(SpecError, match=told):
            keys.revoke(key_id) if change == "revoke" else keys.rotate(key_id, 0)


def test_two_rotations_at_once_cannot_both_succeed(keys, database):
    record, _ = keys.create("viewer")
    records = KeyRecords(database)
    assert records.rotate(record, b"1" * 32, 0.0)
    assert not records.rotate(record, b"2" * 32, 0.0)
    assert records.list_all()[0].secret_hash == b"1" * 32
