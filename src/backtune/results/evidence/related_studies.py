"""The studies of other sweeps that tried candidates on the bars of a search. Names and counts alone; no trial is read.

There are two kinds. Sweeps of the same runs folder may have searched the same strategy, asset and timeframe, with another
seed or another spec, in a train window that overlaps. And a search may have begun with candidates of an earlier sweep, in
whatever folder that is; then the trials that found them count, and those that the earlier sweep had begun with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from backtune.errors import ResultsError
from backtune.results.log.segments import count_trials, count_trials_below
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.spec import base_folder, hash_content
from backtune.storage.files import list_names, read_json
from backtune.storage.location import Location, get_local_path, parse_location, resolve_location
from backtune.validation.folds import TimeWindow

_NOT_COUNTED = "the trials of the sweep that it began with are not counted"
# The id of a study: its cell, the name of its fold, a hash, and the number of its island.
_STUDY_ID = re.compile(r"(.+)-[^-]+-[0-9a-f]{12}(?:-\d+)?")


@dataclass(frozen=True)
class RelatedStudy:
    """A study of another sweep that tried candidates on the bars of a search.

    Attributes:
        folder: The folder of the study; its name is the id of the study.
        train: The window that it searched; None where that is not known.
        n_trials: The number of its trials so far.
        n_own: The number of these that the search itself has, where it is the same study with a larger budget.
    """

    folder: Location
    train: TimeWindow | None
    n_trials: int
    n_own: int = 0

    @property
    def sweep(self) -> str:
        """The name of the sweep's folder."""
        return self.folder.parent.parent.name


