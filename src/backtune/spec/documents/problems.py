"""Problems of a document that are found before its keys are known."""

from __future__ import annotations

from backtune.errors import SpecError

# A whole number beyond 64 bits fits no column, no seed and no kernel.
LARGEST_WHOLE = 2**63 - 1
TOO_LARGE = "a whole number of more than 64 bits; write it as 1e30, or correct it"
TOO_DEEP = "is nested too deep to be read"


class RepeatedKeyError(SpecError):
    """Raised when a key stands twice in one mapping.

    Attributes:
        path: The dotted path of the key.
        lines: The two lines of the key, counted from 1.
    """

    def __init__(self, path: str, lines: tuple[int, int], source: str = "") -> None:
        self.path = path
        self.lines = lines
        first, second = lines
        where = f"on lines {first} and {second}" if first != second else f"on line {first}"
        super().__init__(
            format_place(source, path), f"stands twice, {where}; keep one, or join the two", value=path
        )


def format_place(source: str, path: str) -> str:
    """Return the key of an error: the file, and the dotted path in it."""
    return ": ".join(part for part in (source, path) if part) or "document"


def join_path(path: str, part: object) -> str:
    """Return the dotted path of a part of a value."""
    return f"{path}.{part}" if path else str(part)


def shorten(text: str) -> str:
    """Return a text that may have thousands of digits in a length that a message can hold."""
    return text if len(text) <= 24 else f"{text[:12]}... ({len(text):,} characters)"
