"""A database as something to be copied and filled, whatever is in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar


class Store(ABC):
    """One database. Others may read and write it at the same time.

    All methods raise :class:`~backtune.errors.BackupError` where the database cannot be used.

    Attributes:
        kind: what backs it; a copy is only ever restored to the same kind.
        suffix: of the file of a copy.
    """

    kind: ClassVar[str]
    suffix: ClassVar[str]

    @property
    @abstractmethod
    def shown(self) -> str:
        """Where it is, without a password."""

    @abstractmethod
    def rows(self) -> dict[str, int]:
        """How many rows each table has; empty where there is no table, or no database yet."""

    @abstractmethod
    def value(self, query: str) -> str | None:
        """The first column of the first row as text; None where there is none."""

    @abstractmethod
    def copy_to(self, file: Path) -> dict[str, int]:
        """Write all of it, as it is at one moment, to a new file.

        Returns:
            the rows of each table in the copy.
        """

    @abstractmethod
    def fill_from(self, file: Path) -> None:
        """Replace all of it by what a copy holds: either that happens, or nothing."""
