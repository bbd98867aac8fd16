"""An API key as text. Needs nothing but the standard library: clients import it too.

::

    bt_<key id: 16 hex>_<secret: 64 hex>                               sent as X-API-Key
    bt_<key id: 16 hex>_<secret: 64 hex>.<signing secret: 64 hex>      of a key that signs

What stands after the dot stays with the client: it signs with it, and never sends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_KEY = re.compile(r"bt_([0-9a-f]{16})_([0-9a-f]{64})(?:\.([0-9a-f]{64}))?")


@dataclass(frozen=True)
class KeyText:
    """A key in its parts; shown without its secrets.

    Attributes:
        key_id: names the key, and is no secret.
        secret: 32 random bytes.
        signing_secret: 32 bytes; None where the key does not sign.
    """

    key_id: str
    secret: bytes = field(repr=False)
    signing_secret: bytes | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> KeyText | None:
        """None where the text is no key."""
        found = _KEY.fullmatch(text)
        if found is None:
            return None
        key_id, secret, signing = found.groups()
        return cls(key_id, bytes.fromhex(secret), bytes.fromhex(signing) if signing else None)

    @property
    def sent(self) -> str:
        """What may travel."""
        return f"bt_{self.key_id}_{self.secret.hex()}"

    @property
    def shown(self) -> str:
        """The whole of it, for its holder."""
        return self.sent if self.signing_secret is None else f"{self.sent}.{self.signing_secret.hex()}"
