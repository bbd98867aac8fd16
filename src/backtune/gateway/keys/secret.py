"""The secret of a gateway, from which all its other secrets are derived. The only door to cryptography."""

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
_OWNER_ONLY: Final = 0o600


class GatewaySecret:
    """The secret of a gateway, held in memory. Gateways on one database need the same one."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def open(cls, folder: Path, environment: MutableMapping[str, str] | None = None) -> GatewaySecret:
        """Return the secret from the environment, else from a file in the gateway's folder, which is created if missing.

        The variable is removed from the environment, so that programs started by the gateway do not have it.

        Raises:
            SpecError: The secret is too short, or others may read or write its file.
        """
        text = (os.environ if environment is None else environment).pop(VARIABLE, None)
        if text is not None:
            if len(text) < _BYTES:
                raise SpecError(VARIABLE, f"must have at least {_BYTES} characters")
            return cls(text.encode())
        return cls(_read_file(folder / _FILE))

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose, which reveal nothing of the secret or of other purposes (HKDF, RFC 5869)."""
        return HKDF(SHA256(), _BYTES, salt=None, info=f"backtune/{purpose}".encode()).derive(self._secret)


def _read_file(path: Path) -> bytes:
    try:
        if not path.exists():
            _create_file(path)
        mode = path.stat().st_mode
        if stat.S_IMODE(mode) & ~_OWNER_ONLY:
            raise SpecError(str(path), "may be read or written by others; chmod it to 600")
        secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise SpecError(str(path), f"cannot be used as the gateway's secret: {error}") from error
    if len(secret) < _BYTES:
        raise SpecError(str(path), f"must hold at least {_BYTES} bytes in hex")
    return secret


def _create_file(path: Path) -> None:
    """Create the file at once with its content; if another gateway does the same, the first file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)
