"""A backup: a folder with a file for each database, and a manifest with what each must be."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from backtune.backup.store import Store
from backtune.errors import BackupError
from backtune.storage.files import names_in, read_json, write_json

_MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_OWNERS_ALONE: Final = 0o700
# A gateway that works on its records renews its lease every second.
_BEAT_SECONDS: Final = 2.5
_BEATS: Final = "SELECT sum(beat) FROM leases"


@dataclass(frozen=True)
class Copy:
    """Of one database.

    Attributes:
        kind: of the database.
        file: name of it in the backup's folder.
        bytes, sha256: of the file.
        rows: of each table.
    """

    kind: str
    file: str
    bytes: int
    sha256: str
    rows: dict[str, int]


@dataclass(frozen=True)
class Backup:
    """A whole one.

    Attributes:
        folder: where it is.
        version: of backtune that made it.
        made_at: when, in UTC.
        copies: by what they are of.
    """

    folder: Path
    version: str
    made_at: str
    copies: dict[str, Copy]

    @classmethod
    def make(cls, folder: Path, stores: Mapping[str, Store]) -> Backup:
        """Copy databases to a folder, which is there when all of it is.

        Args:
            folder: must not be there, or be empty.

        Raises:
            BackupError: a database or the folder cannot be used.
            ResultsError: the manifest cannot be written.
        """
        if names_in(folder):
            raise BackupError(f"{folder}: is not empty; a backup gets a folder of its own")
        # Beside it, for its owner alone: the records hold what keys are checked with.
        made = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.part"
        try:
            made.mkdir(mode=_OWNERS_ALONE, parents=True)
            copies = {name: _copy(store, made, name) for name, store in stores.items()}
            made_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            content = {"format": _FORMAT, "version": version("backtune"), "made_at": made_at}
            write_json(
                made / _MANIFEST, {**content, "copies": {name: asdict(one) for name, one in copies.items()}}
            )
            made.replace(folder)
        except OSError as error:
            raise BackupError(f"{folder}: cannot be written: {error.strerror or error}") from error
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return cls(folder, version("backtune"), made_at, copies)

    @classmethod
    def open(cls, folder: Path) -> Backup:
        """Read a backup, and look at every byte of it.

        Raises:
            BackupError: it is not there or not whole.
            ResultsError: its manifest cannot be read.
        """
        content = read_json(folder / _MANIFEST)
        if content is None:
            raise BackupError(f"{folder}: no backup here (no {_MANIFEST})")
        if content.get("format") != _FORMAT:
            raise BackupError(f"{folder}: is of another version of backtune ({content.get('version')})")
        copies = {name: Copy(**one) for name, one in content["copies"].items()}
        for copy in copies.values():
            _check(folder / copy.file, copy)
        return cls(folder, content["version"], content["made_at"], copies)

    def check(self, stores: Mapping[str, Store], *, overwrite: bool = False) -> None:
        """Look whether databases may be filled from it.

        Args:
            stores: those to be filled; what else the backup holds stays where it is.
            overwrite: whether one with tables may be replaced.

        Raises:
            BackupError: one is not of the backup, of another kind, in use or not empty.
        """
        for name, store in stores.items():
            self._check_target(name, store, overwrite=overwrite)

    def restore(self, stores: Mapping[str, Store]) -> None:
        """Replace all that is in databases; :meth:`check` says whether that may be.

        Raises:
            BackupError: one cannot be filled, or is written to by others meanwhile.
        """
        for name, store in stores.items():
            copy = self.copies[name]
            store.fill_from(self.folder / copy.file)
            rows = store.rows()
            if rows != copy.rows:
                raise BackupError(f"{store.shown}: is not as the backup: something else writes to it")

    def _check_target(self, name: str, store: Store, *, overwrite: bool) -> None:
        copy = self.copies.get(name)
        if copy is None:
            raise BackupError(f"{self.folder}: holds {', '.join(self.copies)}, and no {name}")
        if copy.kind != store.kind:
            raise BackupError(f"{store.shown}: is {store.kind}, and the copy of the {name} is of {copy.kind}")
        rows = store.rows()
        if not rows:
            return
        if not overwrite:
            raise BackupError(
                f"{store.shown}: is not empty ({len(rows)} tables, {sum(rows.values()):,} rows); "
                "--overwrite replaces what is there"
            )
        if "leases" in rows and _is_kept(store):
            raise BackupError(f"{store.shown}: a gateway works on it; stop it first")


def _copy(store: Store, folder: Path, name: str) -> Copy:
    file = folder / f"{name}{store.suffix}"
    rows = store.copy_to(file)
    if not rows:
        raise BackupError(f"{store.shown}: has no tables; there is nothing to copy")
    with file.open("rb") as content:
        os.fsync(content.fileno())
    return Copy(store.kind, file.name, file.stat().st_size, _sha256(file), rows)


def _check(file: Path, copy: Copy) -> None:
    try:
        found = _sha256(file)
    except OSError as error:
        raise BackupError(f"{file}: cannot be read: {error.strerror}") from error
    if found != copy.sha256:
        raise BackupError(f"{file}: is not what was written: its SHA-256 is not the manifest's")


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _is_kept(records: Store) -> bool:
    before = records.value(_BEATS)
    if before is None:
        return False
    time.sleep(_BEAT_SECONDS)
    return records.value(_BEATS) != before
