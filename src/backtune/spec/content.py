"""The hash of plain data that content ids are made of."""

from __future__ import annotations

import hashlib
import json


def hash_content(content: object) -> str:
    """Return the SHA-256 of the canonical JSON of plain data."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
