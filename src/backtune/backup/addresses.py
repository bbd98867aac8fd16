"""From the address of a database to its store."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backtune.backup.postgresql import PostgresStore
from backtune.backup.sqlite import SqliteStore
from backtune.backup.store import Store
from backtune.errors import SpecError

_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql://", "postgresql+psycopg://", "postgresql+psycopg2://")


def open_store(option: str, url: str) -> Store:
    """The store at an address, such as ``sqlite:////srv/jobs.db`` or ``postgresql+psycopg://user@host/name``.

    Args:
        option: where the address came from, for the error.

    Raises:
        SpecError: it is no database that can be copied.
    """
    path = url.removeprefix(_SQLITE)
    if path != url and path and not path.startswith(":") and "?" not in path:
        return SqliteStore(Path(path))
    if url.startswith(_POSTGRESQL):
        return PostgresStore(url)
    if url.startswith(("http://", "https://")):
        raise SpecError(option, "is a server's; give the address of the database behind it", value=url)
    # Without its rest, where a password may be.
    raise SpecError(
        option,
        "is no database that can be copied",
        value=url.split("://", maxsplit=1)[0],
        allowed=("sqlite:///PATH", "postgresql://USER@HOST/NAME"),
    )