@dataclass(frozen=True)
class RelatedStudies:
    """The studies of other sweeps that tried candidates on the bars of one search.

    Attributes:
        studies: The studies, each once however many sweeps have it, in order of id.
        problems: Warnings that say whose trials cannot be counted.
    """

    studies: tuple[RelatedStudy, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A text that is another one when a study appears or has more trials; empty without a study."""
        content = [[study.folder.name, study.n_trials] for study in self.studies]
        return hash_content(content)[:16] if content else ""


class _StudyLocation(NamedTuple):
    """A study in some sweep's folder, which may have no trial yet.

    Attributes:
        studies: The folder of all studies of the sweep.
        name: The id of the study.
        train: The window that it searched; None where that is not known.
    """

    studies: Location
    name: str
    train: TimeWindow | None


@dataclass
class _OtherSweeps:
    """The studies of other sweeps of a runs folder, by the cells of one sweep.

    Attributes:
        places: The studies with a known train window.
        problems: Warnings about sweeps that cannot be read.
    """

    places: dict[str, list[_StudyLocation]] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)


class RelatedStudyFinder:
    """Finds what other sweeps tried on the bars of the searches of one sweep.

    The runs folder is looked through once, when a search is first asked about: a listing of each sweep's studies, and the
    ``sweep.json`` of those that have a study of the same cells. Sweeps that appear later are found by a new object.
    """

    def __init__(self, run: StoredSweep) -> None:
        self._run = run
        self._counts: dict[Location, dict[str, int]] = {}

    def find(self, islands: Sequence[StoredStudy]) -> RelatedStudies:
        """Return the related studies of one search.

        Args:
            islands: All studies of the search.

        Raises:
            ResultsError: S3 does not answer.
        """
        cell = _cell_name(islands[0])
        own = {study.id for study in islands}
        found: dict[str, RelatedStudy] = {}
        problems = list(self._other_sweeps.problems.get(cell, ()))
        train = islands[0].fold.train
        places = [
            place
            for place in self._other_sweeps.places.get(cell, ())
            if place.train is not None and train.overlaps(place.train)
        ]
        sources, missing = self._sources(islands)
        for place in (*places, *sources):
            n_trials = self._count_trials(place.studies, place.name)
            # The same study may be in several sweeps, here too, and with a larger budget in one of them.
            n_own = count_trials(self._run.study_folder(place.name)) if place.name in own else 0
            known = found[place.name].n_trials if place.name in found else n_own
            if n_trials > known:
                folder = place.studies / place.name
                found[place.name] = RelatedStudy(folder, place.train, n_trials, n_own)
        return RelatedStudies(tuple(found[name] for name in sorted(found)), (*problems, *missing))

    def _sources(self, islands: Sequence[StoredStudy]) -> tuple[list[_StudyLocation], list[str]]:
        """Return the studies whose candidates a search began with, and warnings about those that are gone."""
        places: list[_StudyLocation] = []
        missing: dict[str, None] = {}
        for island in islands:
            for source in island.sources:
                folder = parse_location(source["sweep"])
                # Where it was, or beside this sweep, if the runs folder has moved.
                homes = [home / "studies" for home in (folder, self._folder.parent / folder.name)]
                name, train = source["study"], source["train"]
                try:
                    studies = next((home for home in homes if self._count_trials(home, name)), None)
                except ResultsError as error:
                    missing[f"{_NOT_COUNTED}: {error}"] = None
                    continue
                if studies is None:
                    missing[f"{_NOT_COUNTED}: {folder} is gone"] = None
                else:
                    places.append(_StudyLocation(studies, name, TimeWindow(*train) if train else None))
        return places, list(missing)

    def _count_trials(self, studies: Location, name: str) -> int:
        # One listing for all studies of a sweep, instead of one for each.
        if studies not in self._counts:
            self._counts[studies] = count_trials_below(studies)
        return self._counts[studies].get(name, 0)

    @property
    def _folder(self) -> Location:
        local = get_local_path(self._run.folder)
        return self._run.folder if local is None else local.absolute()

    @cached_property
    def _other_sweeps(self) -> _OtherSweeps:
        cells = {_cell_name(entry) for entry in self._run.studies}
        found = _OtherSweeps()
        runs = self._folder.parent
        root = self._run.spec.data.location
        prints = {entry.data_fingerprint for entry in self._run.studies}
        for sweep in sorted(set(list_names(runs)) - {self._folder.name}):
            names = {
                name: match[1]
                for name in _study_names(runs / sweep)
                if (match := _STUDY_ID.fullmatch(name)) and match[1] in cells
            }
            if names:
                _read_sweep(runs / sweep, names, found, _CatalogBars(root, frozenset(prints)))
        return found


def _study_names(sweep: Location) -> Iterator[str]:
    try:
        yield from list_names(sweep / "studies")
    except ResultsError:
        # A folder of somebody else, beside a sweep that lies in no runs folder.
        return


class _CatalogBars(NamedTuple):
    """The bars of a sweep: the address of their catalog, and the fingerprints of what its studies see of them."""

    root: str
    fingerprints: frozenset[str]


def _read_sweep(folder: Location, names: dict[str, str], found: _OtherSweeps, bars: _CatalogBars) -> None:
    """Add the studies of one sweep that saw bars of the same catalog, or the same bars from another one.

    Args:
        names: The cell of each study whose folder is there, by id.
        bars: The bars of the sweep that asks.
    """
    try:
        content = read_json(folder / "sweep.json")
        places = list(_places_of(folder / "studies", content, names, bars))
    except (ResultsError, KeyError, TypeError, AttributeError) as error:
        words = str(error) if isinstance(error, ResultsError) else "its sweep.json is not that of a sweep"
        for cell in set(names.values()):
            problem = f"the trials of {folder} are not counted: {words}"
            found.problems.setdefault(cell, []).append(problem)
        return
    for cell, place in places:
        found.places.setdefault(cell, []).append(place)


def _places_of(
    studies: Location, content: Any, names: dict[str, str], bars: _CatalogBars
) -> Iterator[tuple[str, _StudyLocation]]:
    """Yield the named studies with their cells, from plain data: there may be a hundred thousand of them."""
    is_of_catalog = str(resolve_location(base_folder(), str(content["spec"]["data"]["root"]))) == bars.root
    for entry in content["studies"]:
        if not is_of_catalog and entry["data_fingerprint"] not in bars.fingerprints:
            # Another market may have an asset of the same name.
            continue
        cell = "-".join((entry["strategy"], entry["asset"], entry["timeframe"]))
        if names.get(entry["id"]) == cell:
            yield cell, _StudyLocation(studies, entry["id"], TimeWindow(*entry["fold"]["train"]))


def _cell_name(entry: StoredStudy) -> str:
    return "-".join(entry.cell)
