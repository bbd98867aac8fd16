"""Candidates that were evaluated beside a study, as neighbours of its best.

They are no trials: no search learns from them, none of them wins, and they do not count as tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backtune.errors import ResultsError
from backtune.results.trial import Metrics, State, Trial
from backtune.space import Params
from backtune.storage.files import read_json, write_json
from backtune.storage.location import Location

_FILE = "probes.json"


@dataclass(frozen=True)
class Probe:
    """A candidate with its result, on the window of the search.

    Attributes:
        params: The values of the parameters, by name.
        state, reason, values, metrics: The result, with the meaning of the same fields of a :class:`~backtune.results.trial.Trial`.
    """

    params: Params
    state: State
    reason: str
    values: tuple[float, ...] | None
    metrics: Metrics

    @classmethod
    def of(cls, trial: Trial) -> Probe:
        """Return the probe with the result of a trial."""
        return cls(trial.params, trial.state, trial.reason, trial.values, trial.metrics)


def write_probes(folder: Location, probes: Sequence[Probe]) -> None:
    """Write the probes into a study's folder, in place of earlier ones.

    Raises:
        ResultsError: The file cannot be written.
    """
    write_json(folder / _FILE, [vars(probe) for probe in probes])


def read_probes(folder: Location) -> list[Probe]:
    """Return the probes in a study's folder; none where no one was evaluated.

    Raises:
        ResultsError: The file cannot be read.
    """
    content = read_json(folder / _FILE) or []
    try:
        return [Probe(**{**entry, "values": entry["values"] and tuple(entry["values"])}) for entry in content]
    except (TypeError, KeyError) as error:
        raise ResultsError(f"{folder / _FILE}: holds no probes: {error}") from error
