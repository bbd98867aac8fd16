"""A SQLite file, copied by SQLite's own backup interface."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar, Final

from backtune.backup.store import Store
from backtune.errors import BackupError

_BUSY_SECONDS: Final = 30.0


class SqliteStore(Store):
    """A database in a file.

    Args:
        path: of the file, which may not be there yet.
    """

    kind: ClassVar[str] = "sqlite"
    suffix: ClassVar[str] = ".db"

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def shown(self) -> str:
        return str(self._path)

    def rows(self) -> dict[str, int]:
        if not self._path.exists():
            return {}
        with _opened(self._path, "rw") as database:
            return _rows(database)

    def value(self, query: str) -> str | None:
        with _opened(self._path, "rw") as database:
            row = database.execute(query).fetchone()
        return None if row is None or row[0] is None else str(row[0])

    def copy_to(self, file: Path) -> dict[str, int]:
        with _opened(self._path, "rw") as source, _opened(file, "rwc") as target:
            # In one step: a copy in several would begin again with every write of another process.
            source.backup(target)
            # One file, that needs no other beside it.
            target.execute("PRAGMA journal_mode=DELETE")
            _check(target, file)
            return _rows(target)

    def fill_from(self, file: Path) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(file, "ro") as source:
            _check(source, file)
            # Into the file as it stands, in one transaction: whoever has it open sees the one or the other.
            with _opened(self._path, "rwc") as target:
                source.backup(target)


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    try:
        address = f"{path.resolve().as_uri()}?mode={mode}"
        with closing(
            sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        ) as database:
            yield database
    except sqlite3.Error as error:
        raise BackupError(f"{path}: {error}") from error


def _rows(database: sqlite3.Connection) -> dict[str, int]:
    tables = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()
    quoted = {name: name.replace('"', '""') for (name,) in tables}
    return {
        name: database.execute(f'SELECT count(*) FROM "{text}"').fetchone()[0]  # noqa: S608
        for name, text in quoted.items()
    }


def _check(database: sqlite3.Connection, path: Path) -> None:
    (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise BackupError(f"{path}: is damaged: {found}")
