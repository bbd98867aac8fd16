"""Problems that a document has before anything is known of its keys."""

from __future__ import annotations

from backtune.errors import SpecError

# A whole number beyond 64 bits fits no column, no seed and no kernel.
LARGEST_WHOLE = 2**63 - 1
TOO_LARGE = "a whole number of more than 64 bits; write it as 1e30, or correct it"
TOO_DEEP = "is nested too deep to be read"


class RepeatedKeyError(SpecError):
    """Raised when a key stands twice in one mapping.

    Attributes:
        path: dotted path of the key.
        lines: on which it stands, counted from 1.
    """

    def __init__(self, path: str, lines: tuple[int, int], source: str = "") -> None:
        self.path = path
        self.lines = lines
        first, second = lines
        where = f"on lines {first} and {second}" if first != second else f"on line {first}"
        super().__init__(place(source, path), f"stands twice, {where}; keep one, or join the two", value=path)


def place(source: str, path: str) -> str:
    """Return the key under which an error is told: the file, and the dotted path in it."""
    return ": ".join(part for part in (source, path) if part) or "document"


def joined(path: str, part: object) -> str:
    """Return the dotted path of what stands under ``part``."""
    return f"{path}.{part}" if path else str(part)


def shortened(text: str) -> str:
    """Return a text that may be thousands of digits as a message can hold it."""
    return text if len(text) <= 24 else f"{text[:12]}... ({len(text):,} characters)"
