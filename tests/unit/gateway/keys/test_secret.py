"""The gateway's secret: where it comes from, who may read it, and what is derived from it."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from backtune.errors import SpecError
from backtune.gateway.keys.secret import VARIABLE, GatewaySecret

TEXT = "0123456789" * 4


@pytest.fixture
def private(tmp_path):
    """A folder for one gateway's files."""
    return tmp_path / ".gateway"


def test_a_file_is_made_once_for_its_owner_alone(private):
    first = GatewaySecret.open(private, {})
    assert stat.S_IMODE((private / "secret").stat().st_mode) == 0o600
    assert [path.name for path in private.iterdir()] == ["secret"]
    assert GatewaySecret.open(private, {}).derive("x") == first.derive("x")


def test_many_that_start_at_once_have_one_secret(private):
    with ThreadPoolExecutor(16) as pool:
        derived = list(pool.map(lambda _: GatewaySecret.open(private, {}).derive("x"), range(64)))
    assert len(set(derived)) == 1


def test_the_environment_comes_first_and_is_emptied_of_it(private):
    environment = {VARIABLE: TEXT, "OTHER": "1"}
    secret = GatewaySecret.open(private, environment)
    assert environment == {"OTHER": "1"}
    assert not private.exists()
    assert secret.derive("x") == GatewaySecret(TEXT.encode()).derive("x")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o700])
def test_a_file_that_others_may_use_is_refused(private, mode):
    GatewaySecret.open(private, {})
    (private / "secret").chmod(mode)
    with pytest.raises(SpecError, match="chmod it to 600"):
        GatewaySecret.open(private, {})


@pytest.mark.parametrize("content", [b"", b"abc", b"xyz" * 30, b"00" * 31, b"\xff" * 64])
def test_a_file_without_a_whole_secret_is_refused(private, content):
    GatewaySecret.open(private, {})
    (private / "secret").write_bytes(content)
    with pytest.raises(SpecError, match="secret"):
        GatewaySecret.open(private, {})


def test_a_short_secret_is_refused_without_being_told(private):
    with pytest.raises(SpecError, match="at least 32 characters") as caught:
        GatewaySecret.open(private, {VARIABLE: "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_purposes_have_keys_of_their_own():
    # HKDF-SHA256 of RFC 5869, by hand: extract without a salt, then one block.
    import hashlib
    import hmac

    secret = bytes(range(40))
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    expected = hmac.new(extracted, b"backtune/pepper\x01", hashlib.sha256).digest()
    assert GatewaySecret(secret).derive("pepper") == expected
    derived = {
        GatewaySecret(secret).derive(purpose) for purpose in ("pepper", "audit", "signing/a/1", "signing/a/2")
    }
    assert len(derived) == 4
