"""The text of an API key.

::

    bt_<key id: 16 hex>_<secret: 64 hex>                               sent as X-API-Key
    bt_<key id: 16 hex>_<secret: 64 hex>.<signing secret: 64 hex>      a key that signs

The part after the dot stays with the client, which signs with it and never sends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_KEY = re.compile(r"bt_([0-9a-f]{16})_([0-9a-f]{64})(?:\.([0-9a-f]{64}))?")


@dataclass(frozen=True)
class ApiKey:
    """An API key, whose representation does not show its secrets.

    Attributes:
        key_id: The public name of the key.
        secret: The 32 random bytes that prove possession of the key.
        signing_secret: The 32 bytes that requests are signed with; None if the key does not sign.
    """

    key_id: str
    secret: bytes = field(repr=False)
    signing_secret: bytes | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> ApiKey | None:
        """Return the key that the text stands for; None if the text is not a key."""
        found = _KEY.fullmatch(text)
        if found is None:
            return None
        key_id, secret, signing = found.groups()
        return cls(key_id, bytes.fromhex(secret), bytes.fromhex(signing) if signing else None)

    @property
    def header_value(self) -> str:
        """The part of the key that is sent with a request."""
        return f"bt_{self.key_id}_{self.secret.hex()}"

    @property
    def full_text(self) -> str:
        """The whole key, for its holder."""
        if self.signing_secret is None:
            return self.header_value
        return f"{self.header_value}.{self.signing_secret.hex()}"
