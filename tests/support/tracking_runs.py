"""Folders of sweeps with real trials, made without the search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from oracles import DAY, make_bars
from stored_sweeps import stored_study

from backtune.data.bars import Bars
from backtune.results.best_trials import select_best_trials
from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.log.segments import TrialLog
from backtune.results.log.summary import StudySummary, Winner, summarize_study
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.space import Params
from backtune.spec import SweepSpec
from backtune.strategy.registry import resolve_strategy
from backtune.validation.folds import TimeWindow
from backtune.validation.windows import search_window, validation_window

STRATEGY = "MovingAverageCrossover"


@dataclass(frozen=True)
class Sweep:
    """A sweep that is run by hand, study by study."""

    run: StoredSweep
    spec: SweepSpec

    def finish(self, study: StoredStudy, n_trials: int) -> StudySummary:
        """Run a study up to a number of trials, or go on with it; write its log and summary."""
        ref = resolve_strategy(STRATEGY)
        scorer = CandidateScorer(ref, self.spec.execution)
        bars = random_bars(seed=sum(study.id.encode()))
        window = search_window(bars, TimeWindow(int(bars.timestamp[0]), int(bars.timestamp[280])))
        log = TrialLog(self.run.study_folder(study.id), ref.load().space(), len(study.objectives))
        done = log.read()
        search = self.spec.search
        evaluator = WindowEvaluator(scorer, window, search.objectives, search.constraints)
        new = list(evaluator.evaluate([(n, candidate(n)) for n in range(len(done), n_trials)]))
        if new:
            log.append(new)
        trials = [*done, *new]
        test = validation_window(bars, TimeWindow(int(bars.timestamp[280]), int(bars.timestamp[-1])))
        winners = [
            Winner(t.number, t.params, t.values or (), t.metrics, scorer.score(t.params, test).metrics)
            for t in select_best_trials(trials, self.spec.search.objectives)
        ]
        summary = summarize_study(trials, winners, budget=study.budget, exhausted=False)
        summary.write(self.run.study_folder(study.id))
        return summary


def make_sweep(
    runs: Path, *, n_studies: int = 3, budget: int = 25, uri: str | None = None, top_k: int = 5
) -> Sweep:
    """A sweep's folder with its description and no study run."""
    assets = [f"ASSET{i}" for i in range(n_studies)]
    spec = SweepSpec.parse(
        {
            "name": "tracked sweep",
            "grid": {"strategies": [STRATEGY], "assets": assets or ["NONE"], "timeframes": ["1d"]},
            "search": {"trials": budget},
            "tracking": {"uri": uri, "top_k": top_k},
        }
    )
    studies = tuple(
        stored_study(
            f"ma-{asset.lower()}", strategy=STRATEGY, asset=asset, timeframe="1d", budget=budget,
            space=resolve_strategy(STRATEGY).load().space().to_json(), span=(0, 400 * DAY),
        )
        for asset in assets
    )  # fmt: skip
    run = StoredSweep(runs / spec.id, spec.id, spec.name, spec, studies, "0.1.0")
    run.folder.mkdir(parents=True)
    run.write()
    return Sweep(run, spec)


def finished_sweep(
    runs: Path, *, n_studies: int = 3, budget: int = 25, uri: str | None = None, top_k: int = 5
) -> Sweep:
    """A sweep's folder with every study complete."""
    sweep = make_sweep(runs, n_studies=n_studies, budget=budget, uri=uri, top_k=top_k)
    for study in sweep.run.studies:
        sweep.finish(study, budget)
    return sweep


def regrown(sweep: Sweep, budget: int) -> Sweep:
    """The sweep started again with a larger budget, no trial run yet."""
    studies = tuple(replace(study, budget=budget) for study in sweep.run.studies)
    run = replace(sweep.run, studies=studies)
    run.write()
    return replace(sweep, run=run)


def random_bars(seed: int, n_bars: int = 400) -> Bars:
    """Daily bars of a random walk."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0.0005, 0.02, n_bars)))
    open_ = np.concatenate([[100.0], close[:-1]])
    return make_bars(open_, close, np.arange(n_bars) * DAY)


def candidate(number: int) -> Params:
    """The same walk through the space for every study."""
    rng = np.random.default_rng(number)
    return {"fast_period": int(rng.integers(3, 41)), "slow_period": int(rng.integers(41, 120))}
