"""The address of a gateway, and the key that opens it."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

from backtune.errors import SpecError
from backtune.wire.api_key import ApiKey
from backtune.wire.protocol import API_PREFIX
from backtune.wire.signature import KEY_HEADER, make_auth_headers, make_auth_message

AGENT: Final = f"backtune/{version('backtune')}"

_KEY_PREFIX: Final = "bt_"


@dataclass(frozen=True)
class Address:
    """The address of one gateway.

    Attributes:
        base: URL of the API, without a slash at its end.
        key: Key of the user; None for a gateway that asks for no key.
    """

    base: str
    key: ApiKey | str | None = field(repr=False)

    @classmethod
    def of(cls, api_base: str, api_key: str | None) -> Address:
        """Return the address that a user gives.

        Args:
            api_base: URL of the gateway, with or without the path of the API.
            api_key: Key as ``backtune keys create`` printed it.

        Raises:
            SpecError: The URL is none of HTTP, or the key is not whole.
        """
        parts = urlsplit(api_base)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise SpecError(
                "api_base",
                "must be a URL such as https://gateway.example.com",
                value=api_base,
                allowed=("http://HOST:PORT", "https://HOST"),
            )
        path = parts.path.rstrip("/")
        base = f"{parts.scheme}://{parts.netloc}{path if path.endswith(API_PREFIX) else path + API_PREFIX}"
        key = ApiKey.parse(api_key) if api_key else None
        is_header = api_key is None or (api_key.isascii() and api_key.isprintable() and " " not in api_key)
        if api_key and key is None and (api_key.startswith(_KEY_PREFIX) or not is_header):
            # The message leaves the value out, because a part of it may be right.
            raise SpecError("api_key", "is not a whole key as `backtune keys create` printed it")
        return cls(base, key or api_key or None)

    @property
    def socket(self) -> str:
        """URL of the socket."""
        return f"ws{self.base.removeprefix('http')}/ws"

    def headers(self, method: str, path: str, query: str, body: bytes) -> dict[str, str]:
        """Return the headers that authenticate one try of a request, with a new signature where the key signs."""
        if isinstance(self.key, ApiKey):
            return make_auth_headers(self.key, method, path, query, body)
        return {KEY_HEADER: self.key} if self.key else {}

    def first_message(self) -> dict[str, str]:
        """Return the message that authenticates a socket."""
        if isinstance(self.key, ApiKey):
            return make_auth_message(self.key)
        return {"type": "auth", "api_key": self.key or ""}
