"""The check that a node has the same data, results and code as the driver, before units run on it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from importlib.metadata import version

from backtune.errors import CatalogError, ResultsError
from backtune.results.stored_sweep import StoredSweep
from backtune.search.planning.results_version import shared_results_version
from backtune.spec import SweepSpec
from backtune.storage.files import read_bytes, remove_file, write_bytes
from backtune.storage.location import Location
from backtune.storage.storage import open_storage

_MANIFEST, _SWEEP = "manifest.json", "sweep.json"
_passed: set[NodeCheck] = set()


@dataclass(frozen=True)
class NodeCheck:
    """The data, results and code that a node must share with the driver. Small and picklable.

    Attributes:
        data: The data root.
        manifest: The SHA-256 of the manifest in it.
        folder: The folder of the sweep.
        sweep: The SHA-256 of its ``sweep.json``.
        version: The version of backtune.
        code: The results version that all studies share.
    """

    data: str
    manifest: str
    folder: Location
    sweep: str
    version: str
    code: str

    @classmethod
    def from_driver(cls, spec: SweepSpec, run: StoredSweep) -> NodeCheck:
        """Return the check against this process, the driver, which has written ``sweep.json``.

        Raises:
            CatalogError: The driver cannot read the data.
            ResultsError: The driver cannot read the results.
        """
        data, folder = spec.data.location, run.folder.resolve()
        manifest, sweep = open_storage(data).read(_MANIFEST), read_bytes(folder / _SWEEP)
        return cls(data, _digest(manifest), folder, _digest(sweep), run.version, shared_results_version())

    def find_differences(self) -> list[str]:
        """Return a sentence for everything that differs on this machine. A process that has found nothing looks no more."""
        if self in _passed:
            return []
        differences = [*self._compare_code(), *self._compare_data(), *self._compare_runs()]
        if not differences:
            _passed.add(self)
        return differences

    def _compare_code(self) -> list[str]:
        if shared_results_version() == self.code:
            return []
        return [
            f"backtune {version('backtune')} there is not the driver's {self.version}, or another numpy or numba is"
        ]

    def _compare_data(self) -> list[str]:
        place = f"data root {self.data}"
        try:
            manifest = open_storage(self.data).read(_MANIFEST)
        except CatalogError as error:
            return [f"{place}: {error}"]
        return _compare_file(place, _MANIFEST, manifest, self.manifest)

    def _compare_runs(self) -> list[str]:
        place = f"runs folder {self.folder.parent}"
        try:
            content = read_bytes(self.folder / _SWEEP)
            differences = _compare_file(place, f"{self.folder.name}/{_SWEEP}", content, self.sweep)
            if not differences:
                # The next driver removes files of such a name, in case this process is ended here.
                probe = self.folder / f".{secrets.token_hex(8)}.part"
                write_bytes(probe, b"")
                remove_file(probe)
        except (ResultsError, OSError) as error:
            return [f"{place}: {error}"]
        return differences


def _compare_file(place: str, name: str, content: bytes | None, expected_digest: str) -> list[str]:
    if content is None:
        return [f"{place}: no {name} there"]
    if _digest(content) == expected_digest:
        return []
    return [f"{place}: its {name} is not the one that the driver sees"]


def _digest(content: bytes | None) -> str:
    return hashlib.sha256(content or b"").hexdigest()
