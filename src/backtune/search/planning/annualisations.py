"""The numbers of bars a year that a sweep will annualise by, looked up before it runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from backtune.data.calendar import Annualisation, annualise
from backtune.errors import BacktuneError
from backtune.search.study_loop.study import Study

_SECONDS = 3.0


@dataclass(frozen=True)
class Annualisations:
    """The numbers of bars a year of the series of a sweep.

    Attributes:
        found: The annualisation of each series by asset and timeframe, in the grid's order.
        n_unread: The number of series that were not read: there was no time left, or they cannot be read.
    """

    found: dict[tuple[str, str], Annualisation]
    n_unread: int


def read_annualisations(studies: Sequence[Study], seconds: float = _SECONDS) -> Annualisations:
    """Read the bars of each series and count how many make a year.

    Args:
        studies: The studies of a sweep.
        seconds: The time after which no further series is begun, so that a grid of thousands of assets is not read
            for the sake of a plan.
    """
    until = time.perf_counter() + seconds
    series = {(study.bars.asset, study.bars.timeframe): study.bars for study in studies}
    found = {}
    for names, ref in series.items():
        if time.perf_counter() >= until:
            break
        try:
            bars = ref.load()
        except (BacktuneError, OSError):
            # The study that needs these bars reports the error, and the other studies do not suffer from it.
            continue
        found[names] = annualise(bars.timestamp, bars.timeframe, ref.calendar)
    return Annualisations(found, len(series) - len(found))
