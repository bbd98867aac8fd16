"""The signature of a request.

It is HMAC-SHA256, in hex, under the key's signing secret, over these seven lines joined by newlines::

    backtune-v1
    the timestamp       X-Timestamp: seconds since the epoch, an integer
    the nonce           X-Nonce: 16 to 64 of A-Z a-z 0-9 _ -, never used before with this key
    the method          in capitals
    the path            as sent, percent-encoded, without the query
    the query           as sent, without the question mark; empty if there is none
    the body's SHA-256  in hex; that of no bytes if there is no body
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import Final

from backtune.wire.api_key import ApiKey

KEY_HEADER: Final = "X-API-Key"
TIMESTAMP_HEADER: Final = "X-Timestamp"
NONCE_HEADER: Final = "X-Nonce"
SIGNATURE_HEADER: Final = "X-Signature"

# The first message on a socket has no method, path, query or body of its own.
SOCKET_METHOD: Final = "SOCKET"
SOCKET_PATH: Final = "/ws"

TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")

_VERSION: Final = "backtune-v1"


@dataclass(frozen=True)
class SignedContent:
    """The content that a signature covers."""

    timestamp: str
    nonce: str
    method: str
    path: str
    query: str = ""
    body: bytes = b""

    @property
    def canonical_text(self) -> bytes:
        """The text that is signed; only the body could hold a newline, and the body is hashed."""
        digest = hashlib.sha256(self.body).hexdigest()
        lines = (_VERSION, self.timestamp, self.nonce, self.method.upper(), self.path, self.query, digest)
        return "\n".join(lines).encode("latin-1")

    def sign(self, signing_secret: bytes) -> str:
        """Return the signature in hex."""
        return hmac.new(signing_secret, self.canonical_text, hashlib.sha256).hexdigest()

    def is_signature(self, signing_secret: bytes, signature: str) -> bool:
        """Return whether this is the signature; the comparison takes as long whichever digit is wrong."""
        return hmac.compare_digest(self.sign(signing_secret), signature)


def make_auth_headers(
    key: ApiKey, method: str, path: str, query: str = "", body: bytes = b"", *, now: float | None = None
) -> dict[str, str]:
    """Return the headers that authenticate a request, with a signature if the key signs.

    Args:
        key: The client's key.
        method: The HTTP method.
        path: The path as it is sent, percent-encoded.
        query: The query as it is sent, percent-encoded.
        body: The body as it is sent.
        now: The time in seconds since the epoch; None for this machine's clock.
    """
    headers = {KEY_HEADER: key.header_value}
    if key.signing_secret is not None:
        content = SignedContent(*_make_timestamp_and_nonce(now), method, path, query, body)
        headers |= {
            TIMESTAMP_HEADER: content.timestamp,
            NONCE_HEADER: content.nonce,
            SIGNATURE_HEADER: content.sign(key.signing_secret),
        }
    return headers


def make_auth_message(key: ApiKey, *, now: float | None = None) -> dict[str, str]:
    """Return the first message on a socket, with a signature if the key signs."""
    message = {"type": "auth", "api_key": key.header_value}
    if key.signing_secret is not None:
        content = SignedContent(*_make_timestamp_and_nonce(now), SOCKET_METHOD, SOCKET_PATH)
        message |= {
            "timestamp": content.timestamp,
            "nonce": content.nonce,
            "signature": content.sign(key.signing_secret),
        }
    return message


def _make_timestamp_and_nonce(now: float | None) -> tuple[str, str]:
    return str(int(time.time() if now is None else now)), secrets.token_hex(16)
