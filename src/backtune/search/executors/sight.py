"""What a node has to see before units may run on it: the same data, the same results, the same code as the driver."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from importlib.metadata import version

from backtune.errors import CatalogError, ResultsError
from backtune.results.stored_sweep import StoredSweep
from backtune.search.planning.results_version import shared_results_version
from backtune.spec import SweepSpec
from backtune.storage.files import read_bytes, remove, write_atomically
from backtune.storage.location import Location
from backtune.storage.store import open_store

_MANIFEST, _SWEEP = "manifest.json", "sweep.json"
_clear: set[Sight] = set()


@dataclass(frozen=True)
class Sight:
    """What the driver sees. Small and picklable.

    Attributes:
        data: the data root.
        manifest: SHA-256 of what is in it.
        folder: of the sweep.
        sweep: SHA-256 of its ``sweep.json``.
        version, code: of backtune, as released and as what decides results.
    """

    data: str
    manifest: str
    folder: Location
    sweep: str
    version: str
    code: str

    @classmethod
    def of(cls, spec: SweepSpec, run: StoredSweep) -> Sight:
        """From where the driver is. ``sweep.json`` has to be written.

        Raises:
            CatalogError, ResultsError: it does not see them itself.
        """
        data, folder = spec.data.location, run.folder.resolve()
        manifest, sweep = open_store(data).read(_MANIFEST), read_bytes(folder / _SWEEP)
        return cls(data, _digest(manifest), folder, _digest(sweep), run.version, shared_results_version())

    def problems(self) -> list[str]:
        """What is otherwise on this machine, in words; nothing where all is the same, which is looked at once a process."""
        if self in _clear:
            return []
        problems = [*self._of_code(), *self._of_data(), *self._of_runs()]
        if not problems:
            _clear.add(self)
        return problems

    def _of_code(self) -> list[str]:
        if shared_results_version() == self.code:
            return []
        return [
            f"backtune {version('backtune')} there is not the driver's {self.version}, or another numpy or numba is"
        ]

    def _of_data(self) -> list[str]:
        place = f"data root {self.data}"
        try:
            manifest = open_store(self.data).read(_MANIFEST)
        except CatalogError as error:
            return [f"{place}: {error}"]
        return _compared(place, _MANIFEST, manifest, self.manifest)

    def _of_runs(self) -> list[str]:
        place = f"runs folder {self.folder.parent}"
        try:
            different = _compared(
                place, f"{self.folder.name}/{_SWEEP}", read_bytes(self.folder / _SWEEP), self.sweep
            )
            if not different:
                # A name that the next driver removes, should this one be ended here.
                trial = self.folder / f".{secrets.token_hex(8)}.part"
                write_atomically(trial, lambda _: None)
                remove(trial)
        except (ResultsError, OSError) as error:
            return [f"{place}: {error}"]
        return different


def _compared(place: str, name: str, content: bytes | None, wanted: str) -> list[str]:
    if content is None:
        return [f"{place}: no {name} there"]
    return [] if _digest(content) == wanted else [f"{place}: its {name} is not the one that the driver sees"]


def _digest(content: bytes | None) -> str:
    return hashlib.sha256(content or b"").hexdigest()
