"""Where a study begins when the spec names an earlier sweep: with what that one found in the same cell."""

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
from backtune.storage.files import exists
from backtune.storage.location import Location, joined
from backtune.validation.folds import Fold, TimeWindow

_KEY = "search.warm_start"
_log = logging.getLogger(__name__)


def earlier_sweep(name: str, runs: Location | None = None) -> StoredSweep:
    """The sweep that ``search.warm_start`` names: a folder, or the id of one in the runs folder.

    Raises:
        SpecError: there is none, or it cannot be read.
    """
    folders = [joined(base_folder(), name)]
    if "/" not in name:
        folders.append((runs if runs is not None else locate_runs_folder()) / name)
    for folder in folders:
        if exists(folder / "sweep.json"):
            try:
                return StoredSweep.open(folder)
            except (ResultsError, KeyError, TypeError) as error:
                raise SpecError(_KEY, f"{folder} cannot be read: {error}", value=name) from None
    places = " nor ".join(map(str, folders))
    raise SpecError(_KEY, f"{name!r} is no earlier sweep: no sweep.json in {places}", value=name)


@dataclass(frozen=True)
class HeadStart:
    """With what a study begins.

    Attributes:
        candidates: its first ones.
        known_until: the end of the latest bar that they were found on, there or in a sweep that that one had begun with;
            microseconds since the epoch, None where there are none or it is not known.
        sources: the studies whose trials found them, as in :class:`~backtune.results.stored_sweep.StoredStudy`.
    """

    candidates: tuple[Params, ...] = ()
    known_until: int | None = None
    sources: tuple[dict[str, Any], ...] = ()


def head_start(
    run: StoredSweep, cell: tuple[str, str, str], fold: Fold, space: Space, most: int
) -> HeadStart:
    """The winners of an earlier sweep for one study: those of the same strategy, asset and timeframe, else of the same
    strategy and asset, else of the same strategy, else none; of the same fold where it is there.

    Numbers outside of the present space are moved to its nearest value, and what is missing has its default; a
    candidate that breaks a rule then is left out.

    Args:
        cell: strategy, asset and timeframe.
        fold: whose train window is searched.
        most: how many at most; each study gives its best before any gives its second.
    """
    found: list[Params] = []
    sources: list[StoredStudy] = []
    for entry, params in _in_turn(run, _related(run, cell, fold.name)):
        fitted = _fitted(params, space)
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
    return HeadStart(
        tuple(found), max(map(_known_until, sources), default=None), _sources(run, sources, fold.train)
    )


def _sources(
    run: StoredSweep, entries: Sequence[StoredStudy], train: TimeWindow
) -> tuple[dict[str, Any], ...]:
    """Return the studies that found the candidates, and those that these had begun with, where they searched in a window.

    What was found on other bars is no choice made on these, however many trials it took.
    """
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        for study in (entry.id, *entry.peers):
            train_ends = [entry.fold.train.start, entry.fold.train.end]
            found[study] = {"sweep": str(run.folder.resolve()), "study": study, "train": train_ends}
        for source in entry.sources:
            found.setdefault(source["study"], source)
    return tuple(source for source in found.values() if TimeWindow(*source["train"]).overlaps(train))


def _known_until(entry: StoredStudy) -> int:
    return max(entry.fold.train.end, entry.known_until or 0)


def _related(run: StoredSweep, cell: tuple[str, str, str], fold: str) -> Sequence[StoredStudy]:
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


def _in_turn(run: StoredSweep, entries: Sequence[StoredStudy]) -> Iterator[tuple[StoredStudy, Params]]:
    """The first winner of every study, then the second of every study, and so on."""
    summaries = [(entry, run.read_summary(entry)) for entry in entries]
    fronts = [(entry, summary.winners) for entry, summary in summaries if summary is not None]
    for place in range(max((len(winners) for _, winners in fronts), default=0)):
        yield from ((entry, winners[place].params) for entry, winners in fronts if place < len(winners))


def _fitted(params: Params, space: Space) -> Params:
    defaults = space.defaults()
    whole = {name: parameter.nearest(params.get(name, defaults[name])) for name, parameter in space.items()}
    return space.select_active(whole)
