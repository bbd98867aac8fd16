"""Parameters exported from a sweep as a small file, and their evaluation in a spec's cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from backtune.data.calendar import Annualisation, annualise
from backtune.data.catalog import Catalog
from backtune.data.unfinished import UnfinishedBar, unfinished_bars
from backtune.errors import ReportError, SpecError
from backtune.report.row_selection import find_study
from backtune.results.leaderboard.row import Row
from backtune.results.stored_sweep import StoredSweep
from backtune.results.study_context import StudyContext
from backtune.results.trial import Metrics
from backtune.search.planning.plan import plan_studies
from backtune.search.study_loop.study import Study
from backtune.simulation.costs import split_params
from backtune.space import Params
from backtune.spec import SweepSpec
from backtune.spec.documents import read_document

_CELL = ("strategy", "asset", "timeframe", "fold")


@dataclass(frozen=True)
class CellParameters:
    """Parameters and the cell that they were found in.

    Attributes:
        params: Parameters of the strategy, and the distances of searched stops.
        strategy: Name of the strategy; None where the spec has only one.
        asset: Name of the asset; None where the spec has only one.
        timeframe: Name of the timeframe; None where the spec has only one.
        fold: Name of the fold; None where the spec has only one.
        study: Id of the study that the parameters come from, for the reader.
        trial: Number of the trial that the parameters come from, for the reader.
        is_metrics: In-sample metrics, for the reader; None where they were not asked for.
    """

    params: Params
    strategy: str | None = None
    asset: str | None = None
    timeframe: str | None = None
    fold: str | None = None
    study: str | None = None
    trial: int | None = None
    is_metrics: Metrics | None = None

    @classmethod
    def of(cls, run: StoredSweep, row: Row) -> CellParameters:
        """Return the parameters of a row of the leaderboard."""
        fold = find_study(run, row).fold.name
        return cls(row.params, row.strategy, row.asset, row.timeframe, fold, row.study, row.trial)

    @classmethod
    def of_centre(cls, run: StoredSweep, row: Row) -> CellParameters:
        """Return the parameters at the centre of the best plateau of a row's search.

        Raises:
            ReportError: No candidate has enough neighbours.
        """
        plateau = row.evidence.plateau
        if plateau.centre is None:
            raise ReportError(
                f"{row.study}: no plateau is known: nothing varies by number, or no trial is complete"
            )
        best = cls.of(run, row)
        return replace(best, params=plateau.centre, trial=None, is_metrics=plateau.centre_metrics)

    def to_json(self) -> dict[str, Any]:
        """Return plain data that :meth:`read` accepts."""
        fields = asdict(self)
        return {
            name: fields[name]
            for name in ("study", "trial", *_CELL, "params", "is_metrics")
            if fields[name] is not None
        }

    @classmethod
    def read(cls, path: Path) -> CellParameters:
        """Read parameters from a YAML or JSON file.

        Raises:
            SpecError: The file cannot be read or has other content; the error names the key.
        """
        document = read_document(path)
        content = document.value
        known = tuple(cls.__dataclass_fields__)
        if not isinstance(content, Mapping) or not isinstance(content.get("params"), Mapping):
            raise SpecError(f"{path}: params", "is missing: a mapping of parameters to values")
        for key in content:
            if key not in known:
                raise SpecError(f"{path}: {key}", "unknown key", value=key, allowed=known)
        for key in (*_CELL, "study"):
            given = content.get(key)
            if given is not None and not isinstance(given, str):
                problem = f"must be text (given: {given!r})"
                raise document.explain(SpecError(key, problem, value=given, is_text_due=True))
        return cls(**{**content, "params": dict(content["params"])})


@dataclass(frozen=True)
class ParameterEvaluation:
    """The results of parameters in one cell of a spec.

    Attributes:
        strategy: Name of the strategy.
        asset: Name of the asset.
        timeframe: Name of the timeframe.
        fold: Name of the fold.
        params: All parameters, with defaults filled in.
        is_metrics: Metrics on the bars of the search.
        oos_metrics: Metrics on the bars of the test; None without validation.
        unfinished: Bars at the ends of the window that are built from a part of their time.
        annualisation: The number of bars a year.
    """

    strategy: str
    asset: str
    timeframe: str
    fold: str
    params: Params
    is_metrics: Metrics
    oos_metrics: Metrics | None
    annualisation: Annualisation
    unfinished: tuple[UnfinishedBar, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """Return the warnings as sentences."""
        return [text for text in [self.annualisation.disagreement(f"{self.asset} {self.timeframe}")] if text]

    def to_json(self) -> dict[str, Any]:
        """Return flat plain data: metrics as ``is_<metric>`` and ``oos_<metric>``, as in a row of the leaderboard."""
        outside = self.oos_metrics or dict.fromkeys(self.is_metrics)
        return {
            "strategy": self.strategy,
            "asset": self.asset,
            "timeframe": self.timeframe,
            "fold": self.fold,
            "params": self.params,
            **{f"is_{name}": value for name, value in self.is_metrics.items()},
            **{f"oos_{name}": value for name, value in outside.items()},
            "unfinished_bars": [bar.to_json() for bar in self.unfinished],
            "bars_per_year": self.annualisation.bars_per_year,
            "warnings": self.warnings,
        }


def evaluate_parameters(spec: SweepSpec, parameters: CellParameters) -> ParameterEvaluation:
    """Backtest parameters as a sweep of the spec does, with its bars, windows, warm-up and execution.

    Raises:
        SpecError: The spec has no such cell, or the strategy no such parameter.
        StrategyError: The strategy fails.
        DataError: The bars cannot be used.
    """
    study = _study(spec, parameters)
    params = _complete(study, parameters.params)
    context = StudyContext.load(study.bars, study.fold, study.scorer)
    bars, test = context.bars, context.test_window
    inside = context.scorer.score(params, context.train_window)
    outside = None if test is None else context.scorer.score(params, test)
    return ParameterEvaluation(
        strategy=study.strategy.name,
        asset=study.bars.asset,
        timeframe=study.bars.timeframe,
        fold=study.fold.name,
        params=params,
        is_metrics=inside.metrics,
        oos_metrics=None if outside is None else outside.metrics,
        unfinished=tuple(unfinished_bars(study.bars, Catalog.open(study.bars.root))),
        annualisation=annualise(bars.timestamp, bars.timeframe, study.bars.calendar),
    )


def _study(spec: SweepSpec, parameters: CellParameters) -> Study:
    studies = plan_studies(spec)
    for name in _CELL:
        wanted = getattr(parameters, name)
        here = list(dict.fromkeys(_cell(study)[name] for study in studies))
        if wanted is None and len(here) > 1:
            raise SpecError(name, "is missing: the spec has several", allowed=here)
        if wanted is not None and wanted not in here:
            raise SpecError(name, f"{wanted!r} is not in the spec", value=wanted, allowed=here)
        studies = [study for study in studies if wanted in (None, _cell(study)[name])]
    return studies[0]


def _cell(study: Study) -> dict[str, str]:
    return {
        "strategy": study.strategy.name,
        "asset": study.bars.asset,
        "timeframe": study.bars.timeframe,
        "fold": study.fold.name,
    }


def _complete(study: Study, params: Params) -> Params:
    """Fill in the defaults of the study's space; a stop may be given that the spec does not search."""
    own, distances = split_params(params)
    for name in own:
        if name not in study.space:
            raise SpecError(
                f"params.{name}", "is not a parameter of the strategy", value=name, allowed=study.space
            )
    # The spec may have fixed a parameter or narrowed it; its type is the strategy's own.
    typed = study.strategy.load().space().complete(own)
    complete = {**study.space.defaults(), **{name: typed[name] for name in own}, **distances}
    # Check the distances.
    study.execution.with_distances(complete)
    return complete
