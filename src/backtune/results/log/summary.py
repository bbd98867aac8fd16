"""The summary of a study, in one small file beside its trials. It can always be made again from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from backtune.data.calendar import Annualisation
from backtune.results.trial import Metrics, Trial
from backtune.space import Params
from backtune.storage.files import read_json, write_json
from backtune.storage.location import Location
from backtune.validation.bootstrap import SharpeInterval
from backtune.validation.deflated_sharpe import ReturnShape
from backtune.validation.timing import TimingTest

SUMMARY_FILE = "summary.json"
_OBJECTS_OF_WINNER: dict[str, Callable[..., Any]] = {
    "is_shape": ReturnShape,
    "oos_shape": ReturnShape,
    "oos_interval": SharpeInterval,
    "timing": TimingTest,
}


@dataclass(frozen=True)
class Winner:
    """A best trial with its results inside and outside the search's window.

    Attributes:
        number, params, values: The number, parameters and objectives of the trial.
        is_metrics: The metrics in sample.
        oos_metrics: The metrics out of sample; None without validation.
        is_shape: The shape of the bar returns in sample; None where they do not vary.
        oos_shape: The shape of those out of sample; None without validation, and as ``is_shape``.
        oos_interval: The interval of the Sharpe ratio out of sample; None as ``oos_shape``.
        timing: The test of timing out of sample; None as ``oos_shape``, and but for the first point of a Pareto front.
        hold_metrics: The metrics of holding the asset in the same test; None without validation.
    """

    number: int
    params: Params
    values: tuple[float, ...]
    is_metrics: Metrics
    oos_metrics: Metrics | None
    is_shape: ReturnShape | None = None
    oos_shape: ReturnShape | None = None
    oos_interval: SharpeInterval | None = None
    timing: TimingTest | None = None
    hold_metrics: Metrics | None = None

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Winner:
        """Read the plain data of :func:`dataclasses.asdict`."""
        kept = {
            name: kind(**content[name])
            for name, kind in _OBJECTS_OF_WINNER.items()
            if content[name] is not None
        }
        return cls(**{**content, **kept, "values": tuple(content["values"])})


@dataclass(frozen=True)
class StudySummary:
    """The state of a study and its winners.

    Attributes:
        state: ``complete`` when the budget is spent or the space exhausted, ``partial`` when it can go on,
            ``failed`` when it could not be run.
        reason: The reason of a failure; else empty.
        n_trials, n_complete, n_infeasible, n_failed: The number of rows in the log, in all and by state.
        n_stopped: The number of infeasible trials that were stopped early.
        exhausted: True where a finite space has no more candidates.
        winners: The best trial, or the Pareto front; empty where no trial is complete.
        most_common_reason: The most common reason of trials that are not complete; empty where all are.
        is_probed: False where the study was stopped before the probes around its best were evaluated.
        annualisation: The number of bars a year of its series; None where it could not be run.
    """

    state: Literal["complete", "partial", "failed"]
    reason: str = ""
    n_trials: int = 0
    n_complete: int = 0
    n_infeasible: int = 0
    n_failed: int = 0
    n_stopped: int = 0
    exhausted: bool = False
    winners: tuple[Winner, ...] = ()
    most_common_reason: str = ""
    is_probed: bool = True
    annualisation: Annualisation | None = None

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is left to do of the budget that the study had when this was written."""
        return self.state == "complete" and self.is_probed

    @property
    def failure(self) -> str:
        """The reason why the study has no result: it could not be run, or all of its trials failed; empty where it has one."""
        if self.state == "failed":
            return self.reason
        if self.n_trials and self.n_failed == self.n_trials:
            return f"all {self.n_trials} trials failed: {self.most_common_reason}"
        return ""

    def covers(self, budget: int) -> bool:
        """Return whether nothing is left to do for so many trials."""
        return self.state != "failed" and self.is_probed and (self.exhausted or self.n_trials >= budget)

    def write(self, folder: Location) -> None:
        """Write the summary into the study's folder."""
        write_json(folder / SUMMARY_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Location) -> StudySummary | None:
        """Return the summary in a study's folder; None where there is none."""
        content: dict[str, Any] | None = read_json(folder / SUMMARY_FILE)
        if content is None:
            return None
        winners = tuple(map(Winner.from_json, content.pop("winners")))
        annualisation = content.pop("annualisation")
        return cls(
            **content,
            winners=winners,
            annualisation=Annualisation.of_json(annualisation) if annualisation else None,
        )


def summarize_study(
    trials: Sequence[Trial], winners: Sequence[Winner], *, budget: int, exhausted: bool
) -> StudySummary:
    """Return the summary of a study's trials."""
    states = [trial.state for trial in trials]
    # The measured value is left out, so that equal rules are counted together.
    reasons = [trial.reason.split(" (")[0] for trial in trials if trial.reason]
    return StudySummary(
        state="complete" if exhausted or len(trials) >= budget else "partial",
        n_trials=len(trials),
        n_complete=states.count("complete"),
        n_infeasible=states.count("infeasible"),
        n_failed=states.count("failed"),
        n_stopped=sum(trial.is_stopped for trial in trials),
        exhausted=exhausted,
        winners=tuple(winners),
        most_common_reason=max(sorted(set(reasons)), key=reasons.count, default=""),
    )
