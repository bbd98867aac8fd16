"""The warm start of a study: the winners of an earlier sweep in the same cell are its first candidates."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from backtune.errors import ResultsError, SearchError, SpecError
from backtune.results.runs_folder import locate_runs_folder
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.search.suggesters.space_encoding import SpaceEncoding
from backtune.space import Params, Space
from backtune.spec import base_folder
from backtune.storage.files import is_file
from backtune.storage.location import Location, resolve_location
from backtune.validation.folds import Fold, TimeWindow

_KEY = "search.warm_start"
_log = logging.getLogger(__name__)


def open_earlier_sweep(name: str, runs: Location | None = None) -> StoredSweep:
    """Return the sweep that ``search.warm_start`` names: a folder, or the id of a sweep in the runs folder.

    Raises:
        SpecError: There is no such sweep, or it cannot be read.
    """
    folders = [resolve_location(base_folder(), name)]
    if "/" not in name:
        folders.append((runs if runs is not None else locate_runs_folder()) / name)
    for folder in folders:
        if is_file(folder / "sweep.json"):
            try:
                return StoredSweep.open(folder)
            except (ResultsError, KeyError, TypeError) as error:
                raise SpecError(_KEY, f"{folder} cannot be read: {error}", value=name) from None
    places = " nor ".join(map(str, folders))
    raise SpecError(_KEY, f"{name!r} is no earlier sweep: no sweep.json in {places}", value=name)


@dataclass(frozen=True)
class WarmStart:
    """The first candidates of a study, and the earlier studies that found them.

    Attributes:
        candidates: The first candidates.
        known_until: The end of the latest bar that they were found on, in the earlier sweep or in one that had started that
            sweep; in microseconds since the epoch, None where there are no candidates or it is not known.
        sources: The studies whose trials found them, as in :class:`~backtune.results.stored_sweep.StoredStudy`.
    """

    candidates: tuple[Params, ...] = ()
    known_until: int | None = None
    sources: tuple[dict[str, Any], ...] = ()


def find_warm_start(
    run: StoredSweep, cell: tuple[str, str, str], fold: Fold, space: Space, most: int
) -> WarmStart:
    """Return the winners of an earlier sweep that one study starts with.

    They come from the same strategy, asset and timeframe if possible, otherwise from the same strategy and asset, otherwise
    from the same strategy; and from the same fold where the earlier sweep has it. Numbers outside of the space are moved to
    its nearest value, and a missing parameter gets its default. A candidate that then breaks a rule is left out.

    Args:
        run: The earlier sweep.
        cell: The strategy, asset and timeframe of the study.
        fold: The fold of the study.
        space: The space of the study.
        most: The largest number of candidates; each earlier study gives its best before any gives its second.
    """
    defaults = space.defaults()
    found: list[Params] = []
    sources: list[StoredStudy] = []
    for entry, params in _iterate_winners(run, _find_related(run, cell, fold.name)):
        fitted = space.select_active(
            {name: parameter.nearest(params.get(name, defaults[name])) for name, parameter in space.items()}
        )
        if fitted != params:
            _log.warning("%s: %s was moved into the space of %s: %s", _KEY, params, "/".join(cell), fitted)
        try:
            SpaceEncoding(space, levels_as_real=float("inf")).encode(fitted)
        except SearchError as error:
            _log.warning("%s: %s is left out in %s: %s", _KEY, params, "/".join(cell), error)
            continue
        if fitted not in found and len(found) < most:
            found.append(fitted)
            sources.append(entry)
    ends = [max(entry.fold.train.end, entry.known_until or 0) for entry in sources]
    return WarmStart(tuple(found), max(ends, default=None), _list_sources(run, sources, fold.train))


def _list_sources(
    run: StoredSweep, entries: Sequence[StoredStudy], train: TimeWindow
) -> tuple[dict[str, Any], ...]:
    """Return the studies that found the candidates, and the sources of these, as far as they searched in a window.

    Studies on other bars are left out: however many trials they took, they made no choice on these bars.
    """
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        for study in (entry.id, *entry.peers):
            train_ends = [entry.fold.train.start, entry.fold.train.end]
            found[study] = {"sweep": str(run.folder.resolve()), "study": study, "train": train_ends}
        for source in entry.sources:
            found.setdefault(source["study"], source)
    return tuple(source for source in found.values() if TimeWindow(*source["train"]).overlaps(train))


def _find_related(run: StoredSweep, cell: tuple[str, str, str], fold: str) -> Sequence[StoredStudy]:
    entries = [
        ((entry.strategy, entry.asset, entry.timeframe, entry.fold.name), entry)
        for entry in run.studies
        if (summary := run.read_summary(entry)) is not None and summary.winners
    ]
    for wanted in ((*cell, fold), cell, cell[:2], cell[:1]):
        related = [entry for name, entry in entries if name[: len(wanted)] == wanted]
        if related:
            return related
    return ()


def _iterate_winners(
    run: StoredSweep, entries: Sequence[StoredStudy]
) -> Iterator[tuple[StoredStudy, Params]]:
    """Yield the first winner of every study, then the second of every study, and so on."""
    summaries = [(entry, run.read_summary(entry)) for entry in entries]
    fronts = [(entry, summary.winners) for entry, summary in summaries if summary is not None]
    for place in range(max((len(winners) for _, winners in fronts), default=0)):
        yield from ((entry, winners[place].params) for entry, winners in fronts if place < len(winners))
