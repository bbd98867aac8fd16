"""The one secret of a gateway, from which all others are derived. The only door to cryptography."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backtune.errors import SpecError

VARIABLE: Final = "BACKTUNE_GATEWAY_SECRET"
_FILE: Final = "secret"
_BYTES: Final = 32
_OWNERS_ALONE: Final = 0o600


class GatewaySecret:
    """Held in memory; gateways on one database need the same.

    Args:
        secret: at least 32 bytes that nobody can guess.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def open(cls, folder: Path, environment: MutableMapping[str, str] | None = None) -> GatewaySecret:
        """From the environment, else from a file in the gateway's folder, which is made at first.

        The variable is taken out of the environment, so that what is started from here does not have it.

        Raises:
            SpecError: the secret is too short, or others may read or write its file.
        """
        given = (os.environ if environment is None else environment).pop(VARIABLE, None)
        if given is not None:
            if len(given) < _BYTES:
                raise SpecError(VARIABLE, f"must have at least {_BYTES} characters")
            return cls(given.encode())
        return cls(_from_file(folder / _FILE))

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose, which tell nothing of the secret or of another purpose's (HKDF, RFC 5869)."""
        return HKDF(SHA256(), _BYTES, salt=None, info=f"backtune/{purpose}".encode()).derive(self._secret)


def _from_file(path: Path) -> bytes:
    try:
        if not path.exists():
            _make(path)
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & ~_OWNERS_ALONE:
            raise SpecError(str(path), "may be read or written by others; chmod it to 600")
        secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise SpecError(str(path), f"cannot be used as the gateway's secret: {error}") from error
    if len(secret) < _BYTES:
        raise SpecError(str(path), f"must hold at least {_BYTES} bytes in hex")
    return secret


def _make(path: Path) -> None:
    """Another gateway may be doing the same: the first one's stays, and nobody reads a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNERS_ALONE), "w") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)
