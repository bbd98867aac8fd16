"""What is signed of a request, and how. Needs nothing but the standard library: clients import it too.

The signature is HMAC-SHA256, in hex, under the key's signing secret, over these seven lines joined by newlines::

    backtune-v1
    the timestamp       X-Timestamp: seconds since the epoch, whole
    the nonce           X-Nonce: 16 to 64 of A-Z a-z 0-9 _ -, never used before with this key
    the method          in capitals
    the path            as sent, percent-encoded, without the query
    the query           as sent, without the question mark; empty where there is none
    the body's SHA-256  in hex; of no bytes where there is none
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import Final

from backtune.gateway.security.key_text import KeyText

KEY_HEADER: Final = "X-API-Key"
TIMESTAMP_HEADER: Final = "X-Timestamp"
NONCE_HEADER: Final = "X-Nonce"
SIGNATURE_HEADER: Final = "X-Signature"

# A socket's first message carries no method, path, query or body of its own.
SOCKET_METHOD: Final = "SOCKET"
SOCKET_PATH: Final = "/ws"

TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")

_VERSION: Final = "backtune-v1"


@dataclass(frozen=True)
class SignedParts:
    """What a signature covers."""

    timestamp: str
    nonce: str
    method: str
    path: str
    query: str = ""
    body: bytes = b""

    @property
    def canonical(self) -> bytes:
        """The text that is signed. No part but the body can hold a newline, and that is hashed."""
        digest = hashlib.sha256(self.body).hexdigest()
        parts = (_VERSION, self.timestamp, self.nonce, self.method.upper(), self.path, self.query, digest)
        return "\n".join(parts).encode("latin-1")

    def sign(self, signing_secret: bytes) -> str:
        """The signature in hex."""
        return hmac.new(signing_secret, self.canonical, hashlib.sha256).hexdigest()

    def is_signed(self, signing_secret: bytes, signature: str) -> bool:
        """Whether that is the signature; takes as long whichever digit is wrong."""
        return hmac.compare_digest(self.sign(signing_secret), signature)


def request_headers(
    key: KeyText, method: str, path: str, query: str = "", body: bytes = b"", *, now: float | None = None
) -> dict[str, str]:
    """The headers that a request is let in with: signed where the key signs.

    Args:
        path, query: as they are sent, percent-encoded.
        now: seconds since the epoch, for a clock other than this machine's.
    """
    headers = {KEY_HEADER: key.sent}
    if key.signing_secret is not None:
        parts = SignedParts(*_fresh(now), method, path, query, body)
        headers |= {
            TIMESTAMP_HEADER: parts.timestamp,
            NONCE_HEADER: parts.nonce,
            SIGNATURE_HEADER: parts.sign(key.signing_secret),
        }
    return headers


def socket_message(key: KeyText, *, now: float | None = None) -> dict[str, str]:
    """The first message on a socket: signed where the key signs."""
    message = {"type": "auth", "api_key": key.sent}
    if key.signing_secret is not None:
        parts = SignedParts(*_fresh(now), SOCKET_METHOD, SOCKET_PATH)
        message |= {
            "timestamp": parts.timestamp,
            "nonce": parts.nonce,
            "signature": parts.sign(key.signing_secret),
        }
    return message


def _fresh(now: float | None) -> tuple[str, str]:
    """A timestamp, and a nonce."""
    return str(int(time.time() if now is None else now)), secrets.token_hex(16)
