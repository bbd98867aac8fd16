"""Words of the importer's notes."""


def count_of(n: int, what: str) -> str:
    """Return a count with its noun, as in ``1 row`` and ``1,234 rows``."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
